// Hot path: every header block that is received.
import { copyBytes } from '../bytes.js'
import { HEADER_CONTENT_TYPE, headerId } from '../header-names.js'
import { FIELD_WORDS, type FieldList } from './field-list.js'
import { DEFAULT_HEADER_TABLE_BYTES } from './frames.js'
import { huffmanDecode, huffmanRoom } from './hpack-huffman.js'
import {
  STATIC_BYTES,
  STATIC_COUNT,
  STATIC_NAME_LENGTH,
  STATIC_START,
  STATIC_VALUE_LENGTH,
} from './hpack-static-table.js'
import { DynamicTable, ENTRY_OVERHEAD_BYTES } from './hpack-table.js'

export const BLOCK_OK = 0
/** The fields are larger than allowed, but the table is in step: only the message is lost. */
export const BLOCK_TOO_LARGE = 1
/** Not HPACK; the tables of both sides differ from here on. */
export const BLOCK_MALFORMED = 2
/** So large that decoding was given up; the tables differ from here on. */
export const BLOCK_BOMB = 3
export type BlockOutcome = typeof BLOCK_OK | typeof BLOCK_TOO_LARGE | typeof BLOCK_MALFORMED | typeof BLOCK_BOMB

/** Larger integers can be nothing that is valid here; four continuation bytes hold them. */
const LAST_SHIFT = 21

/** Decodes the header blocks of one connection, in the order in which they come (RFC 7541). */
export class HpackDecoder {
  readonly #table = new DynamicTable(DEFAULT_HEADER_TABLE_BYTES)
  readonly #maxListBytes: number
  readonly #maxDecodedBytes: number
  /** What the peer may set the table's capacity to: HEADER_TABLE_SIZE as acknowledged. */
  #limit = DEFAULT_HEADER_TABLE_BYTES
  /** The limit fell below what the peer uses: the next block has to begin by saying that it uses less (RFC 7541, 4.2). */
  #mustShrink = false
  /** Where the integer or string read last ends in the block. */
  #at = 0

  /** Both bounds count as RFC 9113 6.5.2 does: names, values, and 32 bytes a field. */
  constructor(maxListBytes: number, maxDecodedBytes: number) {
    this.#maxListBytes = maxListBytes
    this.#maxDecodedBytes = maxDecodedBytes
  }

