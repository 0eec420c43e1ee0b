import { isIP, isIPv4 } from 'node:net'
import ipaddr from 'ipaddr.js'
import type { AdminListen, ListenAddress } from '../core/config.js'
import type { Parsed } from './units.js'

export interface TargetAddress {
  /** As written: also the target's id where none is given. */
  readonly text: string
  /** A host name or an address, without brackets. */
  readonly host: string
  readonly port: number
}

interface HostAndPort {
  readonly host: string
  readonly port: number
  readonly bracketed: boolean
}

const MAX_PORT = 65_535
const TARGET_EXAMPLE = '127.0.0.1:9001'
const HOST_LABEL = /^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/

/** `example` is what is proposed where nothing of the text can be kept; a proposal is one that would be taken. */
function split(text: string, example: string): Parsed<HostAndPort> {
  const fail = (why: string): Parsed<HostAndPort> => ({ ok: false, problem: `${JSON.stringify(text)} ${why}` })
  const scheme = /^[a-z][a-z0-9+.-]*:\/\/([^/]*)/i.exec(text)
  if (scheme) {
    const rest = scheme[1]!
    const numeric = /^(\[[0-9a-f:]+\]|[\d.]+):\d+$/i.test(rest)
    const usable = (numeric || (example === TARGET_EXAMPLE && /^[\w.-]+:\d+$/.test(rest))) && split(rest, example).ok
    return fail(`is a URL; write host and port only, like ${usable ? rest : example}`)
  }
  if (isIP(text) === 6) {
    if (text.includes('%')) return fail(ZONE)
    const mapped = mappedAddress(text)
    if (mapped !== undefined) return fail(`has no port; write ${mapped}:PORT`)
    const [, host = '', port] = /^(.+):(\d{2,5})$/.exec(text) ?? []
    const meant = isIP(host) === 6 && Number(port) <= MAX_PORT ? `, or "[${host}]:${port}"` : ''
    return fail(`has no port; write "[${text}]:PORT"${meant}`)
  }
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::([^:]*))?$/.exec(text)
  if (!match) return fail(`is not host:port; write it like ${example}, an IPv6 address in brackets`)
  const bracketed = match[1] !== undefined
  const host = match[1] ?? match[2]!
  const portText = match[3]
  if (portText === undefined || portText === '') {
    if (/^\d+$/.test(host)) {
      const proposed = Number(host) <= MAX_PORT ? `${example.slice(0, example.lastIndexOf(':'))}:${host}` : example
      return fail(`has no address; write ${proposed}`)
    }
    const known = bracketed
      ? isIP(host) === 6 && !host.includes('%') && mappedAddress(host) === undefined
      : isIP(host) === 4 || (host !== '' && example === TARGET_EXAMPLE)
    return fail(`has no port; write it like ${known ? (bracketed ? `"[${host}]:8080"` : `${host}:8080`) : example}`)
  }
  const port = /^\d{1,5}$/.test(portText) ? Number(portText) : Number.NaN
  if (!(port <= MAX_PORT)) return fail(`has the port ${JSON.stringify(portText)}; a port is a number up to ${MAX_PORT}`)
  if (bracketed && isIP(host) !== 6) return fail('has no IPv6 address between the brackets')
  if (bracketed && host.includes('%')) return fail(ZONE)
  const mapped = bracketed ? mappedAddress(host) : undefined
  // The kernel takes them only on sockets that speak both families, which Castor does not open.
  if (mapped !== undefined) return fail(`is IPv4 written as IPv6; write ${mapped}:${port}`)
  return { ok: true, value: { host, port, bracketed } }
}

const ZONE = 'names a zone; link-local addresses cannot be used, write one that is valid without a zone'

/** `::ffff:10.0.0.1` → `10.0.0.1`; undefined for what is no IPv4 address written as IPv6. */
function mappedAddress(address: string): string | undefined {
  if (isIP(address) !== 6) return undefined
  const parsed = ipaddr.IPv6.parse(address)
  return parsed.isIPv4MappedAddress() ? parsed.toIPv4Address().toString() : undefined
}

/**
 * `0.0.0.0:8080` or `[::]:8080`; port 0 = any free one. Names are refused: what they mean could change under us.
 * `example` has the address that is proposed for one that is missing.
 */
export function parseListenAddress(text: string, example = '0.0.0.0:8080'): Parsed<ListenAddress> {
  const parts = split(text, example)
  if (!parts.ok) return parts
  const { host, port } = parts.value
  const all = `${example.slice(0, example.lastIndexOf(':'))}:${port}`
  if (host === '' || host === '*') {
    const what = all.startsWith('0.0.0.0') ? ' for all of IPv4' : ''
    return { ok: false, problem: `${JSON.stringify(text)} has no address; write ${all}${what}` }
  }
  if (isIP(host) === 0) {
    const instead = host === 'localhost' ? `127.0.0.1:${port}` : all
    return { ok: false, problem: `${JSON.stringify(host)} is not an IP address; write one, like ${instead}` }
  }
  return { ok: true, value: { address: host, port } }
}

/** `sun_path` holds 108 bytes with its end; the socket is made under a name that is up to 10 bytes longer. */
const MAX_SOCKET_PATH_BYTES = 97

