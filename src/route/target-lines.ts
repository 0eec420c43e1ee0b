// Hot path of rules that add lines to answers: once per answer, a look-up.
import type { HeaderValue } from '../core/config-rules.js'
import { parseTemplate, type TemplatePart } from '../core/template.js'
import { latin1 } from '../http/bytes.js'

/** Ids are an address with its port, or a name. */
export const LONGEST_TARGET_ID = 320
const UNSEEN = /[^\x21-\x7e]/g
/** Targets come and go; beyond so many all are forgotten. */
const MOST_TARGETS = 4_096

/** A target's id as fields tell it. */
export function shownTarget(id: string): string {
  return id.slice(0, LONGEST_TARGET_ID).replace(UNSEEN, '?')
}

interface Written {
  readonly name: string
  readonly parts: readonly TemplatePart[]
}

/** Header lines that tell of the target at most, and of nothing else of a request: made once for each target. */
export class TargetLines {
  readonly #written: readonly Written[]
  readonly #known = new Map<string, Uint8Array>()
  #lastId: string | undefined
  #last: Uint8Array = new Uint8Array(0)

  private constructor(written: readonly Written[]) {
    this.#written = written
  }

  /** Undefined where a line tells of something else, or where they may be longer than `most` bytes. */
  static of(values: readonly HeaderValue[], most: number): TargetLines | undefined {
    const written = values.map(({ name, value }) => ({ name, parts: parseTemplate(value) }))
    const isOther = (part: TemplatePart): boolean => typeof part !== 'string' && part.of !== 'target'
    if (written.some(({ parts }) => parts.some(isOther))) return undefined
    const longest = new TargetLines(written)
    return longest.#write('x'.repeat(LONGEST_TARGET_ID)).length > most ? undefined : longest
  }

  /** Each with its CRLF. */
  of(target: string): Uint8Array {
    if (target === this.#lastId) return this.#last
    let lines = this.#known.get(target)
    if (lines === undefined) {
      if (this.#known.size >= MOST_TARGETS) this.#known.clear()
      lines = latin1(this.#write(shownTarget(target)))
      this.#known.set(target, lines)
    }
    this.#lastId = target
    this.#last = lines
    return lines
  }

  #write(target: string): string {
    return this.#written
      .map(({ name, parts }) => {
        const value = parts
          .map((part) => (typeof part === 'string' ? part : target))
          .join('')
          .trim()
        return value === '' ? '' : `${name}: ${value}\r\n`
      })
      .join('')
  }
}
