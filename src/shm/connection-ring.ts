import { RECORD_WORDS } from '../core/connection-record.js'

/**
 * A ring of connection records from the primary (one producer) to one worker (one consumer). Words: [0] head, written by
 * the consumer · [32] tail, written by the producer (apart, so that they share no cache line) · [48] how many silent
 * connections the consumer is asked to close, set by the producer and taken by the consumer · [56] whether the consumer
 * has a record in hand, written by the consumer · records from [64] on. Head and tail only ever grow (modulo 2^32); their
 * difference is what waits.
 */
const HEAD = 0
const TAIL = 32
const SHED = 48
const IN_HAND = 56
const RECORDS = 64
const CAPACITY = 4096

export function createConnectionRing(): SharedArrayBuffer {
  return new SharedArrayBuffer((RECORDS + CAPACITY * RECORD_WORDS) * Int32Array.BYTES_PER_ELEMENT)
}

export class ConnectionRing {
  readonly words: Int32Array

  constructor(shared: SharedArrayBuffer) {
    this.words = new Int32Array(shared)
  }

  /** Records not taken yet; a moment old for anybody except the two sides. */
  get waiting(): number {
    // The head first: it never overtakes the tail that is read after it, so that the difference cannot be negative.
    const head = Atomics.load(this.words, HEAD)
    return (Atomics.load(this.words, TAIL) - head) >>> 0
  }

  /**
   * Records that the consumer has not counted among its own yet: those that wait, and one in hand. Added to what the
   * consumer counts, read afterwards, it may count what was taken meanwhile twice, and leaves none out.
   */
  get unsettled(): number {
    const waiting = this.waiting
    return waiting + Atomics.load(this.words, IN_HAND)
  }

  /** For the producer: how many records it has put in so far, modulo 2^32. */
  get pushed(): number {
    return this.words[TAIL]!
  }

  /** Whether the consumer has taken all records that were there when `pushed` was read. */
  hasTaken(pushed: number): boolean {
    return ((Atomics.load(this.words, HEAD) - pushed) | 0) >= 0
  }

  /** For the producer: nothing more fits. */
  get full(): boolean {
    return this.waiting >= CAPACITY
  }

  /** Copies the record at word `at` in. False when the ring is full: the caller still owns the descriptor. */
  push(records: Int32Array, at: number): boolean {
    const tail = this.words[TAIL]!
    // Acquire: the consumer has finished with every slot before its head.
    if ((tail - Atomics.load(this.words, HEAD)) >>> 0 >= CAPACITY) return false
    const to = slotAt(tail)
    for (let i = 0; i < RECORD_WORDS; i++) this.words[to + i] = records[at + i]!
    // Release: the record is whole before the tail says that it is there.
    Atomics.store(this.words, TAIL, (tail + 1) | 0)
    return true
  }

  /** For the producer: the consumer is to close so many connections whose clients have said nothing. */
  askToShed(count: number): void {
    Atomics.store(this.words, SHED, count)
  }

  /** For the consumer: what was asked for since it last looked. Whoever sees the request takes it, so it is met once. */
  takeShed(): number {
    return Atomics.load(this.words, SHED) === 0 ? 0 : Atomics.exchange(this.words, SHED, 0)
  }

  /** The word where the oldest record begins, or −1. It stays in the ring until `advance`. */
  peek(): number {
    const head = this.words[HEAD]!
    return Atomics.load(this.words, TAIL) === head ? -1 : slotAt(head)
  }

  /** The oldest record has been read; whoever read it owns its descriptor from here on. */
  advance(): void {
    Atomics.store(this.words, HEAD, (this.words[HEAD]! + 1) | 0)
  }

  /** For the consumer: as `advance`; the record stays in hand until `settle`. */
  takeInHand(): void {
    Atomics.store(this.words, IN_HAND, 1)
    this.advance()
  }

  /** For the consumer: nothing is in hand; what was is counted, or gone. */
  settle(): void {
    Atomics.store(this.words, IN_HAND, 0)
  }
}

function slotAt(position: number): number {
  return RECORDS + ((position >>> 0) % CAPACITY) * RECORD_WORDS
}
