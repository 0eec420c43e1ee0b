// Hot path: several look-ups per request. Typed arrays only, nothing allocated per look-up.

const FNV_BASIS = 0x811c9dc5
const FNV_PRIME = 0x01000193
const FREE = -1
/** Slots per entry, at least: chains stay short. */
const ROOM = 2

/** The hash of no bytes; `extend` adds one byte after the other. */
export const EMPTY_HASH = FNV_BASIS

/** FNV-1a over one more byte. */
export function extendHash(hash: number, byte: number): number {
  return Math.imul(hash ^ byte, FNV_PRIME)
}

export interface ByteKey {
  /** Tells apart what has the same bytes: 0 to 2^31 − 1. */
  readonly owner: number
  readonly bytes: Uint8Array
}

/**
 * A frozen map from byte strings, each of an owner, to numbers from 0 up. Keys that an attacker could make collide are not in
 * it: it holds what the configuration names, and a look-up that collides costs one comparison.
 */
export class ByteTable {
  /** Of the entry by slot, `FREE` where there is none. */
  readonly #slots: Int32Array
  readonly #mask: number
  readonly #owners: Int32Array
  readonly #starts: Int32Array
  readonly #bytes: Uint8Array

  /** A key's number is its place in `keys`, which has none twice. `hash` as `lookUp` is given it. */
  constructor(keys: readonly ByteKey[], hash: (bytes: Uint8Array) => number) {
    let size = 1
    while (size < keys.length * ROOM) size *= 2
    this.#slots = new Int32Array(size).fill(FREE)
    this.#mask = size - 1
    this.#owners = Int32Array.from(keys, ({ owner }) => owner)
    this.#starts = new Int32Array(keys.length + 1)
    this.#bytes = new Uint8Array(keys.reduce((sum, { bytes }) => sum + bytes.length, 0))
    for (const [index, { owner, bytes }] of keys.entries()) {
      const start = this.#starts[index]!
      this.#bytes.set(bytes, start)
      this.#starts[index + 1] = start + bytes.length
      let slot = this.#home(hash(bytes), owner)
      while (this.#slots[slot] !== FREE) slot = (slot + 1) & this.#mask
      this.#slots[slot] = index
    }
  }

  get size(): number {
    return this.#owners.length
  }

  /**
   * The number of [from, to) of `buffer`, with the byte `last` behind it unless that is −1, whose hash that is; −1 where the
   * owner has no such key.
   */
  lookUp(owner: number, hash: number, buffer: Uint8Array, from: number, to: number, last = -1): number {
    const slots = this.#slots
    for (let slot = this.#home(hash, owner); ; slot = (slot + 1) & this.#mask) {
      const index = slots[slot]!
      if (index === FREE) return -1
      if (this.#owners[index] === owner && this.#isKey(index, buffer, from, to, last)) return index
    }
  }

  #isKey(index: number, buffer: Uint8Array, from: number, to: number, last: number): boolean {
    const start = this.#starts[index]!
    const end = this.#starts[index + 1]! - (last < 0 ? 0 : 1)
    if (end - start !== to - from) return false
    const bytes = this.#bytes
    for (let at = from, own = start; at < to; at++, own++) if (buffer[at] !== bytes[own]) return false
    return last < 0 || bytes[end] === last
  }

  #home(hash: number, owner: number): number {
    const mixed = Math.imul(hash ^ Math.imul(owner + 1, 0x9e3779b1), 0x85ebca6b)
    return (mixed ^ (mixed >>> 15)) & this.#mask
  }
}

/** As `extendHash` over all of it, from the front. */
export function hashForward(bytes: Uint8Array): number {
  let hash = EMPTY_HASH
  for (let i = 0; i < bytes.length; i++) hash = extendHash(hash, bytes[i]!)
  return hash
}

/** As `extendHash` over all of it, from the back. */
export function hashBackward(bytes: Uint8Array): number {
  let hash = EMPTY_HASH
  for (let i = bytes.length - 1; i >= 0; i--) hash = extendHash(hash, bytes[i]!)
  return hash
}
