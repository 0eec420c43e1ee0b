// Hot path: asked for every accepted connection. Parsing is control path; matching allocates nothing.
import ipaddr from 'ipaddr.js'
import type { Endpoint } from '../core/conn.js'
import { CastorError } from '../core/errors.js'
import { ipToBytes, isMapped } from './ip-bytes.js'

/** A trie node has a word for each value of the next four bits of the address. */
const FAN_OUT = 16
const EMPTY = 0
/** Every address that continues this way is in the set. Positive words are numbers of child nodes. */
const INSIDE = -1
const ROOT_V4 = 0
const ROOT_V6 = 1

const scratch = new Uint8Array(16)

/**
 * A set of networks, asked whether an address lies in any of them: at most 8 steps for IPv4 and 32 for IPv6, however
 * many networks there are. An IPv4-mapped IPv6 address is treated as the IPv4 address that it is, in networks and in
 * questions; IPv6 networks (`::/0` too) never hold IPv4 addresses.
 */
export class CidrSet {
  /** Networks it was made from. */
  readonly size: number
  #nodes = new Int32Array(FAN_OUT * 64)
  #nodeCount = 2

  /**
   * Takes CIDRs (`10.0.0.0/8`, `2001:db8::/32`) and plain addresses; bits beyond the prefix are ignored.
   * Throws `CastorError` CONFIG_INVALID naming the first that is neither.
   */
  constructor(cidrs: readonly string[]) {
    this.size = cidrs.length
    for (const cidr of cidrs) {
      const { bytes, prefix } = parseCidr(cidr)
      this.#insert(bytes.length === 4 ? ROOT_V4 : ROOT_V6, bytes, prefix)
    }
  }

  has(endpoint: Endpoint): boolean {
    // Most listeners name no network at all, and are asked at each connection.
    if (this.size === 0) return false
    const length = ipToBytes(endpoint.address, scratch, 0)
    return length !== 0 && this.hasBytes(scratch, 0, length)
  }

  /** The same for an address of 4 or 16 bytes in network byte order at `at`. */
  hasBytes(bytes: Uint8Array, at: number, length: 4 | 16): boolean {
    if (length === 16 && isMapped(bytes, at)) return this.#walk(ROOT_V4, bytes, at + 12, 4)
    return this.#walk(length === 4 ? ROOT_V4 : ROOT_V6, bytes, at, length)
  }

  #walk(root: number, bytes: Uint8Array, at: number, length: number): boolean {
    const nodes = this.#nodes
    let node = root
    for (let i = at; i < at + length; i++) {
      const byte = bytes[i]!
      node = nodes[node * FAN_OUT + (byte >> 4)]!
      if (node <= EMPTY) return node === INSIDE
      node = nodes[node * FAN_OUT + (byte & 15)]!
      if (node <= EMPTY) return node === INSIDE
    }
    return false
  }

  #insert(root: number, bytes: ArrayLike<number>, prefix: number): void {
    let node = root
    let depth = 0
    for (; prefix - depth * 4 > 4; depth++) {
      const at = node * FAN_OUT + nibble(bytes, depth)
      if (this.#nodes[at] === INSIDE) return
      // In two steps: making a node may replace the array.
      const next = this.#nodes[at] === EMPTY ? this.#newNode() : this.#nodes[at]!
      this.#nodes[at] = next
      node = next
    }
    // What remains, 0 to 4 bits, is spelled out over the words that begin with it; narrower networks below are dropped.
    const spread = 2 ** (4 - (prefix - depth * 4))
    const first = prefix === 0 ? 0 : nibble(bytes, depth) & (FAN_OUT - spread)
    this.#nodes.fill(INSIDE, node * FAN_OUT + first, node * FAN_OUT + first + spread)
  }

  #newNode(): number {
    if ((this.#nodeCount + 1) * FAN_OUT > this.#nodes.length) {
      const grown = new Int32Array(this.#nodes.length * 2)
      grown.set(this.#nodes)
      this.#nodes = grown
    }
    return this.#nodeCount++
  }
}

/** The four bits at `depth`, counted from the front. */
function nibble(bytes: ArrayLike<number>, depth: number): number {
  const byte = bytes[depth >> 1]!
  return depth % 2 === 0 ? byte >> 4 : byte & 15
}

interface Network {
  /** 4 or 16 bytes. */
  readonly bytes: ArrayLike<number>
  /** Bits that count, 0 to 32 or 128. */
  readonly prefix: number
}

function parseCidr(cidr: string): Network {
  const slash = cidr.indexOf('/')
  const address = slash < 0 ? cidr : cidr.slice(0, slash)
  // ipaddr.js also takes octal, hexadecimal and shortened IPv4, which two readers could read differently.
  if (address.includes('%')) throw invalid(cidr, 'networks have no zone')
  const v4 = ipaddr.IPv4.isValidFourPartDecimal(address)
  if (!v4 && !ipaddr.IPv6.isValid(address)) throw invalid(cidr, 'expected an address like 10.0.0.0/8 or 2001:db8::/32')
  const bytes = v4 ? ipaddr.IPv4.parse(address).toByteArray() : ipaddr.IPv6.parse(address).toByteArray()
  const bits = bytes.length * 8
  const prefix = slash < 0 ? bits : parsePrefix(cidr, cidr.slice(slash + 1), bits)
  if (v4 || !isMapped(Uint8Array.from(bytes), 0)) return { bytes, prefix }
  if (prefix < 96) throw invalid(cidr, 'an IPv4-mapped network needs a prefix of 96 or more; better, write it as IPv4')
  return { bytes: bytes.slice(12), prefix: prefix - 96 }
}

function parsePrefix(cidr: string, text: string, bits: number): number {
  const prefix = /^(0|[1-9]\d{0,2})$/.test(text) ? Number(text) : Number.NaN
  if (!(prefix <= bits)) throw invalid(cidr, `the prefix of an IPv${bits === 32 ? 4 : 6} network is 0 to ${bits}`)
  return prefix
}

function invalid(cidr: string, why: string): CastorError {
  return new CastorError('CONFIG_INVALID', `"${cidr}" is not a network: ${why}`)
}
