import { RE2JS } from 're2js'
import type { ValueMatch } from '../core/config-rules.js'

/** What a header, query parameter or cookie must be like. It is asked of each value that a request has by its name. */
export class ValueCondition {
  readonly name: string
  /** True: no value may be there at all. */
  readonly absent: boolean
  readonly #equal: Uint8Array | undefined
  readonly #regex: RE2JS | undefined

  constructor({ name, is, value }: ValueMatch) {
    this.name = name
    this.absent = is === 'absent'
    this.#equal = is === 'equal' ? Buffer.from(value, 'utf8') : undefined
    this.#regex = is === 'matching' ? RE2JS.compile(value) : undefined
  }

  /** Whether the value in [from, to) is what is asked for; any is where it must only be there. */
  accepts(buffer: Uint8Array, from: number, to: number): boolean {
    const equal = this.#equal
    if (equal !== undefined) {
      if (equal.length !== to - from) return false
      for (let i = 0; i < equal.length; i++) if (buffer[from + i] !== equal[i]) return false
      return true
    }
    return this.#regex === undefined || this.#regex.test(textOf(buffer, from, to))
  }
}

/** What is no UTF-8 becomes U+FFFD, which no expression names by accident. */
export function textOf(buffer: Uint8Array, from: number, to: number): string {
  return Buffer.from(buffer.buffer, buffer.byteOffset + from, to - from).toString('utf8')
}
