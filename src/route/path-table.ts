// Hot path: once per request of a listener with rules, and per host pattern that it fits.
import { latin1 } from '../http/bytes.js'
import { SLASH } from '../http/characters.js'
import { type ByteKey, ByteTable, EMPTY_HASH, extendHash, hashForward } from './byte-table.js'

const EXACT = 0
const PREFIX = 1
const KINDS = 2

/** A path pattern of a host pattern. */
export interface PathKey {
  /** The number of the host pattern. */
  readonly host: number
  readonly pattern: string
}

/**
 * The path patterns of a listener's rules, each under the host pattern that it stands beside. A path is hashed once
 * (`take`), whatever number of patterns there are, and then looked up under each host that its request fits.
 */
export class PathTable {
  readonly #table: ByteTable
  /** Slashes of the prefix with the most of them: deeper ones are not looked up. */
  readonly #mostSlashes: number
  /** Behind each slash of the path taken: where, and the hash up to there. */
  readonly #ends: Int32Array
  readonly #hashes: Int32Array
  #slashes = 0
  #hash = 0
  #path: Uint8Array = new Uint8Array(0)
  #from = 0
  #to = 0

  /** A key's number is its place in `keys`, which has none twice. */
  constructor(keys: readonly PathKey[]) {
    const texts = keys.map(({ pattern }) => latin1(isPrefix(pattern) ? pattern.slice(0, -1) : pattern))
    const entries = keys.map(
      ({ host, pattern }, index): ByteKey => ({
        owner: host * KINDS + (isPrefix(pattern) ? PREFIX : EXACT),
        bytes: texts[index]!,
      }),
    )
    this.#table = new ByteTable(entries, hashForward)
    this.#mostSlashes = keys.reduce(
      (most, { pattern }) => (isPrefix(pattern) ? Math.max(most, pattern.split('/').length - 1) : most),
      0,
    )
    this.#ends = new Int32Array(this.#mostSlashes)
    this.#hashes = new Int32Array(this.#mostSlashes)
  }

  /** The path of which is asked from here on: [from, to), in normal form, borrowed. */
  take(path: Uint8Array, from: number, to: number): void {
    this.#path = path
    this.#from = from
    this.#to = to
    this.#slashes = 0
    if (this.#table.size === 0) return
    let hash = EMPTY_HASH
    for (let at = from; at < to; at++) {
      const byte = path[at]!
      hash = extendHash(hash, byte)
      if (byte === SLASH && this.#slashes < this.#mostSlashes) {
        this.#ends[this.#slashes] = at + 1
        this.#hashes[this.#slashes++] = hash
      }
    }
    this.#hash = hash
  }

  /** How many prefixes the path may have, `prefix` being asked from here − 1 down to 0: the longest first. */
  get prefixes(): number {
    return this.#slashes
  }

  /** The number of the pattern that is the path itself, −1 without one. */
  exact(host: number): number {
    return this.#table.lookUp(host * KINDS + EXACT, this.#hash, this.#path, this.#from, this.#to)
  }

  /** The number of the pattern that is the path up to its slash `index`, −1 without one. */
  prefix(host: number, index: number): number {
    const owner = host * KINDS + PREFIX
    return this.#table.lookUp(owner, this.#hashes[index]!, this.#path, this.#from, this.#ends[index]!)
  }

  /** The number of the pattern of all that is below the path, which has no slash at its end; −1 without one. */
  below(host: number): number {
    const hash = extendHash(this.#hash, SLASH)
    return this.#table.lookUp(host * KINDS + PREFIX, hash, this.#path, this.#from, this.#to, SLASH)
  }
}

/** All below a path, as against that path alone. */
export function isPrefix(pattern: string): boolean {
  return pattern.endsWith('/*')
}
