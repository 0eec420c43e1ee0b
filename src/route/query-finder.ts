// Hot path of rules that look at the query. Bytes in place; only what is escaped is copied.
import { EQUALS, HEX, PERCENT, SP } from '../http/characters.js'

const AMPERSAND = 0x26
const PLUS = 0x2b
const NOT_HEX = 255

/**
 * Finds the values of one parameter in a query as forms write it (URL Standard, application/x-www-form-urlencoded): pairs
 * apart by "&", escapes and "+" decoded in names and values. After a find the value lies in [valueStart, valueEnd) of
 * `bytes`.
 */
export class QueryFinder {
  bytes: Uint8Array = new Uint8Array(0)
  valueStart = 0
  valueEnd = 0
  /** Where the value of the last find stands in the query itself, escapes and all. */
  rawStart = 0
  rawEnd = 0
  readonly #name: Uint8Array
  #decoded = new Uint8Array(256)

  constructor(name: string) {
    this.#name = Buffer.from(name, 'utf8')
  }

  /** The next of that name in [from, to): where to go on from, −1 when there is none. */
  next(buffer: Uint8Array, from: number, to: number): number {
    for (let at = from; at < to; ) {
      let end = at
      while (end < to && buffer[end] !== AMPERSAND) end++
      let equals = at
      while (equals < end && buffer[equals] !== EQUALS) equals++
      if (end > at && this.#isName(buffer, at, equals)) {
        this.#takeValue(buffer, Math.min(equals + 1, end), end)
        return end + 1
      }
      at = end + 1
    }
    return -1
  }

  #isName(buffer: Uint8Array, from: number, to: number): boolean {
    const name = this.#name
    let index = 0
    for (let at = from; at < to; at++, index++) {
      let byte = buffer[at]!
      if (byte === PLUS) byte = SP
      else if (byte === PERCENT) {
        const escaped = escapedByte(buffer, at, to)
        if (escaped >= 0) {
          byte = escaped
          at += 2
        }
      }
      if (byte !== name[index]) return false
    }
    return index === name.length
  }

  #takeValue(buffer: Uint8Array, from: number, to: number): void {
    this.rawStart = from
    this.rawEnd = to
    let plain = from
    while (plain < to && buffer[plain] !== PERCENT && buffer[plain] !== PLUS) plain++
    if (plain === to) {
      this.bytes = buffer
      this.valueStart = from
      this.valueEnd = to
      return
    }
    if (this.#decoded.length < to - from) this.#decoded = new Uint8Array((to - from) * 2)
    this.bytes = this.#decoded
    this.valueStart = 0
    this.valueEnd = decodeQuery(this.#decoded, buffer, from, to)
  }
}

/** Writes [from, to) decoded to the beginning of `out`, which has room for as much. Returns its length. */
function decodeQuery(out: Uint8Array, buffer: Uint8Array, from: number, to: number): number {
  let length = 0
  for (let at = from; at < to; at++) {
    const byte = buffer[at]!
    const escaped = byte === PERCENT ? escapedByte(buffer, at, to) : -1
    if (escaped >= 0) at += 2
    out[length++] = escaped >= 0 ? escaped : byte === PLUS ? SP : byte
  }
  return length
}

/** The byte that the escape at `at` stands for; −1 where it is none, which then stands for itself. */
function escapedByte(buffer: Uint8Array, at: number, to: number): number {
  if (at + 2 >= to) return -1
  const high = HEX[buffer[at + 1]!]!
  const low = HEX[buffer[at + 2]!]!
  return high === NOT_HEX || low === NOT_HEX ? -1 : high * 16 + low
}
