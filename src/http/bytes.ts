// Hot path: every byte of a head that goes out passes here.
import { LOWER, ZERO } from './characters.js'

/** The bytes of a constant; every character must be below 256. */
export function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0))
}

/**
 * From this length on the engine's own copy is the fastest, although it takes a view that has to be made; below, words
 * at a time, and below that a plain loop. Found by measuring.
 */
const COPY_BY_VIEW = 256
const COPY_BY_WORDS = 16
const WORD_BYTES = 4

// Making a view costs several times what it copies. What was copied last is nearly always the thread's two static buffers;
// HTTP/2 has some more: a table and a block of frames of each connection, and what fields lie in on their way.
let source: Uint8Array = new Uint8Array(0)
let sourceView = new DataView(source.buffer)
let target: Uint8Array = source
let targetView = sourceView
const KEPT_VIEWS = 16
const kept: Uint8Array[] = new Array<Uint8Array>(KEPT_VIEWS).fill(source)
const views: DataView[] = new Array<DataView>(KEPT_VIEWS).fill(sourceView)
let oldest = 0
/** Larger memory must not stay alive for its view. */
const KEPT_VIEW_BYTES = 256 * 1024

function keptView(bytes: Uint8Array): DataView {
  for (let i = 0; i < KEPT_VIEWS; i++) if (kept[i] === bytes) return views[i]!
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.buffer.byteLength > KEPT_VIEW_BYTES) return view
  kept[oldest] = bytes
  views[oldest] = view
  oldest = (oldest + 1) % KEPT_VIEWS
  return view
}

/** The same bytes to be read in words, wherever those begin. */
export function viewOf(bytes: Uint8Array): DataView {
  if (bytes !== source) {
    source = bytes
    sourceView = keptView(bytes)
  }
  return sourceView
}

/** Copies [from, to) of `bytes` to `at` and returns where it ends. The caller has made sure that it fits. */
export function copyBytes(out: Uint8Array, at: number, bytes: Uint8Array, from: number, to: number): number {
  const length = to - from
  if (length >= COPY_BY_VIEW) {
    // Not `subarray`: on a Buffer it goes the long way round by the species.
    out.set(new Uint8Array(bytes.buffer, bytes.byteOffset + from, length), at)
    return at + length
  }
  let i = 0
  if (length >= COPY_BY_WORDS) {
    const view = viewOf(bytes)
    if (out !== target) {
      target = out
      targetView = keptView(out)
    }
    const last = length - WORD_BYTES
    for (; i <= last; i += WORD_BYTES) targetView.setInt32(at + i, view.getInt32(from + i, true), true)
  }
  for (; i < length; i++) out[at + i] = bytes[from + i]!
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
