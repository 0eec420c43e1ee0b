/** Nested deeper is nothing that a frame has: a list of kinds, of rows, of fields. */
const MAX_DEPTH = 8

/**
 * Whether the bytes are exactly one MessagePack value of lists, texts, bytes, numbers, booleans and nil, whose lengths
 * hold. The library makes room for what a length promises before it looks whether it is there, and knows kinds that
 * build objects: a few bytes could ask for gigabytes.
 */
export function isPlainMessagePack(bytes: Uint8Array): boolean {
  return endOf(bytes, 0, 0) === bytes.length
}

/** Where the value at `at` ends; −1 where it is none, or more than there is. */
function endOf(bytes: Uint8Array, at: number, depth: number): number {
  const kind = bytes[at]
  if (kind === undefined) return -1
  const next = at + 1
  if (kind < 0x80 || kind >= 0xe0) return next
  if (kind < 0x90) return -1
  if (kind < 0xa0) return endOfList(bytes, next, kind & 0x0f, depth)
  if (kind < 0xc0) return endOfRun(bytes, next, kind & 0x1f)
  switch (kind) {
    case 0xc0:
    case 0xc2:
    case 0xc3:
      return next
    case 0xca:
    case 0xce:
    case 0xd2:
      return endOfRun(bytes, next, 4)
    case 0xcb:
    case 0xcf:
    case 0xd3:
      return endOfRun(bytes, next, 8)
    case 0xcc:
    case 0xd0:
      return endOfRun(bytes, next, 1)
    case 0xcd:
    case 0xd1:
      return endOfRun(bytes, next, 2)
    case 0xc4:
    case 0xd9:
      return endOfRun(bytes, next + 1, lengthAt(bytes, next, 1))
    case 0xc5:
    case 0xda:
      return endOfRun(bytes, next + 2, lengthAt(bytes, next, 2))
    case 0xc6:
    case 0xdb:
      return endOfRun(bytes, next + 4, lengthAt(bytes, next, 4))
    case 0xdc:
      return endOfList(bytes, next + 2, lengthAt(bytes, next, 2), depth)
    case 0xdd:
      return endOfList(bytes, next + 4, lengthAt(bytes, next, 4), depth)
    default:
      return -1
  }
}

/** A big-endian length; more than any frame has where it is cut. */
function lengthAt(bytes: Uint8Array, at: number, size: number): number {
  if (at + size > bytes.length) return Number.POSITIVE_INFINITY
  let length = 0
  for (let i = 0; i < size; i++) length = length * 256 + bytes[at + i]!
  return length
}

function endOfRun(bytes: Uint8Array, at: number, length: number): number {
  return at + length <= bytes.length ? at + length : -1
}

function endOfList(bytes: Uint8Array, at: number, count: number, depth: number): number {
  if (depth >= MAX_DEPTH || at + count > bytes.length) return -1
  let end = at
  for (let i = 0; i < count && end >= 0; i++) end = endOf(bytes, end, depth + 1)
  return end
}
