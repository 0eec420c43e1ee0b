/** What must be known of the memory that a slot stands for, before somebody else is given the slot. */
export interface SlotMemory {
  /** Whether nobody counts in the slot any more, on any thread. */
  isQuiet(slot: number): boolean
  /** Forgets what was counted. Called once, before the slot is given out again. */
  clear(slot: number): void
}

interface LeftSlot {
  readonly slot: number
  /** The first version without what it stood for. */
  readonly version: number
  quietLooks: number
}

/** How often in a row a slot must be found quiet: between two looks any thread finishes what it is at. */
const QUIET_LOOKS = 2

/** Slots that were left and wait until nobody refers to them. */
export class LeftSlots {
  readonly #memory: SlotMemory
  #left: LeftSlot[] = []

  constructor(memory: SlotMemory) {
    this.#memory = memory
  }

  /** What the slot stood for is gone, from this version on. */
  add(slot: number, version: number): void {
    this.#left.push({ slot, version, quietLooks: 0 })
  }

  /** To be called every now and then: `free` gets what nobody refers to. `known` is the version that every thread acknowledged. */
  look(known: number, free: (slot: number) => void): void {
    if (this.#left.length === 0) return
    this.#left = this.#left.filter((left) => {
      const isQuiet = left.version <= known && this.#memory.isQuiet(left.slot)
      left.quietLooks = isQuiet ? left.quietLooks + 1 : 0
      if (left.quietLooks < QUIET_LOOKS) return true
      this.#memory.clear(left.slot)
      free(left.slot)
      return false
    })
  }
}
