// Hot path: once per request of a listener with rules.
import { latin1 } from '../http/bytes.js'
import { LOWER } from '../http/characters.js'
import { type ByteKey, ByteTable, EMPTY_HASH, extendHash, hashBackward, hashForward } from './byte-table.js'

const DOT = 0x2e
/** RFC 1035 3.1: no name is longer. What is longer has no pattern. */
const MAX_HOST_BYTES = 255
/** The number of a host that no pattern names, which rules without a host are kept under. */
export const ANY_HOST = 0

const EXACT = 0
const SUFFIX = 1
const PREFIX = 2

/**
 * The host patterns of a listener's rules, each with a number from 1 up. `find` has those that a host fits, the most
 * particular first: itself, then the longest `*.X`, then the longest `X.*`, then `ANY_HOST`. Labels count from the dots, so
 * that `*.shop.example` takes `a.b.shop.example` and neither `shop.example` nor `myshop.example`.
 */
export class HostTable {
  /** The numbers that the last host fits, in order; the first `count` of them. */
  readonly found: Int32Array
  count = 0
  readonly #table: ByteTable
  /** Labels of the longest patterns: what a host has beyond them is not looked up. */
  readonly #mostSuffix: number
  readonly #mostPrefix: number
  readonly #patterns: readonly string[]
  readonly #name = new Uint8Array(MAX_HOST_BYTES)
  readonly #forwardAt: Int32Array
  readonly #hashes: Int32Array

  /** `patterns` in lower case, none twice; a pattern's number is its place plus 1. */
  constructor(patterns: readonly string[]) {
    this.#patterns = patterns
    const keys: ByteKey[] = []
    let mostSuffix = 0
    let mostPrefix = 0
    for (const pattern of patterns) {
      const { kind, text } = parsePattern(pattern)
      const labels = text.split('.').length
      if (kind === SUFFIX) mostSuffix = Math.max(mostSuffix, labels)
      if (kind === PREFIX) mostPrefix = Math.max(mostPrefix, labels)
      keys.push({ owner: kind, bytes: latin1(text) })
    }
    this.#mostSuffix = mostSuffix
    this.#mostPrefix = mostPrefix
    this.found = new Int32Array(2 + mostSuffix + mostPrefix)
    this.#forwardAt = new Int32Array(mostPrefix)
    this.#hashes = new Int32Array(mostPrefix)
    // Suffixes are hashed from their end, since that is where they begin in every host.
    const suffixes = new Set(keys.filter(({ owner }) => owner === SUFFIX).map(({ bytes }) => bytes))
    this.#table = new ByteTable(keys, (bytes) => (suffixes.has(bytes) ? hashBackward(bytes) : hashForward(bytes)))
  }

  /** The pattern of that number; empty for `ANY_HOST`. */
  pattern(number: number): string {
    return this.#patterns[number - 1] ?? ''
  }

  /** Looks up the host in [from, to), without a port, as it came: its case and a dot at its end do not matter. */
  find(buffer: Uint8Array, from: number, to: number): void {
    this.count = 0
    const length = to > from && buffer[to - 1] === DOT ? to - from - 1 : to - from
    if (this.#table.size > 0 && length > 0 && length <= MAX_HOST_BYTES) this.#lookUp(buffer, from, length)
    this.found[this.count++] = ANY_HOST
  }

  #lookUp(buffer: Uint8Array, from: number, length: number): void {
    const name = this.#name
    let hash = EMPTY_HASH
    let dots = 0
    for (let i = 0; i < length; i++) {
      const byte = LOWER[buffer[from + i]!]!
      name[i] = byte
      if (byte === DOT && dots < this.#mostPrefix) {
        this.#forwardAt[dots] = i
        this.#hashes[dots++] = hash
      }
      hash = extendHash(hash, byte)
    }
    this.#take(this.#table.lookUp(EXACT, hash, name, 0, length))
    this.#suffixes(name, length)
    for (let i = dots - 1; i >= 0; i--) {
      this.#take(this.#table.lookUp(PREFIX, this.#hashes[i]!, name, 0, this.#forwardAt[i]!))
    }
  }

  /** From the shortest to the longest, which is then turned around. */
  #suffixes(name: Uint8Array, length: number): void {
    const first = this.count
    let labels = 0
    let hash = EMPTY_HASH
    for (let i = length - 1; i >= 0 && labels < this.#mostSuffix; i--) {
      const byte = name[i]!
      if (byte === DOT) {
        labels++
        this.#take(this.#table.lookUp(SUFFIX, hash, name, i + 1, length))
      }
      hash = extendHash(hash, byte)
    }
    const { found } = this
    for (let low = first, high = this.count - 1; low < high; low++, high--) {
      const kept = found[low]!
      found[low] = found[high]!
      found[high] = kept
    }
  }

  #take(index: number): void {
    if (index >= 0) this.found[this.count++] = index + 1
  }
}

function parsePattern(pattern: string): { readonly kind: number; readonly text: string } {
  if (pattern.startsWith('*.')) return { kind: SUFFIX, text: pattern.slice(2) }
  if (pattern.endsWith('.*')) return { kind: PREFIX, text: pattern.slice(0, -2) }
  return { kind: EXACT, text: pattern }
}
