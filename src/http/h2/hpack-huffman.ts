// Hot path: strings of header blocks, a byte at a time.

/**
 * How many bits the code of each byte has, and last that of EOS (RFC 7541, appendix B). The code is canonical: codes of
 * one length are consecutive, in the order of their symbols, so that the lengths say it all.
 */
// biome-ignore format: sixteen a line, as bytes are read
const CODE_LENGTHS = new Uint8Array([
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
  28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
  5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
  6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
  24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
  21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
  26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
  30,
])

const EOS = 256
const LONGEST = 30
const CODES = new Uint32Array(CODE_LENGTHS.length)

let code = 0
for (let length = 1; length <= LONGEST; length++) {
  for (let symbol = 0; symbol <= EOS; symbol++) if (CODE_LENGTHS[symbol] === length) CODES[symbol] = code++
  code *= 2
}

/**
 * The decoder as a machine that takes a byte a step. Its states are the inner nodes of the code's tree, of which there
 * are 256, the root being 0. A word at `state * 256 + byte` holds the next state (bits 0–7), how many symbols the step
 * completes (8–9) and which (10–17, 18–25): a byte completes two at the most, as no code has less than five bits. It is
 * −1 where EOS comes out, which RFC 7541 5.2 forbids.
 */
let steps: Int32Array | undefined
/** States that a string may end in: less than eight bits into a code, all of them ones. */
const MAY_END = new Uint8Array(256)

function makeSteps(): Int32Array {
  const children = new Int16Array(512)
  let nodes = 1
  for (let symbol = 0; symbol <= EOS; symbol++) {
    let node = 0
    for (let bit = CODE_LENGTHS[symbol]! - 1; bit > 0; bit--) {
      const child = node * 2 + ((CODES[symbol]! >>> bit) & 1)
      node = children[child] ||= nodes++
    }
    children[node * 2 + (CODES[symbol]! & 1)] = -1 - symbol
  }
  for (let node = 0, bits = 0; bits < 8; bits++) {
    MAY_END[node] = 1
    node = children[node * 2 + 1]!
  }
  const made = new Int32Array(256 * 256)
  for (let at = 0; at < made.length; at++) made[at] = step(children, at >> 8, at & 255)
  return made
}

function step(children: Int16Array, state: number, byte: number): number {
  let node = state
  let count = 0
  let symbols = 0
  for (let bit = 7; bit >= 0; bit--) {
    const child = children[node * 2 + ((byte >> bit) & 1)]!
    node = Math.max(child, 0)
    if (child >= 0) continue
    if (child === -1 - EOS) return -1
    symbols |= (-1 - child) << (10 + 8 * count++)
  }
  return node | (count << 8) | symbols
}

/** Room that decoding `length` bytes can take: eight bits a byte, five a symbol, and what the last step writes beyond. */
export function huffmanRoom(length: number): number {
  return Math.ceil((length * 8) / 5) + 2
}

/**
 * Decodes [from, to) to `at` and returns where it ends, or −1 for what is no Huffman code (RFC 7541, 5.2). The caller
 * has made room for `huffmanRoom(to - from)`.
 */
export function huffmanDecode(out: Uint8Array, at: number, buffer: Uint8Array, from: number, to: number): number {
  const table = (steps ??= makeSteps())
  let state = 0
  for (let i = from; i < to; i++) {
    const word = table[state * 256 + buffer[i]!]!
    if (word < 0) return -1
    out[at] = word >> 10
    out[at + 1] = word >> 18
    at += (word >> 8) & 3
    state = word & 255
  }
  return MAY_END[state] === 1 ? at : -1
}

/** Bytes that [from, to) takes as Huffman code. */
export function huffmanLength(buffer: Uint8Array, from: number, to: number): number {
  let bits = 7
  for (let i = from; i < to; i++) bits += CODE_LENGTHS[buffer[i]!]!
  return bits >>> 3
}

/** Encodes [from, to) to `at` and returns where it ends. The caller has made room for `huffmanLength`. */
export function huffmanEncode(out: Uint8Array, at: number, buffer: Uint8Array, from: number, to: number): number {
  // Fewer than eight bits wait in `pending` between symbols; the longest code, 28 bits for a byte, is put in by halves.
  let pending = 0
  let bits = 0
  for (let i = from; i < to; i++) {
    const byte = buffer[i]!
    let length = CODE_LENGTHS[byte]!
    const symbol = CODES[byte]!
    if (length > 16) {
      length -= 16
      pending = (pending << length) | (symbol >>> 16)
      for (bits += length; bits >= 8; ) out[at++] = pending >>> (bits -= 8)
      pending = ((pending & 255) << 16) | (symbol & 0xffff)
      bits += 16
    } else {
      pending = ((pending & 255) << length) | symbol
      bits += length
    }
    while (bits >= 8) out[at++] = pending >>> (bits -= 8)
  }
  // Padded with the beginning of EOS, which is all ones.
  if (bits > 0) out[at++] = (pending << (8 - bits)) | (255 >> bits)
  return at
}