/** `127.0.0.1:9900`, `[::1]:9900`, or `unix:/run/castor/admin.sock`. */
export function parseAdminListen(text: string): Parsed<AdminListen> {
  if (!text.startsWith('unix:')) return parseListenAddress(text, '127.0.0.1:9900')
  const fail = (why: string): Parsed<AdminListen> => ({ ok: false, problem: `${JSON.stringify(text)} ${why}` })
  const path = text.slice('unix:'.length).replace(/^\/+/, '/')
  if (!path.startsWith('/')) return fail('needs an absolute path; write it like unix:/run/castor/admin.sock')
  if (path.endsWith('/')) return fail('names a directory; write it like unix:/run/castor/admin.sock')
  if (path.includes('\0')) return fail('has a character that no path can have')
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) {
    return fail(`has a path of more than ${MAX_SOCKET_PATH_BYTES} bytes, which is too long for a socket`)
  }
  return { ok: true, value: { path } }
}

/** `10.0.0.5:9001`, `app.internal:9001` or `[2001:db8::5]:9001`. */
export function parseTargetAddress(text: string): Parsed<TargetAddress> {
  const parts = split(text, TARGET_EXAMPLE)
  if (!parts.ok) return parts
  const { host, port, bracketed } = parts.value
  if (port === 0) return { ok: false, problem: `${JSON.stringify(text)} has port 0; a target needs its real port` }
  if (!bracketed && isIP(host) === 0) {
    // The system's resolver takes one to four numbers, hexadecimal ones too, for an IPv4 address.
    const looksNumeric = /^[\d.]+$/.test(host) || host.split('.').every((label) => /^(\d+|0x[\da-f]*)$/i.test(label))
    const isName = host.length <= 253 && host.split('.').every((label) => HOST_LABEL.test(label))
    if (looksNumeric || !isName) {
      return { ok: false, problem: `${JSON.stringify(host)} is neither an IP address nor a host name` }
    }
  }
  return { ok: true, value: { text, host, port } }
}

/** One text for all spellings of a server: IPv6 in one form, mapped IPv4 as IPv4, names in lower case, localhost as what it is. */
export function canonicalTarget(host: string, port: number): string {
  const name = host.toLowerCase()
  const address = name === 'localhost' ? '127.0.0.1' : name
  // Of IPv4 there is one spelling only.
  return `${isIP(address) === 6 ? ipaddr.process(address).toString() : address} ${port}`
}

/** Checks `10.0.0.0/8` or `2001:db8::/32`; gives it back as written. */
export function parseCidr(text: string): Parsed<string> {
  const slash = text.lastIndexOf('/')
  const address = slash < 0 ? text : text.slice(0, slash)
  const family = isIP(address)
  if (family === 0) {
    return {
      ok: false,
      problem: `${JSON.stringify(text)} is not a CIDR; write an address and a length, like 10.0.0.0/8`,
    }
  }
  const bits = family === 4 ? 32 : 128
  const mapped = mappedAddress(address)
  if (mapped !== undefined) {
    return {
      ok: false,
      problem: `${JSON.stringify(text)} is IPv4 written as IPv6; write the IPv4 address and its length, like ${mapped}/32`,
    }
  }
  if (address.includes('%')) {
    return { ok: false, problem: `${JSON.stringify(text)} names a zone; write the address without it` }
  }
  if (slash < 0)
    return { ok: false, problem: `${JSON.stringify(text)} has no length; write ${text}/${bits} for this one address` }
  const length = text.slice(slash + 1)
  if (!/^(0|[1-9]\d{0,2})$/.test(length) || Number(length) > bits) {
    return {
      ok: false,
      problem: `${JSON.stringify(text)} has the length ${JSON.stringify(length)}; it goes from 0 to ${bits}`,
    }
  }
  return { ok: true, value: text }
}

/** True for 127.0.0.0/8 and ::1; IPv4 written as IPv6 is refused before. */
export function isLoopback(address: string): boolean {
  if (isIP(address) === 0) return false
  return ipaddr.parse(address).range() === 'loopback'
}

/**
 * True when both cannot be listened on at once: same port, and the same address or one that stands for all of its
 * family. IPv4 and IPv6 are apart, because an IPv6 listener takes IPv6 only. Port 0 never clashes.
 */
export function clash(a: ListenAddress, b: ListenAddress): boolean {
  if (a.port !== b.port || a.port === 0) return false
  if (isIPv4(a.address) !== isIPv4(b.address)) return false
  const one = ipaddr.parse(a.address).toNormalizedString()
  const other = ipaddr.parse(b.address).toNormalizedString()
  return one === other || isWildcard(one) || isWildcard(other)
}

function isWildcard(normalized: string): boolean {
  return normalized === '0.0.0.0' || normalized === '0:0:0:0:0:0:0:0'
}

/** `127.0.0.1:80`, `[::1]:80`. */
export function formatAddress(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** `127.0.0.1:9900`, `unix:/run/castor/admin.sock`. */
export function formatAdminListen(listen: AdminListen): string {
  return 'path' in listen ? `unix:${listen.path}` : formatAddress(listen.address, listen.port)
}
