import { CastorError } from '../core/errors.js'
import { printable } from '../core/printable.js'
import { portHolder } from './port-holder.js'

/** What the system's words for a refused address mean. */
const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the port is in use',
  EADDRNOTAVAIL: 'this host does not have that address',
  EACCES: 'this user may not',
  EPERM: 'this user may not',
  EAFNOSUPPORT: 'this host does not have addresses of that family',
}

/** The message of LISTEN_FAILED with the system's word in plain English. */
export function listenRefusal(message: string, code: string | undefined): string {
  const reason = code === undefined ? undefined : REASONS[code]
  return reason === undefined ? message : message.replace(new RegExp(`\\b${code}\\b.*`), `${reason} (${code})`)
}

/** Of the address in such a message; 0 where there is none. */
export function portOf(message: string): number {
  return Number(/:(\d+): /.exec(message)?.[1] ?? 0)
}

export function portHolderInWords(port: number): string {
  const found = portHolder(port)
  switch (found.known) {
    case 'process':
      return printable(`process ${found.pid}: ${found.command}`)
    case 'user':
      return `a process of uid ${found.uid} that this user cannot see; ask as root: ss -ltnp 'sport = :${port}'`
    case 'nothing':
      return `a process that cannot be seen from here; ask as root: ss -ltnp 'sport = :${port}'`
  }
}

/** Why a configuration could not be applied, in one line. */
export function whyNotApplied(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { message } = error
  if (!(error instanceof CastorError) || error.code !== 'LISTEN_FAILED') return message
  const code = systemCode(error)
  const port = portOf(message)
  const holder = code === 'EADDRINUSE' && port > 0 ? `, by ${portHolderInWords(port)}` : ''
  return `${listenRefusal(message, code)}${holder}`
}

/** Of the error itself, or of what brought it about. */
export function systemCode(error: unknown): string | undefined {
  for (let inner = error; typeof inner === 'object' && inner !== null; inner = (inner as Error).cause) {
    const { code } = inner as NodeJS.ErrnoException
    if (typeof code === 'string' && /^E[A-Z0-9]+$/.test(code)) return code
  }
  // An error that came from another thread is its message only.
  return error instanceof Error ? /\bE[MN]FILE\b/.exec(error.message)?.[0] : undefined
}
