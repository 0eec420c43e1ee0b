// Hot path: runs once a request over the value of Host.
import { CLASS, COLON, HEX, IN_DIGITS, IN_HOST, ZERO } from './characters.js'

const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
const DOT = 0x2e
const MAX_PORT = 65_535

/**
 * Checks `uri-host [ ":" port ]` (RFC 9110 7.2) over [from, to): a name of RFC 3986 unreserved characters and
 * sub-delims, an IPv4 address, or an IPv6 address in brackets; no user information, no escapes, no IPvFuture, no zone. The port may be
 * empty (RFC 3986 3.2.3) and is at most 65535. Returns where the host ends and the port, if any, begins; −1 when it is
 * not valid. An empty host is not valid here.
 */
export function hostEnd(buffer: Uint8Array, from: number, to: number): number {
  let at = from
  if (at < to && buffer[at] === OPEN_BRACKET) {
    at++
    while (at < to && buffer[at] !== CLOSE_BRACKET) at++
    if (at === to || !isIpv6(buffer, from + 1, at)) return -1
    at++
  } else {
    while (at < to && buffer[at] !== COLON) {
      const byte = buffer[at]!
      if ((CLASS[byte]! & IN_HOST) === 0 || byte === OPEN_BRACKET || byte === CLOSE_BRACKET) return -1
      at++
    }
    if (at === from) return -1
  }
  if (at === to) return at
  if (buffer[at] !== COLON) return -1
  const end = at
  let port = 0
  for (at++; at < to; at++) {
    const byte = buffer[at]!
    if ((CLASS[byte]! & IN_DIGITS) === 0) return -1
    port = port * 10 + byte - ZERO
    if (port > MAX_PORT) return -1
  }
  return end
}

/** RFC 3986 3.2.2 IPv6address: eight groups of one to four hex digits, the last two perhaps as IPv4, one "::" at most. */
function isIpv6(buffer: Uint8Array, from: number, to: number): boolean {
  let groups = 0
  let gap = false
  let at = from
  if (to - from >= 2 && buffer[at] === COLON) {
    if (buffer[at + 1] !== COLON) return false
    gap = true
    at += 2
    if (at === to) return true
  }
  for (;;) {
    const begin = at
    while (at < to && HEX[buffer[at]!] !== 255) at++
    if (at < to && buffer[at] === DOT) return isIpv4(buffer, begin, to) && filled(groups + 2, gap)
    if (at === begin || at - begin > 4) return false
    groups++
    if (at === to) return filled(groups, gap)
    if (buffer[at] !== COLON) return false
    at++
    if (at === to) return false
    if (buffer[at] === COLON) {
      if (gap) return false
      gap = true
      at++
      if (at === to) return filled(groups, gap)
    }
  }
}

/** "::" stands for at least one group of zeros. */
const filled = (groups: number, gap: boolean): boolean => (gap ? groups <= 7 : groups === 8)

/** Four numbers to 255 without leading zeros. */
function isIpv4(buffer: Uint8Array, from: number, to: number): boolean {
  let at = from
  for (let part = 0; part < 4; part++) {
    const begin = at
    let value = 0
    while (at < to && (CLASS[buffer[at]!]! & IN_DIGITS) !== 0) {
      value = value * 10 + buffer[at]! - ZERO
      at++
      if (at - begin > 3) return false
    }
    if (at === begin || value > 255 || (at - begin > 1 && buffer[begin] === ZERO)) return false
    if (part < 3 && (at === to || buffer[at++] !== DOT)) return false
  }
  return at === to
}
