// Hot path: where a receiver is slower than a sender, every byte passes through here.

/** Lengths from which blocks are kept, as powers of two; below, what the engine allocates is cheap enough. */
const SMALLEST_POWER = 13
const LARGEST_POWER = 17
/** Blocks kept of each size: some 2 MiB a thread altogether. */
const KEPT_OF_EACH = 8

/**
 * Memory for bytes that the kernel would not take yet, used again and again: made anew for every write that is held up,
 * it would pile up faster than the engine collects it.
 */
export class SpareBlocks {
  readonly #spare: ArrayBufferLike[][] = []

  constructor() {
    for (let power = SMALLEST_POWER; power <= LARGEST_POWER; power++) this.#spare.push([])
  }

  /** A copy of [start, end), to be given back when it has served. */
  copy(buffer: Uint8Array, start: number, end: number): Uint8Array {
    const length = end - start
    const kind = kindOf(length)
    const copy = kind < 0 ? Buffer.allocUnsafeSlow(length) : this.#block(kind, length)
    copy.set(start === 0 && end === buffer.length ? buffer : buffer.subarray(start, end))
    return copy
  }

  #block(kind: number, length: number): Uint8Array {
    const memory = this.#spare[kind]!.pop() ?? new ArrayBuffer(1 << (kind + SMALLEST_POWER))
    return new Uint8Array(memory, 0, length)
  }

  giveBack(copy: Uint8Array): void {
    const kind = kindOf(copy.length)
    if (kind >= 0 && this.#spare[kind]!.length < KEPT_OF_EACH) this.#spare[kind]!.push(copy.buffer)
  }
}

/** Which size of block holds so many bytes; −1 for none. */
function kindOf(length: number): number {
  const power = 32 - Math.clz32(length - 1)
  return power < SMALLEST_POWER || power > LARGEST_POWER ? -1 : power - SMALLEST_POWER
}
