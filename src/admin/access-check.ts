import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { isIP, isIPv4, isIPv6 } from 'node:net'
import { DEFAULT_NAME } from '../config/check-tokens.js'
import type { AdminConfig, AdminListen, AdminRole, AdminToken } from '../core/config.js'

/** Whether only programs on this machine can reach the address. IPv4-mapped IPv6 addresses count as what they map to. */
export function isLoopback(address: string): boolean {
  if (isIPv4(address)) return address.startsWith('127.')
  if (!isIPv6(address)) return false
  const text = new URL(`http://[${address}]`).hostname
  return text === '[::1]' || text.startsWith('[::ffff:7f')
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

type Tokens = Pick<AdminConfig, 'token' | 'tokens'>

export function wantsToken({ token, tokens }: Tokens): boolean {
  return token !== '' || tokens.length > 0
}

/** Who asks: the holder of a token by its name, or anybody where none is required. */
export interface Caller {
  readonly token: string | undefined
  readonly role: AdminRole
}

const ANYBODY: Caller = { token: undefined, role: 'write' }

/**
 * A check of `Authorization` (RFC 6750, section 2.1) whose time tells nothing about how much of a token was right, nor of
 * which: all are compared. Gives undefined for who may not enter.
 */
export function bearerCheck(config: Tokens): (authorization: string | undefined) => Caller | undefined {
  if (!wantsToken(config)) return () => ANYBODY
  const own: AdminToken = { name: DEFAULT_NAME, token: config.token, role: 'write' }
  const known = [...(config.token === '' ? [] : [own]), ...config.tokens].map(({ name, token, role }) => ({
    expected: digest(token),
    caller: { token: name, role },
  }))
  return (authorization) => {
    const given = /^bearer +([^ ]+) *$/i.exec(authorization ?? '')?.[1]
    const asked = digest(given ?? '')
    let found: Caller | undefined
    for (const { expected, caller } of known) if (timingSafeEqual(asked, expected)) found = caller
    return given === undefined ? undefined : found
  }
}

/**
 * Without a token, the address is all that protects the API, and a web page elsewhere could reach it through the
 * visitor's browser by a name that it makes resolve to loopback (DNS rebinding). The browser then names that host.
 * An IP address as host resolves to nothing else, and no browser opens a Unix socket.
 */
export function hostCheck(
  { hosts, ...tokens }: Pick<AdminConfig, 'token' | 'tokens' | 'hosts'>,
  listen: AdminListen,
): (host: string | undefined) => boolean {
  if (wantsToken(tokens) || 'path' in listen || !isLoopback(listen.address)) return () => true
  const allowed = new Set(['localhost', ...hosts])
  return (host) => {
    const found = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+))(?::\d+)?$/i.exec(host ?? '')
    if (found === null) return false
    const [, bracketed, name = ''] = found
    return bracketed === undefined ? isIPv4(name) || allowed.has(name.toLowerCase()) : isIP(bracketed) === 6
  }
}

/**
 * Whether a browser asks on behalf of a page of another origin. Browsers say so in `Sec-Fetch-Site` (Fetch Metadata) to
 * loopback and over https, and else in `Origin` (RFC 6454, section 7); no page can write either. Another port of the
 * same host is another origin. Programs send neither.
 */
export function isCrossOrigin(headers: IncomingHttpHeaders): boolean {
  const site = headers['sec-fetch-site']
  if (site === 'same-origin') return false
  if (site !== undefined && site !== 'none') return true
  const { origin, host } = headers
  return origin !== undefined && !isOwnOrigin(origin, host ?? '')
}

function isOwnOrigin(origin: string, host: string): boolean {
  if (!URL.canParse(origin)) return false
  const { protocol, host: named } = new URL(origin)
  const own = `${protocol}//${host}`
  return (protocol === 'http:' || protocol === 'https:') && URL.canParse(own) && new URL(own).host === named
}

/** Whether a visitor follows a link to here: the answer becomes a page of its own, which the page with the link cannot read. */
export function isNavigation({
  method,
  headers,
}: {
  method?: string | undefined
  headers: IncomingHttpHeaders
}): boolean {
  return method === 'GET' && headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document'
}

/** Whether the body is declared as JSON, which a page elsewhere cannot send without asking first (CORS preflight). */
export function isJson(contentType: string | undefined): boolean {
  return /^application\/json *(;|$)/i.test(contentType ?? '')
}
