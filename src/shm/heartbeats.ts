import { threadId } from 'node:worker_threads'
import type { Capacity } from '../core/shared-counters.js'

/** 128 bytes a row: what each thread writes lies on cache lines of its own. */
const ROW_WORDS = 32
const TURNS = 0
const THREAD_ID = 1

/** How often a thread shows that it turns. */
const BEAT_MS = 100

/** Rows: 0 for the primary, then the workers by column, then these two. */
export const PRIMARY_ROW = 0
export const probeRow = (workers: number): number => workers + 1
export const meshRow = (workers: number): number => workers + 2

export function createHeartbeats({ workers }: Pick<Capacity, 'workers'>): SharedArrayBuffer {
  return new SharedArrayBuffer((workers + 3) * ROW_WORDS * Int32Array.BYTES_PER_ELEMENT)
}

/**
 * How often each thread's loop has turned, by the thread's own count. A thread adds to it at a timer of its loop, a few
 * times a second and never per event; drawn in docs/SHARED-MEMORY.md.
 */
export class Heartbeats {
  readonly #words: Int32Array

  constructor(shared: SharedArrayBuffer) {
    this.#words = new Int32Array(shared)
  }

  /** Writer: the thread, as soon as it runs. It beats with every turn of a timer from here on; returns what ends that. */
  begin(row: number): () => void {
    this.#words[row * ROW_WORDS + THREAD_ID] = threadId
    this.beat(row)
    const beating = setInterval(() => this.beat(row), BEAT_MS)
    return () => clearInterval(beating)
  }

  /** Writer: the thread. The store orders nothing else: the count is looked at by itself, to see whether it changes. */
  beat(row: number): void {
    const at = row * ROW_WORDS + TURNS
    Atomics.store(this.#words, at, (this.#words[at]! + 1) | 0)
  }

  /** 0 until the thread has begun; wraps at 2^32. */
  turns(row: number): number {
    return Atomics.load(this.#words, row * ROW_WORDS + TURNS)
  }

  /** As Node numbers threads; 0 until the thread has begun. */
  threadId(row: number): number {
    return Atomics.load(this.#words, row * ROW_WORDS + THREAD_ID)
  }

  /** Writer: the primary, while no thread has the row. */
  clear(row: number): void {
    this.#words.fill(0, row * ROW_WORDS, (row + 1) * ROW_WORDS)
  }
}
