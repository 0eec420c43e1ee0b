// Hot path: one header line, from where the parser found it.
import { copyBytes } from './bytes.js'
import { COLON, CR, LF, SP } from './characters.js'
import { NAME_END, NAME_START, VALUE_END, VALUE_START } from './head-layout.js'

export function endLine(out: Uint8Array, at: number): number {
  out[at] = CR
  out[at + 1] = LF
  return at + 2
}

/**
 * True when the line stands in the buffer byte for byte as `writeLine` would write it: one space after the colon, none
 * after the value, CRLF. Behind a CR the parser has made sure of the LF.
 */
export function isPlainLine(headers: Int32Array, entry: number, buffer: Uint8Array, start: number): boolean {
  const nameEnd = headers[entry + NAME_END]!
  return (
    headers[entry + VALUE_START] === nameEnd + 2 &&
    buffer[start + nameEnd + 1] === SP &&
    buffer[start + headers[entry + VALUE_END]!] === CR
  )
}

/** Writes `name: value` and CRLF, name and value as received. */
export function writeLine(
  out: Uint8Array,
  at: number,
  headers: Int32Array,
  entry: number,
  buffer: Uint8Array,
  start: number,
): number {
  at = copyBytes(out, at, buffer, start + headers[entry + NAME_START]!, start + headers[entry + NAME_END]!)
  out[at++] = COLON
  out[at++] = SP
  at = copyBytes(out, at, buffer, start + headers[entry + VALUE_START]!, start + headers[entry + VALUE_END]!)
  return endLine(out, at)
}
