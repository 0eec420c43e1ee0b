import { LeftSlots, type SlotMemory } from './left-slots.js'

/** A slot, and which of its holders this one is. */
export interface TakenSlot {
  readonly slot: number
  /** 1 for its first holder. */
  readonly generation: number
}

/**
 * Numbers in shared memory for things that come and go. A slot that was left is free again only when every thread has
 * acknowledged a version without the thing it stood for, and nothing is counted in it any more.
 */
export class Slots {
  readonly #free: number[] = []
  readonly #generations: number[] = []
  readonly #left: LeftSlots

  constructor(memory: SlotMemory) {
    this.#left = new LeftSlots(memory)
  }

  /** So many have ever been given out: the tables must hold them. */
  get size(): number {
    return this.#generations.length
  }

  /** Those that have been free for longest come first; a number that was never used where there is none. */
  take(): TakenSlot {
    const slot = this.#free.shift() ?? this.#generations.length
    const generation = (this.#generations[slot] ?? 0) + 1
    this.#generations[slot] = generation
    return { slot, generation }
  }

  /** What the slot stood for is gone, from this version on. */
  leave(slot: number, version: number): void {
    this.#left.add(slot, version)
  }

  /** It was taken for something that did not come about: nobody was told of it. */
  giveBack(slot: number): void {
    this.#free.unshift(slot)
  }

  /** To be called every now and then: frees what nobody refers to. `known` is the version that every thread acknowledged. */
  look(known: number): void {
    this.#left.look(known, (slot) => this.#free.push(slot))
  }
}
