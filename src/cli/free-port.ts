import { createServer } from 'node:net'
import { formatAddress } from '../config/addresses.js'
import type { Config } from '../core/config.js'

const TRIES = 50
export const FIRST_UNPRIVILEGED = 1024
/** 80 becomes 8080 and 443 becomes 8443. */
const ABOVE_PRIVILEGED = 8_000
const HIGHEST = 65_535

/**
 * For each address of the configuration that cannot be listened on now, `path=value` for `--set` with which it can: the
 * same address with another port, or all addresses where this host does not have that one.
 */
export async function otherAddresses(config: Config): Promise<string[]> {
  const taken = new Set<number>()
  const wanted: { path: string; address: string; port: number }[] = []
  const add = (path: string, addresses: readonly ({ address: string; port: number } | { path: string })[]): void => {
    for (const [index, one] of addresses.entries()) {
      if ('path' in one || one.port === 0) continue
      wanted.push({ path: addresses.length === 1 ? path : `${path}.${index}`, ...one })
      taken.add(one.port)
    }
  }
  for (const [index, { listen }] of config.listeners.entries()) add(`listeners.${index}.listen`, listen)
  add('admin.listen', config.admin.listen)

  const sets: string[] = []
  for (const { path, address, port } of wanted) {
    const code = await tryListen(address, port)
    if (code === undefined) continue
    const host = code === 'EADDRNOTAVAIL' ? (address.includes(':') ? '::' : '0.0.0.0') : address
    const other = host === address ? undefined : port
    const free =
      other !== undefined && (await tryListen(host, other)) === undefined ? other : await nextFree(host, port, taken)
    if (free === undefined) continue
    taken.add(free)
    sets.push(`${path}=${formatAddress(host, free)}`)
  }
  return sets
}

async function nextFree(address: string, port: number, taken: ReadonlySet<number>): Promise<number | undefined> {
  let candidate = port < FIRST_UNPRIVILEGED ? port + ABOVE_PRIVILEGED : port + 1
  for (let tries = 0; tries < TRIES && candidate <= HIGHEST; tries++, candidate++) {
    if (!taken.has(candidate) && (await tryListen(address, candidate)) === undefined) return candidate
  }
  return undefined
}

/** Listens and lets go again; resolves to the system's reason where that is refused. */
function tryListen(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy())
    server.once('error', (cause: NodeJS.ErrnoException) => resolve(cause.code ?? cause.message))
    server.listen({ host, port, ipv6Only: true, exclusive: true }, () => server.close(() => resolve(undefined)))
  })
}
