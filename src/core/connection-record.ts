import type { Endpoint } from './conn.js'

/**
 * An accepted connection as eight 32-bit words, the form in which it travels from the acceptor through shared memory:
 * [0] descriptor or −1 · [1] family 4 or 6, and above its byte one more than the place of its source, 0 for none · [2] peer port · [3–6] peer address in network byte order (IPv4 in [3])
 * · [7] listener index. IPv4-mapped IPv6 peers are recorded as IPv4.
 */
export const RECORD_WORDS = 8
export const RECORD_FD = 0
export const RECORD_FAMILY = 1
export const RECORD_PORT = 2
export const RECORD_ADDRESS = 3
export const RECORD_LISTENER = 7

const FAMILY_BITS = 8
const FAMILY_MASK = (1 << FAMILY_BITS) - 1

export function recordFamily(words: Int32Array, at: number): 4 | 6 {
  return (words[at + RECORD_FAMILY]! & FAMILY_MASK) === 4 ? 4 : 6
}

/** Where its source is counted, −1 where it is not. */
export function recordPlace(words: Int32Array, at: number): number {
  return (words[at + RECORD_FAMILY]! >>> FAMILY_BITS) - 1
}

/** `place` is −1, or below 2^23. */
export function setRecordPlace(words: Int32Array, at: number, place: number): void {
  words[at + RECORD_FAMILY] = recordFamily(words, at) | ((place + 1) << FAMILY_BITS)
}

/** Sixteen bytes as RFC 5952 writes them. */
export function ipv6Text(bytes: Uint8Array): string {
  const groups: string[] = []
  for (let i = 0; i < 16; i += 2) groups.push((((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0)).toString(16))
  // RFC 5952: the longest run of two or more zero groups, the first of equals, is written as "::".
  let best = -1
  let bestLength = 1
  for (let i = 0; i < 8; i++) {
    let length = 0
    while (i + length < 8 && groups[i + length] === '0') length++
    if (length > bestLength) {
      best = i
      bestLength = length
    }
  }
  if (best < 0) return groups.join(':')
  return `${groups.slice(0, best).join(':')}::${groups.slice(best + bestLength).join(':')}`
}

/** The peer of the record that begins at word `at`. */
export function recordPeer(words: Int32Array, at: number): Endpoint {
  const port = words[at + RECORD_PORT] ?? 0
  const bytes = new Uint8Array(words.buffer, words.byteOffset + (at + RECORD_ADDRESS) * 4, 16)
  if (recordFamily(words, at) === 4)
    return { family: 4, address: `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}`, port }
  return { family: 6, address: ipv6Text(bytes), port }
}
