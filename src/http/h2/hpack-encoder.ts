// Hot path: every header block that is sent.
import { copyBytes } from '../bytes.js'
import { FIELD_WORDS, type FieldList } from './field-list.js'
import { DEFAULT_HEADER_TABLE_BYTES } from './frames.js'
import { huffmanEncode, huffmanLength } from './hpack-huffman.js'
import {
  STATIC_BYTES,
  STATIC_COUNT,
  STATIC_NAME_LENGTH,
  STATIC_START,
  STATIC_VALUE_LENGTH,
  staticNameIndex,
} from './hpack-static-table.js'
import { DynamicTable, ENTRY_OVERHEAD_BYTES } from './hpack-table.js'

/** Every integer that is written here takes at most this much. */
const INTEGER_BYTES = 5
/** Shorter cookies could be guessed by watching how well they compress (RFC 7541, 7.1.3). */
const SHORT_COOKIE_BYTES = 20

/** Differs from message to message: it would only push others out. */
const NO_INDEX = 1
/** A secret: no hop may index it (RFC 7541, 7.1.3). */
const NEVER_INDEX = 2

/** By static index of the name. */
const POLICY = new Uint8Array(STATIC_COUNT + 1)
for (const name of [
  ...[':path', 'age', 'content-length', 'content-range', 'etag', 'if-match', 'if-modified-since', 'if-none-match'],
  ...['if-range', 'if-unmodified-since', 'last-modified', 'location', 'range'],
]) {
  POLICY[staticNameIndex(name)] = NO_INDEX
}
for (const name of ['authorization', 'proxy-authorization', 'set-cookie']) POLICY[staticNameIndex(name)] = NEVER_INDEX
const COOKIE = staticNameIndex('cookie')

// FNV-1a, over the name and on over the value.
const HASH_START = 0x811c9dc5 | 0
const HASH_FACTOR = 0x01000193

function hash(start: number, bytes: Uint8Array, from: number, to: number): number {
  let mixed = start
  for (let i = from; i < to; i++) mixed = Math.imul(mixed ^ bytes[i]!, HASH_FACTOR)
  return mixed
}

/** The low bits of FNV see few of the input's. */
function slot(mixed: number, mask: number): number {
  return (mixed ^ (mixed >>> 15)) & mask
}

/** Static indices by hash, open addressing; the first index of a name, and each name with its value. */
const STATIC_MASK = 255
const STATIC_NAMES = new Uint8Array(STATIC_MASK + 1)
const STATIC_FIELDS = new Uint8Array(STATIC_MASK + 1)
for (let index = STATIC_COUNT; index > 0; index--) {
  const start = STATIC_START[index]!
  const nameEnd = start + STATIC_NAME_LENGTH[index]!
  const mixed = hash(HASH_START, STATIC_BYTES, start, nameEnd)
  const valueLength = STATIC_VALUE_LENGTH[index]!
  if (valueLength > 0) {
    place(STATIC_FIELDS, hash(mixed, STATIC_BYTES, nameEnd, nameEnd + valueLength), index)
  }
  if (findStaticName(mixed, STATIC_BYTES, start, nameEnd) === 0) place(STATIC_NAMES, mixed, index)
  else replaceName(mixed, STATIC_BYTES, start, nameEnd, index)
}

function place(table: Uint8Array, mixed: number, index: number): void {
  let at = slot(mixed, STATIC_MASK)
  while (table[at] !== 0) at = (at + 1) & STATIC_MASK
  table[at] = index
}

/** Going down through the indices, the lowest one with a name is what stays. */
function replaceName(mixed: number, bytes: Uint8Array, from: number, to: number, index: number): void {
  const old = findStaticName(mixed, bytes, from, to)
  STATIC_NAMES[STATIC_NAMES.indexOf(old)] = index
}

function findStaticName(mixed: number, bytes: Uint8Array, from: number, to: number): number {
  const length = to - from
  for (let at = slot(mixed, STATIC_MASK); ; at = (at + 1) & STATIC_MASK) {
    const index = STATIC_NAMES[at]!
    if (index === 0) return 0
    if (STATIC_NAME_LENGTH[index] === length && sameBytes(STATIC_BYTES, STATIC_START[index]!, bytes, from, length))
      return index
  }
}

/** Name and value lie side by side in a list's arena, as in the static table: one comparison is for both. */
function findStaticField(mixed: number, bytes: Uint8Array, from: number, nameLength: number, length: number): number {
  for (let at = slot(mixed, STATIC_MASK); ; at = (at + 1) & STATIC_MASK) {
    const index = STATIC_FIELDS[at]!
    if (index === 0) return 0
    if (
      STATIC_NAME_LENGTH[index] === nameLength &&
      STATIC_VALUE_LENGTH[index] === length - nameLength &&
      sameBytes(STATIC_BYTES, STATIC_START[index]!, bytes, from, length)
    )
      return index
  }
}

