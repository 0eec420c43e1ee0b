// Hot path: once a request in sticky groups. Plain 32-bit arithmetic; the result lies in an array that is used again.
import { createHash, createHmac, randomBytes } from 'node:crypto'
import { SESSION_KEY_WORDS, type SessionKey } from '../core/session-store.js'

export const SEED_BYTES = 16

/** Rounds after each 8 bytes of message, and after the last for each half of the result: the 2 and 4 of SipHash-2-4. */
const MESSAGE_ROUNDS = 2
const FINAL_ROUNDS = 4

/**
 * The secret that keys are made with. Hosts with the same secret make the same keys; without one the seed is random, or
 * that of the process `before` this one, and keys mean nothing elsewhere.
 */
export function keySeed(secret: string | undefined, before?: Uint8Array): Uint8Array {
  if (secret === undefined || secret === '') return before?.length === SEED_BYTES ? before : randomBytes(SEED_BYTES)
  return createHmac('sha256', secret).update('castor session keys').digest().subarray(0, SEED_BYTES)
}

/** 32 bits that stand for a group on every host, whatever its slot there. */
export function nameNumber(name: string): number {
  return createHash('sha256').update(name).digest().readInt32LE(0)
}

/**
 * SipHash-2-4 with a 128-bit result, over the group's number (4 bytes, little-endian) and the bytes that tell one client
 * from another. Whoever lacks the seed can neither guess a key nor choose clients whose keys fall together. Each 64-bit
 * number of the algorithm is two 32-bit ones here, `h` high and `l` low, since engines have no fast 64-bit integers.
 */
export class KeyHash {
  /** The last result; the next one overwrites it. */
  readonly key: SessionKey = new Int32Array(SESSION_KEY_WORDS)
  readonly #seed: Int32Array

  constructor(seed: Uint8Array) {
    if (seed.length !== SEED_BYTES) throw new RangeError(`a key seed has ${SEED_BYTES} bytes, not ${seed.length}`)
    const view = new DataView(seed.buffer, seed.byteOffset, SEED_BYTES)
    this.#seed = Int32Array.from({ length: 4 }, (_, word) => view.getInt32(word * 4, true))
  }

  /**
   * The key for bytes [start, end) in a group. `group` is any 32-bit number: where hosts share sessions, one that they
   * agree on, which a slot is not.
   */
  of(group: number, bytes: Uint8Array, start: number, end: number): SessionKey {
    const seed = this.#seed
    const length = 4 + end - start
    const blocks = (length >>> 3) + 1
    let l0 = seed[0]! ^ 0x70736575
    let h0 = seed[1]! ^ 0x736f6d65
    let l1 = seed[2]! ^ 0x6e646f6d ^ 0xee
    let h1 = seed[3]! ^ 0x646f7261
    let l2 = seed[0]! ^ 0x6e657261
    let h2 = seed[1]! ^ 0x6c796765
    let l3 = seed[2]! ^ 0x79746573
    let h3 = seed[3]! ^ 0x74656462
    // One step a block of message, then one for each half of the result, so that the round is written down once.
    for (let block = 0; block < blocks + 2; block++) {
      let ml = 0
      let mh = 0
      let rounds = FINAL_ROUNDS
      if (block < blocks) {
        rounds = MESSAGE_ROUNDS
        const at = start + block * 8
        ml = block === 0 ? group : wordAt(bytes, at - 4, end)
        mh = wordAt(bytes, at, end)
        // The last block ends with the message's length.
        if (block === blocks - 1) mh |= length << 24
        l3 ^= ml
        h3 ^= mh
      } else if (block === blocks) {
        l2 ^= 0xee
      } else {
        l1 ^= 0xdd
      }
      for (let round = 0; round < rounds; round++) {
        let sum = 0
        // v0 += v1; v1 = (v1 <<< 13) ^ v0; v0 <<<= 32
        sum = (l0 + l1) | 0
        h0 = (h0 + h1 + carryOf(l0, l1, sum)) | 0
        l0 = sum
        sum = (l1 << 13) | (h1 >>> 19)
        h1 = ((h1 << 13) | (l1 >>> 19)) ^ h0
        l1 = sum ^ l0
        sum = l0
        l0 = h0
        h0 = sum
        // v2 += v3; v3 = (v3 <<< 16) ^ v2
        sum = (l2 + l3) | 0
        h2 = (h2 + h3 + carryOf(l2, l3, sum)) | 0
        l2 = sum
        sum = (l3 << 16) | (h3 >>> 16)
        h3 = ((h3 << 16) | (l3 >>> 16)) ^ h2
        l3 = sum ^ l2
        // v0 += v3; v3 = (v3 <<< 21) ^ v0
        sum = (l0 + l3) | 0
        h0 = (h0 + h3 + carryOf(l0, l3, sum)) | 0
        l0 = sum
        sum = (l3 << 21) | (h3 >>> 11)
        h3 = ((h3 << 21) | (l3 >>> 11)) ^ h0
        l3 = sum ^ l0
        // v2 += v1; v1 = (v1 <<< 17) ^ v2; v2 <<<= 32
        sum = (l2 + l1) | 0
        h2 = (h2 + h1 + carryOf(l2, l1, sum)) | 0
        l2 = sum
        sum = (l1 << 17) | (h1 >>> 15)
        h1 = ((h1 << 17) | (l1 >>> 15)) ^ h2
        l1 = sum ^ l2
        sum = l2
        l2 = h2
        h2 = sum
      }
      if (block < blocks) {
        l0 ^= ml
        h0 ^= mh
      } else {
        const half = (block - blocks) * 2
        this.key[half] = l0 ^ l1 ^ l2 ^ l3
        this.key[half + 1] = h0 ^ h1 ^ h2 ^ h3
      }
    }
    return this.key
  }
}

/** 1 where adding the words carried into a 33rd bit. By arithmetic: a processor cannot guess it, and a branch would have it try. */
function carryOf(a: number, b: number, sum: number): number {
  return ((a & b) | ((a | b) & ~sum)) >>> 31
}

/** The four bytes from `at` on as a little-endian word; bytes from `end` on count as 0. */
function wordAt(bytes: Uint8Array, at: number, end: number): number {
  if (at + 4 <= end) return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
  let word = 0
  for (let i = 0; at + i < end; i++) word |= bytes[at + i]! << (i * 8)
  return word
}
