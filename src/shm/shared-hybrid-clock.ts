import { isEarlier, isLost, nodeBits, stampAfter, stampAt } from '../core/hybrid-clock.js'
import type { HybridClock, Stamp } from '../core/mesh.js'

export const HYBRID_CLOCK_BYTES = 8

/**
 * The host's one hybrid clock: whichever thread asks, no stamp is given twice. The last stamp is one 64-bit word; a
 * thread that finds it changed between reading and writing tries again with what it is now.
 */
export class SharedHybridClock implements HybridClock {
  readonly #last: BigInt64Array
  readonly #node: number
  readonly #wallMs: () => number
  readonly #before: Stamp = { high: 0, low: 0 }
  readonly #after: Stamp = { high: 0, low: 0 }

  constructor(shared: SharedArrayBuffer, node: string, wallMs: () => number) {
    this.#last = new BigInt64Array(shared)
    this.#node = nodeBits(node)
    this.#wallMs = wallMs
  }

  next(into: Stamp): void {
    const before = this.#before
    for (;;) {
      const last = this.#read(before)
      stampAt(this.#wallMs(), into)
      if (!isEarlier(before.high, before.low, into.high, into.low) && !isLost(before, into)) {
        into.high = before.high
        into.low = before.low
      }
      stampAfter(into.high, into.low, this.#node, into)
      if (this.#replace(last, into.high, into.low)) return
    }
  }

  witness(high: number, low: number): void {
    const now = this.#after
    for (;;) {
      const last = this.#read(now)
      if (!isEarlier(now.high, now.low, high, low) || this.#replace(last, high, low)) return
    }
  }

  #read(into: Stamp): bigint {
    const last = Atomics.load(this.#last, 0)
    into.high = Number(BigInt.asIntN(32, last >> 32n))
    into.low = Number(BigInt.asIntN(32, last))
    return last
  }

  #replace(last: bigint, high: number, low: number): boolean {
    const word = (BigInt(high) << 32n) | BigInt(low >>> 0)
    return Atomics.compareExchange(this.#last, 0, last, BigInt.asIntN(64, word)) === last
  }
}
