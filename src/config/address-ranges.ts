import ipaddr from 'ipaddr.js'
import type { AddressRanges } from '../core/address-ranges.js'

const V6_WORDS = 4
const TWO_32 = 2 ** 32

/** Collects networks and joins those that overlap. */
export class RangesBuilder {
  #v4: number[] = []
  #v6: number[] = []

  /** A CIDR or a plain address, as `parseCidr` takes them; IPv4-mapped IPv6 counts as IPv4. */
  add(network: string): void {
    const slash = network.lastIndexOf('/')
    const address = slash < 0 ? network : network.slice(0, slash)
    const parsed = ipaddr.process(address)
    const bytes = parsed.toByteArray()
    const mapped = bytes.length === 4 && address.includes(':') ? 96 : 0
    const prefix = slash < 0 ? bytes.length * 8 : Number(network.slice(slash + 1)) - mapped
    const into = bytes.length === 4 ? this.#v4 : this.#v6
    const width = bytes.length / 4
    const last: number[] = []
    for (let word = 0; word < width; word++) {
      const at = word * 4
      const value = bytes[at]! * 2 ** 24 + bytes[at + 1]! * 2 ** 16 + bytes[at + 2]! * 2 ** 8 + bytes[at + 3]!
      const span = 2 ** (32 - Math.min(32, Math.max(0, prefix - word * 32)))
      const first = Math.floor(value / span) * span
      into.push(first)
      last.push(Math.min(TWO_32 - 1, first + span - 1))
    }
    into.push(...last)
  }

  build(): AddressRanges {
    return { v4: joined(Uint32Array.from(this.#v4), 1), v6: joined(Uint32Array.from(this.#v6), V6_WORDS) }
  }
}

export function addressRanges(networks: readonly string[]): AddressRanges {
  const builder = new RangesBuilder()
  for (const network of networks) builder.add(network)
  return builder.build()
}

/** Sorted, with overlaps joined; `width` words an address. */
function joined(ranges: Uint32Array, width: number): Uint32Array {
  const stride = 2 * width
  const order = Uint32Array.from({ length: ranges.length / stride }, (_, index) => index * stride)
  order.sort((a, b) => compare(ranges, a, ranges, b, width))
  const result = new Uint32Array(ranges.length)
  let end = 0
  for (const from of order) {
    const last = end - width
    if (end > 0 && compare(ranges, from, result, last, width) <= 0) {
      if (compare(result, last, ranges, from + width, width) < 0)
        result.set(ranges.subarray(from + width, from + stride), last)
      continue
    }
    result.set(ranges.subarray(from, from + stride), end)
    end += stride
  }
  return result.slice(0, end)
}

function compare(left: Uint32Array, at: number, right: Uint32Array, from: number, width: number): number {
  for (let i = 0; i < width; i++) {
    const difference = left[at + i]! - right[from + i]!
    if (difference !== 0) return difference
  }
  return 0
}