function sameBytes(left: Uint8Array, leftFrom: number, right: Uint8Array, rightFrom: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (left[leftFrom + i] !== right[rightFrom + i]) return false
  return true
}

/** Until the first field that could be indexed. */
const NO_CHAINS = new Int32Array(0)
/** Chains that entries of the dynamic table hang in by their hashes. */
const CHAIN_MASK = 127
const SEEN_MASK = 255

/**
 * Encodes the header blocks of one connection, in the order in which they go out (RFC 7541). Into the dynamic table goes
 * a field whose name is in no table yet, or that has been seen before: what differs each time, like a request's id, does
 * not push out what is the same each time.
 */
export class HpackEncoder {
  readonly #table = new DynamicTable(DEFAULT_HEADER_TABLE_BYTES)
  readonly #maxTableBytes: number
  /** What the next block must begin by announcing: the lowest capacity since the last one, and the one now; −1 for none. */
  #announceLowest = -1
  #announce = -1
  // By hash the newest entry of a chain, by number the next older one. A chain ends at one that was evicted: whatever is
  // older was, too, and so nothing ever has to be taken out.
  #names = NO_CHAINS
  #fields = NO_CHAINS
  #olderName = NO_CHAINS
  #olderField = NO_CHAINS
  #entryMask = 0
  /** Hashes of fields that were sent lately and not indexed, each in one of two places. */
  #seen = NO_CHAINS
  #turn = 0

  /** `maxTableBytes`: no more is used, whatever the peer allows. */
  constructor(maxTableBytes: number) {
    this.#maxTableBytes = maxTableBytes
    if (maxTableBytes < DEFAULT_HEADER_TABLE_BYTES) this.setPeerLimit(DEFAULT_HEADER_TABLE_BYTES)
  }

