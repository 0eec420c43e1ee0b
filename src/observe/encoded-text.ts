// Hot path: the parts of an access log line that repeat from line to line, encoded once and copied eight bytes at a time.
import { putString } from './json-bytes.js'

/** JSON text in ASCII as 64-bit words, the last one filled up. ASCII is never a NaN, so that the copy is exact. */
export interface Encoded {
  readonly words: Float64Array
  readonly length: number
}

/** Values remembered a field; more than there are targets in most groups, and soon made again when it overflows. */
const REMEMBERED = 512

/** Writes the text; up to seven bytes behind it are written as well, for what follows to overwrite. */
export function putEncoded(view: DataView, at: number, text: Encoded): number {
  const words = text.words
  for (let i = 0; i < words.length; i++) view.setFloat64(at + i * 8, words[i]!, true)
  return at + text.length
}

export function encode(text: string): Encoded {
  const length = Buffer.byteLength(text)
  const bytes = new Uint8Array(Math.ceil(length / 8) * 8)
  new TextEncoder().encodeInto(text, bytes)
  return { words: new Float64Array(bytes.buffer), length }
}

/** A field whose values come from the configuration or a short list: key and value are one remembered text. */
export class RepeatedField {
  readonly #key: string
  readonly #maxBytes: number
  readonly #known = new Map<string, Encoded>()
  #text: string
  #encoded: Encoded

  constructor(key: string, maxBytes: number) {
    this.#key = key
    this.#maxBytes = maxBytes
    this.#text = ''
    this.#encoded = this.#make('')
  }

  put(view: DataView, at: number, text: string): number {
    if (text !== this.#text) this.#select(text)
    return putEncoded(view, at, this.#encoded)
  }

  #select(text: string): void {
    let encoded = this.#known.get(text)
    if (encoded === undefined) {
      encoded = this.#make(text)
      if (this.#known.size >= REMEMBERED) this.#known.clear()
      this.#known.set(text, encoded)
    }
    this.#text = text
    this.#encoded = encoded
  }

  #make(text: string): Encoded {
    const bytes = new Uint8Array(this.#maxBytes + 16)
    const length = putString(bytes, 0, text, this.#maxBytes)
    return encode(this.#key + Buffer.from(bytes.buffer, 0, length).toString('latin1'))
  }
}
