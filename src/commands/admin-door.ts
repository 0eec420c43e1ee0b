import { type IncomingMessage, request as plainRequest } from 'node:http'
import { request as secureRequest } from 'node:https'
import { text as textOf } from 'node:stream/consumers'
import { formatAddress, parseTargetAddress } from '../config/addresses.js'
import { loadConfig } from '../config/load.js'
import { CastorError } from '../core/errors.js'

export const DEFAULT_ADMIN = '127.0.0.1:9900'
const PATIENCE_MS = 5_000

/** The options by which a command finds the running process. */
export interface DoorOptions {
  readonly config?: string
  readonly admin?: string
  readonly token?: string
}

/** Where the admin API is, and what it asks for. */
export interface AdminDoor {
  /** `http://host:port`, without a slash at the end. */
  readonly origin: string
  readonly token: string
}

export function adminDoor(options: DoorOptions): AdminDoor {
  const config = options.config === undefined ? undefined : loadConfig(options.config, { readCertificates: false })
  const token = options.token ?? config?.admin.token ?? process.env.CASTOR_TOKEN ?? ''
  if (options.admin !== undefined || config === undefined) {
    return { origin: originOf(options.admin ?? DEFAULT_ADMIN), token }
  }
  const { address, port } = config.admin.listen
  if (port === 0) {
    throw new CastorError(
      'USAGE',
      `${options.config} lets the system choose the admin port; name it with --admin ADDRESS`,
    )
  }
  // An address that stands for all of them is none to connect to.
  const host = address === '0.0.0.0' ? '127.0.0.1' : address === '::' ? '::1' : address
  return { origin: `http://${formatAddress(host, port)}`, token }
}

function originOf(written: string): string {
  if (/^https?:\/\//.test(written)) {
    if (!URL.canParse(written)) throw new CastorError('USAGE', `--admin: ${JSON.stringify(written)} is not a URL`)
    return written.replace(/\/+$/, '')
  }
  const parsed = parseTargetAddress(written)
  if (!parsed.ok) throw new CastorError('USAGE', `--admin: ${parsed.problem}`)
  return `http://${formatAddress(parsed.value.host, parsed.value.port)}`
}

/** Throws ADMIN_UNREACHABLE where nobody answers, or asks for another token. */
export async function askAdmin(
  door: AdminDoor,
  method: string,
  path: string,
  body?: unknown,
): Promise<{ code: number; text: string }> {
  const signal = AbortSignal.timeout(PATIENCE_MS)
  const content = body === undefined ? '' : JSON.stringify(body)
  const headers = {
    ...(door.token === '' ? {} : { authorization: `Bearer ${door.token}` }),
    ...(body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(content) }),
  }
  let code: number
  let text: string
  try {
    const response = await send(`${door.origin}${path}`, { method, headers, signal }, content)
    code = response.statusCode ?? 0
    text = await textOf(response)
  } catch (cause) {
    const reason = signal.aborted ? `no answer within ${PATIENCE_MS / 1000} s` : why(cause)
    throw new CastorError('ADMIN_UNREACHABLE', `castor does not answer at ${door.origin}: ${reason}`, { cause })
  }
  if (code === 401 || code === 403) {
    throw new CastorError(
      'ADMIN_UNREACHABLE',
      `${door.origin} wants another token; give it with --token or CASTOR_TOKEN`,
    )
  }
  return { code, text }
}

/** Not by `fetch`, which has a list of ports that it does not speak to. */
function send(
  url: string,
  options: { readonly method: string; readonly headers: Record<string, string | number>; readonly signal: AbortSignal },
  content: string,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const begin = url.startsWith('https:') ? secureRequest : plainRequest
    begin(url, { ...options, agent: false }, resolve)
      .on('error', reject)
      .end(content)
  })
}

function why(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { code } = error as NodeJS.ErrnoException
  return code === 'ECONNREFUSED' ? 'connection refused; is it running?' : error.message || String(code)
}
