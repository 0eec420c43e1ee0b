/** Sorts of bytes between which a parser changes its state. */
function sortOf(byte: number): number {
  if (byte === 0x0d || byte === 0x0a) return byte
  if (byte === 0x20 || byte === 0x09) return 1
  if (byte === 0x3a || byte === 0x3b || byte === 0x2f || byte === 0x25) return 2
  if (byte >= 0x30 && byte <= 0x39) return 3
  return byte > 0x7e ? 4 : 5
}

/** The bytes cut wherever their sort changes, in not more than `most` pieces. */
export function cutBySort(bytes: Uint8Array, most = Number.POSITIVE_INFINITY): Uint8Array[] {
  const pieces: Uint8Array[] = []
  let from = 0
  for (let at = 1; at < bytes.length && pieces.length < most - 1; at++) {
    const last = bytes[at - 1]!
    // A line end is cut within as well.
    if (sortOf(bytes[at]!) === sortOf(last) && last !== 0x0d && last !== 0x0a) continue
    pieces.push(bytes.subarray(from, at))
    from = at
  }
  if (from < bytes.length) pieces.push(bytes.subarray(from))
  return pieces
}

export function cutEverywhere(bytes: Uint8Array): Uint8Array[] {
  return Array.from(bytes, (_, at) => bytes.subarray(at, at + 1))
}

export function cutAt(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const ends = [...new Set([...places.filter((place) => place > 0 && place < bytes.length), bytes.length])]
  ends.sort((a, b) => a - b)
  return ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end))
}