  /** The peer has acknowledged our HEADER_TABLE_SIZE. */
  setLimit(bytes: number): void {
    this.#limit = bytes
    if (bytes < this.#table.capacity) this.#mustShrink = true
  }

  /** Appends the fields of the whole block [at, end) to `fields`; when it is too large or malformed, some of them. */
  decode(block: Uint8Array, at: number, end: number, fields: FieldList): BlockOutcome {
    let mayResize = true
    let decoded = 0
    this.#at = at
    while (this.#at < end) {
      const first = block[this.#at]!
      if (first >= 0x20 && first < 0x40) {
        if (!mayResize || !this.#resize(block, end)) return BLOCK_MALFORMED
        continue
      }
      if (this.#mustShrink) return BLOCK_MALFORMED
      mayResize = false
      const before = fields.end
      const known =
        first >= 0x80
          ? this.#indexed(this.#integer(block, end, 0x7f), fields)
          : first >= 0x40
            ? this.#literal(block, end, 0x3f, fields)
            : this.#literal(block, end, 0x0f, fields)
      if (!known) return BLOCK_MALFORMED
      if (first >= 0x40 && first < 0x80) this.#remember(fields)
      decoded += fields.end - before + ENTRY_OVERHEAD_BYTES
      if (decoded > this.#maxListBytes) {
        if (decoded > this.#maxDecodedBytes) return BLOCK_BOMB
        if (isContentType(fields)) continue
        fields.end = before
        fields.count--
      }
    }
    return decoded > this.#maxListBytes ? BLOCK_TOO_LARGE : BLOCK_OK
  }

  /** A change of the table's capacity (RFC 7541, 6.3). */
  #resize(block: Uint8Array, end: number): boolean {
    const bytes = this.#integer(block, end, 0x1f)
    if (bytes < 0 || bytes > this.#limit) return false
    this.#table.setCapacity(bytes)
    this.#mustShrink = false
    return true
  }

  /** Appends the field with this index, static or dynamic (RFC 7541, 2.3.3). */
  #indexed(index: number, fields: FieldList): boolean {
    if (index <= 0) return false
    if (index <= STATIC_COUNT) {
      const nameStart = STATIC_START[index]!
      const valueStart = nameStart + STATIC_NAME_LENGTH[index]!
      const valueEnd = valueStart + STATIC_VALUE_LENGTH[index]!
      fields.push(STATIC_BYTES, nameStart, valueStart, STATIC_BYTES, valueStart, valueEnd)
      return true
    }
    const table = this.#table
    const number = table.inserted - (index - STATIC_COUNT)
    if (!table.has(number)) return false
    const nameStart = table.nameStart(number)
    const valueStart = nameStart + table.nameLength(number)
    const { bytes } = table
    fields.push(bytes, nameStart, valueStart, bytes, valueStart, valueStart + table.valueLength(number))
    return true
  }

  /** Appends a literal, its name by index or spelt out (RFC 7541, 6.2). */
  #literal(block: Uint8Array, end: number, mask: number, fields: FieldList): boolean {
    const index = this.#integer(block, end, mask)
    if (index < 0) return false
    const nameStart = fields.end
    const nameEnd = index === 0 ? this.#string(block, end, fields, nameStart) : this.#name(index, fields)
    if (nameEnd < 0) return false
    const valueEnd = this.#string(block, end, fields, nameEnd)
    if (valueEnd < 0) return false
    let at = fields.count++ * FIELD_WORDS
    const { offsets } = fields
    offsets[at++] = nameStart
    offsets[at++] = nameEnd
    offsets[at++] = nameEnd
    offsets[at] = valueEnd
    fields.end = valueEnd
    return true
  }

  /** Copies the name with this index to the end of the list and returns where it ends, −1 when there is none. */
  #name(index: number, fields: FieldList): number {
    let bytes = STATIC_BYTES
    let start = 0
    let length = 0
    if (index <= STATIC_COUNT) {
      start = STATIC_START[index]!
      length = STATIC_NAME_LENGTH[index]!
    } else {
      const table = this.#table
      const number = table.inserted - (index - STATIC_COUNT)
      if (!table.has(number)) return -1
      bytes = table.bytes
      start = table.nameStart(number)
      length = table.nameLength(number)
    }
    fields.reserve(length)
    return copyBytes(fields.bytes, fields.end, bytes, start, start + length)
  }

  /** Decodes a string (RFC 7541, 5.2) to `to` in the list's arena and returns where it ends, −1 for none. */
  #string(block: Uint8Array, end: number, fields: FieldList, to: number): number {
    const huffman = this.#at < end && block[this.#at]! >= 0x80
    const length = this.#integer(block, end, 0x7f)
    const start = this.#at
    if (length < 0 || length > end - start) return -1
    this.#at = start + length
    // `reserve` keeps what is below `fields.end` only; a name that was just decoded lies beyond.
    const before = fields.end
    fields.end = to
    fields.reserve(huffman ? huffmanRoom(length) : length)
    fields.end = before
    if (huffman) return huffmanDecode(fields.bytes, to, block, start, start + length)
    return copyBytes(fields.bytes, to, block, start, start + length)
  }

  /** Puts the field appended last into the table. */
  #remember({ bytes, offsets, count }: FieldList): void {
    const at = (count - 1) * FIELD_WORDS
    const nameStart = offsets[at]!
    const valueStart = offsets[at + 2]!
    this.#table.insert(bytes, nameStart, offsets[at + 1]! - nameStart, bytes, valueStart, offsets[at + 3]! - valueStart)
  }

  /** An integer (RFC 7541, 5.1) at `#at`, −1 when the block ends in it or it is too large to be anything. */
  #integer(block: Uint8Array, end: number, mask: number): number {
    let at = this.#at
    if (at >= end) return -1
    let value = block[at++]! & mask
    if (value === mask) {
      let byte = 0
      let shift = 0
      do {
        if (at === end || shift > LAST_SHIFT) return -1
        byte = block[at++]!
        value += (byte & 0x7f) << shift
        shift += 7
      } while (byte >= 0x80)
    }
    this.#at = at
    return value
  }
}

/** Whether the field appended last is the one by which a message that is too large is answered in its own way. */
function isContentType({ bytes, offsets, count }: FieldList): boolean {
  const at = (count - 1) * FIELD_WORDS
  return headerId(bytes, offsets[at]!, offsets[at + 1]!) === HEADER_CONTENT_TYPE
}
