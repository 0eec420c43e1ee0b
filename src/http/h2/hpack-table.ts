// Hot path: fields go in and out of it with nearly every header block.
import { copyBytes } from '../bytes.js'

/** What RFC 7541 4.1 counts for an entry on top of its name and value. */
export const ENTRY_OVERHEAD_BYTES = 32

const ENTRY_WORDS = 3
const FIRST_ENTRIES = 16
const FIRST_BYTES = 512

/**
 * The dynamic table of RFC 7541, 2.3.2, for either side. Entries have running numbers: `inserted − 1` is the newest,
 * `inserted − count` the oldest. Bytes lie in one arena, in the order in which they came; when its end is reached, what
 * is alive moves to the front. It never takes more than twice `capacity`, and nothing at all until the first entry.
 */
export class DynamicTable {
  bytes = new Uint8Array(0)
  count = 0
  /** Entries there have ever been. */
  inserted = 0
  /** As RFC 7541 4.1 counts it. */
  size = 0
  capacity: number
  #end = 0
  /** Start, length of name, length of value of entry n at `n & mask`. */
  #words = new Int32Array(0)
  #mask = -1

  constructor(capacity: number) {
    this.capacity = capacity
  }

  has(number: number): boolean {
    return number < this.inserted && number >= this.inserted - this.count
  }

  nameStart(number: number): number {
    return this.#words[(number & this.#mask) * ENTRY_WORDS]!
  }

  nameLength(number: number): number {
    return this.#words[(number & this.#mask) * ENTRY_WORDS + 1]!
  }

  valueLength(number: number): number {
    return this.#words[(number & this.#mask) * ENTRY_WORDS + 2]!
  }

  setCapacity(bytes: number): void {
    this.capacity = bytes
    this.#shrinkTo(bytes)
  }

  /** Adds a field whose name and value lie elsewhere. One larger than the table empties it, which is no error (4.4). */
  insert(
    name: Uint8Array,
    nameStart: number,
    nameLength: number,
    value: Uint8Array,
    valueStart: number,
    valueLength: number,
  ): void {
    const length = nameLength + valueLength
    this.#shrinkTo(this.capacity - length - ENTRY_OVERHEAD_BYTES)
    if (length + ENTRY_OVERHEAD_BYTES > this.capacity) return
    if (this.count > this.#mask) this.#widen()
    if (this.#end + length > this.bytes.length) this.#makeRoom(length)
    const start = this.#end
    const at = (this.inserted & this.#mask) * ENTRY_WORDS
    this.#words[at] = start
    this.#words[at + 1] = nameLength
    this.#words[at + 2] = valueLength
    copyBytes(this.bytes, start, name, nameStart, nameStart + nameLength)
    this.#end = copyBytes(this.bytes, start + nameLength, value, valueStart, valueStart + valueLength)
    this.inserted++
    this.count++
    this.size += length + ENTRY_OVERHEAD_BYTES
  }

  /** Evicts the oldest until no more than `bytes` are left. */
  #shrinkTo(bytes: number): void {
    while (this.count > 0 && this.size > bytes) {
      const oldest = this.inserted - this.count--
      this.size -= this.nameLength(oldest) + this.valueLength(oldest) + ENTRY_OVERHEAD_BYTES
    }
    if (this.count === 0) this.#end = 0
  }

  #widen(): void {
    const entries = Math.max(FIRST_ENTRIES, (this.#mask + 1) * 2)
    const words = new Int32Array(entries * ENTRY_WORDS)
    for (let number = this.inserted - this.count; number < this.inserted; number++) {
      const at = (number & (entries - 1)) * ENTRY_WORDS
      words[at] = this.nameStart(number)
      words[at + 1] = this.nameLength(number)
      words[at + 2] = this.valueLength(number)
    }
    this.#words = words
    this.#mask = entries - 1
  }

  #makeRoom(length: number): void {
    const first = this.count === 0 ? this.#end : this.nameStart(this.inserted - this.count)
    const alive = this.#end - first
    const { bytes } = this
    // With as much free as there may be alive, moving costs each byte no more than once or twice in its life.
    if (bytes.length < (alive + length) * 2 && bytes.length < this.capacity * 2) {
      const wider = Math.max(FIRST_BYTES, bytes.length * 2, alive + length)
      this.bytes = new Uint8Array(Math.min(wider, this.capacity * 2))
      this.bytes.set(bytes.subarray(first, this.#end))
    } else {
      bytes.copyWithin(0, first, this.#end)
    }
    for (let number = this.inserted - this.count; number < this.inserted; number++) {
      const at = (number & this.#mask) * ENTRY_WORDS
      this.#words[at] = this.#words[at]! - first
    }
    this.#end = alive
  }
}
