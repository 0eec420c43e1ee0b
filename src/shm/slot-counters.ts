// Hot path: objects made for a slot keep these words and count in them. No allocation.

/** One slot's words in every column of its segment: where its owner counts, and what all columns add up to. */
export class SlotCounters {
  /** The segment's. */
  readonly words: Float64Array
  readonly #offset: number
  readonly #stride: number

  /** `offset` is the slot's first word in column 0, and a column has `stride` words. */
  constructor(words: Float64Array, offset: number, stride: number) {
    this.words = words
    this.#offset = offset
    this.#stride = stride
  }

  /** The slot's first word in a column; 0 is the primary's. */
  at(column: number): number {
    return this.#offset + column * this.#stride
  }

  /** One of the slot's words, added up over all columns. */
  sum(word: number): number {
    return sumColumns(this.words, this.#offset + word, this.#stride)
  }

  /** `into.length` words from `word` on, each added up over all columns. */
  sums(word: number, into: Float64Array): Float64Array {
    const { words } = this
    into.fill(0)
    for (let at = this.#offset + word; at < words.length; at += this.#stride) {
      for (let i = 0; i < into.length; i++) into[i]! += words[at + i]!
    }
    return into
  }

  /** Forgets the first `count` words, in every column. Only the primary, once no thread counts here any more. */
  clear(count: number): void {
    for (let at = this.#offset; at < this.words.length; at += this.#stride) this.words.fill(0, at, at + count)
  }
}

/** The word at `offset` in a segment's first column, added up over all columns. */
export function sumColumns(words: Float64Array, offset: number, stride: number): number {
  let total = 0
  for (let at = offset; at < words.length; at += stride) total += words[at]!
  return total
}
