// Hot path: asked for every accepted connection where a list is configured.
import type { AddressRanges } from '../core/address-ranges.js'

const V6_WORDS = 4

/** Whether the address lies in any of them: 4 bytes (`family` 4) or 16 in network byte order, in words as they lie in memory. */
export function isInRanges({ v4, v6 }: AddressRanges, family: number, words: Int32Array, at: number): boolean {
  if (family === 4) return v4.length > 0 && isInV4(v4, asNumber(words[at]!))
  return v6.length > 0 && isInV6(v6, words, at)
}

/** A word whose first byte in memory counts most, on a little-endian machine. */
function asNumber(word: number): number {
  return (((word & 0xff) << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0
}

function isInV4(ranges: Uint32Array, address: number): boolean {
  let low = 0
  let high = ranges.length / 2
  while (low < high) {
    const middle = (low + high) >>> 1
    if (ranges[middle * 2 + 1]! < address) low = middle + 1
    else high = middle
  }
  return low * 2 < ranges.length && ranges[low * 2]! <= address
}

function isInV6(ranges: Uint32Array, words: Int32Array, at: number): boolean {
  const stride = 2 * V6_WORDS
  const count = ranges.length / stride
  let low = 0
  let high = count
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compare(ranges, middle * stride + V6_WORDS, words, at) < 0) low = middle + 1
    else high = middle
  }
  return low < count && compare(ranges, low * stride, words, at) <= 0
}

function compare(ranges: Uint32Array, from: number, words: Int32Array, at: number): number {
  for (let i = 0; i < V6_WORDS; i++) {
    const difference = ranges[from + i]! - asNumber(words[at + i]!)
    if (difference !== 0) return difference
  }
  return 0
}
