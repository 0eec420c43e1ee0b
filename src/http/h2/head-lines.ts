// Hot path: one entry for each field of every head that comes by HTTP/2.
import { HTAB, SP } from '../characters.js'
import { HEADER_ID, HEADER_STRIDE, NAME_END, NAME_START, VALUE_END, VALUE_START } from '../head-layout.js'
import type { HeadBuffer } from './head-buffer.js'

const FIRST_LINES = 24

/** Where the field lines of a head lie that was just written, so that nobody has to read it to know: words as a parser has. */
export class HeadLines {
  words = new Int32Array(FIRST_LINES * HEADER_STRIDE)
  count = 0

  clear(): void {
    this.count = 0
  }

  /** The line `name: value` CRLF that `head` ends with, and that begins at `from`. */
  push(head: HeadBuffer, from: number, nameLength: number, id: number): void {
    const at = this.count++ * HEADER_STRIDE
    if (at === this.words.length) {
      const wider = new Int32Array(this.words.length * 2)
      wider.set(this.words)
      this.words = wider
    }
    const { bytes } = head
    const valueStart = from + nameLength + 2
    let valueEnd = head.length - 2
    // Crumbs that are empty leave a space.
    while (valueEnd > valueStart && (bytes[valueEnd - 1] === SP || bytes[valueEnd - 1] === HTAB)) valueEnd--
    const { words } = this
    words[at + NAME_START] = from
    words[at + NAME_END] = from + nameLength
    words[at + VALUE_START] = valueStart
    words[at + VALUE_END] = valueEnd
    words[at + HEADER_ID] = id
  }
}
