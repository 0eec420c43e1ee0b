// Hot path: every byte of a head that goes out passes here.
import { LOWER, ZERO } from './characters.js'

/** The bytes of a constant; every character must be below 256. */
export function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0))
}

/** From this length on, making a view for the engine's own copy costs less than a loop; found by measuring. */
const COPY_BY_VIEW = 48

/** Copies [from, to) of `source` to `at` and returns where it ends. The caller has made sure that it fits. */
export function copyBytes(out: Uint8Array, at: number, source: Uint8Array, from: number, to: number): number {
  const length = to - from
  if (length >= COPY_BY_VIEW) {
    // Not `subarray`: on a Buffer it goes the long way round by the species.
    out.set(new Uint8Array(source.buffer, source.byteOffset + from, length), at)
    return at + length
  }
  for (let i = 0; i < length; i++) out[at + i] = source[from + i]!
  return at + length
}

/** Copies all of `source` to `at` and returns where it ends. */
export function copyAll(out: Uint8Array, at: number, source: Uint8Array): number {
  out.set(source, at)
  return at + source.length
}

/** Writes a whole number, 0 to 2^53 − 1, in decimal. */
export function writeDecimal(out: Uint8Array, at: number, value: number): number {
  let digits = 1
  for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) digits++
  let rest = value
  for (let i = at + digits - 1; i >= at; i--) {
    const next = Math.floor(rest / 10)
    out[i] = ZERO + (rest - next * 10)
    rest = next
  }
  return at + digits
}

/** True when [from, to) is `lowerCase`, letters compared without case. */
export function equalsIgnoringCase(buffer: Uint8Array, from: number, to: number, lowerCase: Uint8Array): boolean {
  if (to - from !== lowerCase.length) return false
  for (let i = 0; from + i < to; i++) {
    if (LOWER[buffer[from + i]!] !== lowerCase[i]) return false
  }
  return true
}
