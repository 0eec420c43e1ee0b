import { createHash, timingSafeEqual } from 'node:crypto'
import { isIPv4, isIPv6 } from 'node:net'
import type { AdminConfig } from '../core/config.js'

/** Whether only programs on this machine can reach the address. IPv4-mapped IPv6 addresses count as what they map to. */
export function isLoopback(address: string): boolean {
  if (isIPv4(address)) return address.startsWith('127.')
  if (!isIPv6(address)) return false
  const text = new URL(`http://[${address}]`).hostname
  return text === '[::1]' || text.startsWith('[::ffff:7f')
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

/** A check of `Authorization` (RFC 6750, section 2.1) whose time tells nothing about how much of the token was right. */
export function bearerCheck(token: string): (authorization: string | undefined) => boolean {
  if (token === '') return () => true
  const expected = digest(token)
  return (authorization) => {
    const given = /^bearer +([^ ]+) *$/i.exec(authorization ?? '')?.[1]
    return timingSafeEqual(digest(given ?? ''), expected) && given !== undefined
  }
}

/**
 * Without a token, the address is all that protects the API, and a web page elsewhere could reach it through the
 * visitor's browser by a name that it makes resolve to loopback (DNS rebinding). The browser then names that host.
 */
export function hostCheck({ listen, token }: AdminConfig): (host: string | undefined) => boolean {
  if (token !== '' || !isLoopback(listen.address)) return () => true
  const configured = isIPv6(listen.address) ? new URL(`http://[${listen.address}]`).hostname : listen.address
  const allowed = new Set(['localhost', '127.0.0.1', '[::1]', configured])
  return (host) => {
    const name = /^(\[[0-9a-f:.]+\]|[^:[\]]+)(?::\d+)?$/i.exec(host ?? '')?.[1]?.toLowerCase()
    return name !== undefined && allowed.has(name)
  }
}