  /** The peer's HEADER_TABLE_SIZE (RFC 7541, 4.2). */
  setPeerLimit(bytes: number): void {
    const capacity = Math.min(bytes, this.#maxTableBytes)
    if (capacity === this.#table.capacity && this.#announce < 0) return
    this.#table.setCapacity(capacity)
    this.#announceLowest = this.#announceLowest < 0 ? capacity : Math.min(this.#announceLowest, capacity)
    this.#announce = capacity
  }

  /** Room that encoding `fields` can take. */
  bound(fields: FieldList): number {
    return fields.end + fields.count * (2 * INTEGER_BYTES + 1) + 2 * INTEGER_BYTES
  }

  /** Writes the block to `at` and returns where it ends. The caller has made room for `bound(fields)`. */
  encode(fields: FieldList, out: Uint8Array, at: number): number {
    if (this.#announce >= 0) {
      if (this.#announceLowest < this.#announce) at = writeInteger(out, at, 0x20, 0x1f, this.#announceLowest)
      at = writeInteger(out, at, 0x20, 0x1f, this.#announce)
      this.#announceLowest = -1
      this.#announce = -1
    }
    const { bytes, offsets, count } = fields
    for (let word = 0; word < count * FIELD_WORDS; word += FIELD_WORDS) {
      at = this.#field(out, at, bytes, offsets[word]!, offsets[word + 1]!, offsets[word + 2]!, offsets[word + 3]!)
    }
    return at
  }

  #field(
    out: Uint8Array,
    at: number,
    bytes: Uint8Array,
    nameStart: number,
    nameEnd: number,
    valueStart: number,
    valueEnd: number,
  ): number {
    const nameLength = nameEnd - nameStart
    const nameHash = hash(HASH_START, bytes, nameStart, nameEnd)
    const staticName = findStaticName(nameHash, bytes, nameStart, nameEnd)
    let policy = POLICY[staticName]!
    if (staticName === COOKIE && valueEnd - valueStart < SHORT_COOKIE_BYTES) policy = NEVER_INDEX
    if (policy === NEVER_INDEX) {
      at = writeInteger(out, at, 0x10, 0x0f, staticName)
      return writeString(out, at, bytes, valueStart, valueEnd)
    }
    const fieldHash = hash(nameHash, bytes, valueStart, valueEnd)
    if (staticName > 0 && nameEnd === valueStart) {
      const index = findStaticField(fieldHash, bytes, nameStart, nameLength, valueEnd - nameStart)
      if (index > 0) return writeInteger(out, at, 0x80, 0x7f, index)
    }
    if (policy === NO_INDEX) {
      at = writeInteger(out, at, 0x00, 0x0f, staticName)
      return writeString(out, at, bytes, valueStart, valueEnd)
    }
    const table = this.#table
    if (this.#names === NO_CHAINS) this.#begin()
    const known = this.#findField(fieldHash, bytes, nameStart, nameLength, valueStart, valueEnd - valueStart)
    if (known >= 0) return writeInteger(out, at, 0x80, 0x7f, STATIC_COUNT + table.inserted - known)
    let nameIndex = staticName
    if (nameIndex === 0) {
      const number = this.#findName(nameHash, bytes, nameStart, nameLength)
      if (number >= 0) nameIndex = STATIC_COUNT + table.inserted - number
    }
    const worth = nameIndex === 0 || this.#wasSeen(fieldHash)
    const size = nameLength + (valueEnd - valueStart) + ENTRY_OVERHEAD_BYTES
    // What would push out most of the others is not worth it.
    const indexed = worth && size * 4 <= table.capacity * 3
    at = indexed ? writeInteger(out, at, 0x40, 0x3f, nameIndex) : writeInteger(out, at, 0x00, 0x0f, nameIndex)
    if (nameIndex === 0) at = writeString(out, at, bytes, nameStart, nameEnd)
    at = writeString(out, at, bytes, valueStart, valueEnd)
    if (indexed) {
      this.#hang(this.#fields, this.#olderField, slot(fieldHash, CHAIN_MASK))
      this.#hang(this.#names, this.#olderName, slot(nameHash, CHAIN_MASK))
      table.insert(bytes, nameStart, nameLength, bytes, valueStart, valueEnd - valueStart)
    }
    return at
  }

  #begin(): void {
    let entries = 1
    while (entries * ENTRY_OVERHEAD_BYTES < this.#maxTableBytes) entries *= 2
    this.#entryMask = entries - 1
    this.#names = new Int32Array(CHAIN_MASK + 1).fill(-1)
    this.#fields = new Int32Array(CHAIN_MASK + 1).fill(-1)
    this.#olderName = new Int32Array(entries)
    this.#olderField = new Int32Array(entries)
    this.#seen = new Int32Array(SEEN_MASK + 1)
  }

  /** The next entry becomes the newest of a chain. */
  #hang(newest: Int32Array, older: Int32Array, chain: number): void {
    const number = this.#table.inserted
    older[number & this.#entryMask] = newest[chain]!
    newest[chain] = number
  }

  #findName(mixed: number, bytes: Uint8Array, from: number, length: number): number {
    const table = this.#table
    let number = this.#names[slot(mixed, CHAIN_MASK)]!
    while (table.has(number)) {
      if (this.#isName(number, bytes, from, length)) return number
      number = this.#olderName[number & this.#entryMask]!
    }
    return -1
  }

  #findField(
    mixed: number,
    bytes: Uint8Array,
    nameStart: number,
    nameLength: number,
    valueStart: number,
    valueLength: number,
  ): number {
    const table = this.#table
    let number = this.#fields[slot(mixed, CHAIN_MASK)]!
    while (table.has(number)) {
      if (table.valueLength(number) === valueLength && this.#isName(number, bytes, nameStart, nameLength)) {
        if (sameBytes(table.bytes, table.nameStart(number) + nameLength, bytes, valueStart, valueLength)) return number
      }
      number = this.#olderField[number & this.#entryMask]!
    }
    return -1
  }

  /** True when a field with this hash came before; from now on it did. */
  #wasSeen(mixed: number): boolean {
    const seen = this.#seen
    const one = mixed & SEEN_MASK
    const other = (mixed >>> 8) & SEEN_MASK
    if (seen[one] === mixed || seen[other] === mixed) return true
    seen[(++this.#turn & 1) === 0 ? one : other] = mixed
    return false
  }

  #isName(number: number, bytes: Uint8Array, from: number, length: number): boolean {
    const table = this.#table
    return table.nameLength(number) === length && sameBytes(table.bytes, table.nameStart(number), bytes, from, length)
  }
}

/** RFC 7541, 5.1: `pattern` are the bits above the prefix, `mask` the prefix. */
function writeInteger(out: Uint8Array, at: number, pattern: number, mask: number, value: number): number {
  if (value < mask) {
    out[at] = pattern | value
    return at + 1
  }
  out[at++] = pattern | mask
  let rest = value - mask
  for (; rest >= 0x80; rest >>>= 7) out[at++] = (rest & 0x7f) | 0x80
  out[at++] = rest
  return at
}

/** RFC 7541, 5.2: in Huffman code where that is shorter. */
function writeString(out: Uint8Array, at: number, bytes: Uint8Array, from: number, to: number): number {
  const coded = huffmanLength(bytes, from, to)
  if (coded < to - from) return huffmanEncode(out, writeInteger(out, at, 0x80, 0x7f, coded), bytes, from, to)
  return copyBytes(out, writeInteger(out, at, 0x00, 0x7f, to - from), bytes, from, to)
}
