/** What a pool of slots needs to know of the memory that they stand for. */
export interface SlotMemory {
  /** Whether nobody counts in the slot any more, on any thread. */
  isQuiet(slot: number): boolean
  /** Forgets what was counted. Called once, before the slot is given out again. */
  clear(slot: number): void
}

/** A slot, and which of its holders this one is. */
export interface TakenSlot {
  readonly slot: number
  /** 1 for its first holder. */
  readonly generation: number
}

interface LeftSlot {
  readonly slot: number
  /** The first version without what it stood for. */
  readonly version: number
  quietLooks: number
}

/** How often in a row a slot must be found quiet: between two looks any thread finishes what it is at. */
const QUIET_LOOKS = 2

/**
 * Numbers in shared memory for things that come and go. A slot that was left is free again only when every thread has
 * acknowledged a version without the thing it stood for, and nothing is counted in it any more.
 */
export class Slots {
  readonly #memory: SlotMemory
  readonly #free: number[] = []
  readonly #generations: number[] = []
  #left: LeftSlot[] = []

  constructor(memory: SlotMemory) {
    this.#memory = memory
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
    this.#left.push({ slot, version, quietLooks: 0 })
  }

  /** It was taken for something that did not come about: nobody was told of it. */
  giveBack(slot: number): void {
    this.#free.unshift(slot)
  }

  /** To be called every now and then: frees what nobody refers to. `known` is the version that every thread acknowledged. */
  look(known: number): void {
    if (this.#left.length === 0) return
    this.#left = this.#left.filter((left) => {
      const isQuiet = left.version <= known && this.#memory.isQuiet(left.slot)
      left.quietLooks = isQuiet ? left.quietLooks + 1 : 0
      if (left.quietLooks < QUIET_LOOKS) return true
      this.#memory.clear(left.slot)
      this.#free.push(left.slot)
      return false
    })
  }
}
