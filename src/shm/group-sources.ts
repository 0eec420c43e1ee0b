import { GROUP_LONE_AT, GROUP_LONE_SOURCE, GROUP_SEVERAL_AT } from './layout.js'

const TENTH_MS = 100

/**
 * Whether one group's traffic comes from several sources or, over all threads, from a single one: a proxy in front, or
 * somebody who is alone. Drawn in docs/SHARED-MEMORY.md. Times are tenths of a second modulo 2^32, and 0 is never.
 */
export class GroupSources {
  readonly #words: Int32Array
  readonly #at: number
  readonly #windowTenths: number

  /** `words` are tickets, of which the group's block begins at `at`. A source that was not seen for `windowMs` is forgotten. */
  constructor(words: Int32Array, at: number, windowMs: number) {
    this.#words = words
    this.#at = at
    this.#windowTenths = Math.max(1, Math.ceil(windowMs / TENTH_MS))
  }

  /** A source was seen, by a number that is not 0. Returns whether there are several. */
  note(source: number, steadyMs: number): boolean {
    const now = tenths(steadyMs)
    const words = this.#words
    const lone = Atomics.load(words, this.#at + GROUP_LONE_SOURCE)
    const isNew = lone === 0 || !this.#isRecent(this.#at + GROUP_LONE_AT, now)
    const known = isNew ? Atomics.compareExchange(words, this.#at + GROUP_LONE_SOURCE, lone, source) : lone
    if ((isNew && known === lone) || known === source) {
      Atomics.store(words, this.#at + GROUP_LONE_AT, now)
      return this.areSeveral(steadyMs)
    }
    Atomics.store(words, this.#at + GROUP_SEVERAL_AT, now)
    return true
  }

  areSeveral(steadyMs: number): boolean {
    return this.#isRecent(this.#at + GROUP_SEVERAL_AT, tenths(steadyMs))
  }

  #isRecent(at: number, now: number): boolean {
    const seen = Atomics.load(this.#words, at)
    return seen !== 0 && ((now - seen) | 0) <= this.#windowTenths
  }
}

function tenths(steadyMs: number): number {
  return Math.floor(steadyMs / TENTH_MS) | 0 || 1
}
