// Hot path: every frame except those of the connection looks its stream up here.
import type { Http2Stream } from './stream.js'

const FIRST_SLOTS = 16
/** A larger map is let go of when it is empty. */
const KEPT_SLOTS = 512

/**
 * Open streams by id: a table with linear probing. A `Map` makes itself anew after some deletions, and the old one, which
 * still holds the streams of then, points to the new one: once one of them is in the old generation, all that follow are
 * promoted with their streams until the next major collection.
 */
export class StreamMap {
  size = 0
  #slots: (Http2Stream | undefined)[] = emptySlots(FIRST_SLOTS)

  get(id: number): Http2Stream | undefined {
    const slots = this.#slots
    const mask = slots.length - 1
    for (let i = (id >>> 1) & mask; ; i = (i + 1) & mask) {
      const stream = slots[i]
      if (stream === undefined || stream.id === id) return stream
    }
  }

  has(id: number): boolean {
    return this.get(id) !== undefined
  }

  /** Takes in a stream whose id is not in here. */
  add(stream: Http2Stream): void {
    // At most half full, so that there is always an empty slot, and near.
    if (++this.size * 2 > this.#slots.length) this.#widen()
    place(this.#slots, stream)
  }

  delete(id: number): void {
    const slots = this.#slots
    const mask = slots.length - 1
    let hole = (id >>> 1) & mask
    while (slots[hole]?.id !== id) {
      if (slots[hole] === undefined) return
      hole = (hole + 1) & mask
    }
    // Those behind it move up, unless that were before the slot where they are looked for.
    for (let i = (hole + 1) & mask; ; i = (i + 1) & mask) {
      const stream = slots[i]
      if (stream === undefined) break
      const home = (stream.id >>> 1) & mask
      if (((i - home) & mask) < ((i - hole) & mask)) continue
      slots[hole] = stream
      hole = i
    }
    slots[hole] = undefined
    if (--this.size === 0 && slots.length > KEPT_SLOTS) this.#slots = emptySlots(FIRST_SLOTS)
  }

  /** As of now, in the order of their ids. Allocates. */
  values(): Http2Stream[] {
    const streams: Http2Stream[] = []
    for (const stream of this.#slots) if (stream !== undefined) streams.push(stream)
    return streams.sort((a, b) => a.id - b.id)
  }

  #widen(): void {
    const old = this.#slots
    const wider = emptySlots(old.length * 2)
    for (const stream of old) if (stream !== undefined) place(wider, stream)
    this.#slots = wider
  }
}

function place(slots: (Http2Stream | undefined)[], stream: Http2Stream): void {
  const mask = slots.length - 1
  let i = (stream.id >>> 1) & mask
  while (slots[i] !== undefined) i = (i + 1) & mask
  slots[i] = stream
}

function emptySlots(count: number): (Http2Stream | undefined)[] {
  return new Array<Http2Stream | undefined>(count).fill(undefined)
}
