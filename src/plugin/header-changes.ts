import { foldName, nameProblem, type Side } from '../config/schema-header-edits.js'
import { latin1 } from '../http/bytes.js'
import { MAX_ADDED_BYTES } from '../http/head-layout.js'
import { NameSet } from '../http/name-set.js'
import { withoutFields } from '../http/trailers.js'

const MAX_VALUE = 8_192
/** Bytes that are characters of a value (RFC 9110 5.5): nothing that ends a line, nothing beyond one byte each. */
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

interface Line {
  readonly name: string
  readonly folded: string
  readonly value: string
}

/** Why such a field may not be written; undefined where it may. */
export function fieldProblem(name: unknown, value: unknown, side: Side): string | undefined {
  if (typeof name !== 'string') return 'the name of a header is text'
  const problem = nameProblem(name, side)
  if (problem !== undefined) return problem
  if (typeof value !== 'string' && typeof value !== 'number') return `the value of ${name} is neither text nor a number`
  const text = String(value)
  if (text.trim() === '') return `the value of ${name} is empty`
  if (text.length > MAX_VALUE) return `the value of ${name} is longer than ${MAX_VALUE} characters`
  return VALUE.test(text) ? undefined : `the value of ${name} has characters that no header may have`
}

/** What plug-ins change of one head. */
export class HeaderChanges {
  readonly #side: Side
  readonly #removed = new Set<string>()
  #lines: Line[] = []
  #bytes = 0

  constructor(side: Side) {
    this.#side = side
  }

  get isEmpty(): boolean {
    return this.#removed.size === 0 && this.#lines.length === 0
  }

  /** Throws TypeError where it may not be. */
  set(name: string, value: string | number): void {
    this.#check(name, value)
    this.remove(name)
    this.#put(name, value)
  }

  /** Throws TypeError where it may not be. */
  add(name: string, value: string | number): void {
    this.#check(name, value)
    this.#put(name, value)
  }

  /** Throws TypeError where it may not be. */
  remove(name: string): void {
    this.#check(name, '-')
    const folded = foldName(name)
    this.#removed.add(folded)
    this.#lines = this.#lines.filter((line) => line.folded !== folded)
  }

  /** The field as the next plug-in reads it; `before` is what came. */
  read(name: string, before: string | undefined): string | undefined {
    if (this.isEmpty) return before
    const folded = foldName(name)
    const written = this.#lines.filter((line) => line.folded === folded).map(({ value }) => value)
    const kept = this.#removed.has(folded) || before === undefined ? [] : [before]
    const all = [...kept, ...written]
    return all.length === 0 ? undefined : all.join(', ')
  }

  /** Names that are taken out; undefined without any. */
  get removed(): NameSet | undefined {
    return this.#removed.size === 0 ? undefined : new NameSet(this.#removed)
  }

  /** What is added, behind what was to be added before: lines, each with its CRLF. */
  linesBehind(before: Uint8Array, length: number): Uint8Array {
    const own = latin1(this.#lines.map(({ name, value }) => `${name}: ${value}\r\n`).join(''))
    if (length === 0) return own
    const { removed } = this
    const given = before.subarray(0, length)
    const kept = removed === undefined ? given : (withoutFields(given, removed) ?? new Uint8Array(0))
    return Buffer.concat([kept, own])
  }

  #check(name: string, value: string | number): void {
    const problem = fieldProblem(name, value, this.#side)
    if (problem !== undefined) throw new TypeError(problem)
  }

  #put(name: string, value: string | number): void {
    const text = String(value).trim()
    this.#bytes += name.length + text.length + 4
    if (this.#bytes > MAX_ADDED_BYTES) throw new TypeError(`more than ${MAX_ADDED_BYTES} bytes of headers are set`)
    this.#lines.push({ name: name.toLowerCase(), folded: foldName(name), value: text })
  }
}
