// Hot path: runs for every connection whose source is matched or announced. No allocation when parsing.
import { ipv6Text } from '../core/connection-record.js'

const CODE_0 = 48
const CODE_DOT = 46
const CODE_COLON = 58
const CODE_PERCENT = 37

/**
 * Writes an address in network byte order at `at` and returns its length: 4, 16, or 0 when `text` is no address.
 * IPv4 is four decimal parts without leading zeros; IPv6 is RFC 4291 §2.2, also with an IPv4 tail. A zone (`%eth0`)
 * is left out. `out` needs room for 16 bytes.
 */
export function ipToBytes(text: string, out: Uint8Array, at: number): 0 | 4 | 16 {
  for (let i = 0; i < text.length && i < 5; i++) {
    const code = text.charCodeAt(i)
    if (code === CODE_DOT) return ipv4ToBytes(text, 0, text.length, out, at) ? 4 : 0
    if (code === CODE_COLON) return ipv6ToBytes(text, out, at) ? 16 : 0
  }
  return 0
}

/** The address of 4 or 16 bytes at `at`; an IPv4-mapped one (RFC 4291 §2.5.5.2) is written as IPv4. */
export function ipFromBytes(bytes: Uint8Array, at: number, length: 4 | 16): string {
  if (length === 16 && !isMapped(bytes, at)) return ipv6Text(bytes.subarray(at, at + 16))
  const v4 = length === 16 ? at + 12 : at
  return `${bytes[v4]}.${bytes[v4 + 1]}.${bytes[v4 + 2]}.${bytes[v4 + 3]}`
}

/** True when the 16 bytes at `at` are ::ffff:0:0/96. */
export function isMapped(bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < 10; i++) if (bytes[at + i] !== 0) return false
  return bytes[at + 10] === 0xff && bytes[at + 11] === 0xff
}

/** Writes ::ffff:0:0/96 and leaves room for the IPv4 address behind it. */
export function writeMappedPrefix(out: Uint8Array, at: number): void {
  out.fill(0, at, at + 10)
  out[at + 10] = 0xff
  out[at + 11] = 0xff
}

function ipv4ToBytes(text: string, from: number, end: number, out: Uint8Array, at: number): boolean {
  let part = 0
  let value = 0
  let digits = 0
  for (let i = from; i <= end; i++) {
    const code = i < end ? text.charCodeAt(i) : CODE_DOT
    if (code === CODE_DOT) {
      if (digits === 0 || part === 4) return false
      out[at + part++] = value
      value = 0
      digits = 0
      continue
    }
    const digit = code - CODE_0
    if (digit < 0 || digit > 9 || (digits > 0 && value === 0)) return false
    value = value * 10 + digit
    digits++
    if (value > 255) return false
  }
  return part === 4
}

function ipv6ToBytes(text: string, out: Uint8Array, at: number): boolean {
  let end = text.length
  /** Bytes written, and where among them "::" stood. */
  let written = 0
  let gap = -1
  let i = 0
  if (text.charCodeAt(0) === CODE_COLON) {
    if (text.charCodeAt(1) !== CODE_COLON) return false
    gap = 0
    i = 2
  }
  while (i < end) {
    const begin = i
    let value = 0
    let code = -1
    while (i < end) {
      code = text.charCodeAt(i)
      const digit = hexDigit(code)
      if (digit < 0) break
      if (i - begin === 4) return false
      value = value * 16 + digit
      i++
    }
    if (i < end && code === CODE_PERCENT) {
      if (i + 1 === text.length) return false
      end = i
    }
    if (i < end && code === CODE_DOT) {
      let tailEnd = i
      while (tailEnd < end && text.charCodeAt(tailEnd) !== CODE_PERCENT) tailEnd++
      if (written > 12 || !ipv4ToBytes(text, begin, tailEnd, out, at + written)) return false
      written += 4
      break
    }
    if (i === begin) {
      // Only a zone may follow "::" directly.
      if (gap === written && end < text.length) break
      return false
    }
    if (written === 16) return false
    out[at + written++] = value >> 8
    out[at + written++] = value & 255
    if (i >= end) break
    if (code !== CODE_COLON) return false
    i++
    if (i < end && text.charCodeAt(i) === CODE_COLON) {
      if (gap >= 0) return false
      gap = written
      i++
    } else if (i >= end) {
      return false
    }
  }
  if (gap < 0) return written === 16
  // "::" stands for at least one group.
  if (written > 14) return false
  const tail = written - gap
  out.copyWithin(at + 16 - tail, at + gap, at + written)
  out.fill(0, at + gap, at + 16 - tail)
  return true
}

function hexDigit(code: number): number {
  if (code >= CODE_0 && code <= 57) return code - CODE_0
  const lower = code | 32
  return lower >= 97 && lower <= 102 ? lower - 87 : -1
}
