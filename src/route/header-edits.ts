// Hot path of rules that edit headers: once per request of such a rule. Bytes go into memory that is used again.
import type { HeaderEditsConfig, HeaderValue } from '../core/config-rules.js'
import { parseTemplate, variablesOf } from '../core/template.js'
import { latin1 } from '../http/bytes.js'
import { DELETE, SP } from '../http/characters.js'
import { HEADER_ID, HEADER_STRIDE, MAX_ADDED_BYTES, NAME_END, NAME_START } from '../http/head-layout.js'
import type { HeadParser } from '../http/head-parser.js'
import { HEADER_DROPPED } from '../http/header-names.js'
import { NameSet } from '../http/name-set.js'
import { LONGEST_TARGET_ID, shownTarget, TargetLines } from './target-lines.js'
import { type ByteText, Template, type TemplateFacts } from './template.js'

/** Stands for the target's id in lines that are written before there is a target. No value can hold it. */
const TARGET_MARK = 0
export const TARGET_LATER = String.fromCharCode(TARGET_MARK)

const LINE_END = latin1('\r\n')

/** Lines that are the same for every request, or one that is not. */
type EditLine =
  | { readonly fixed: Uint8Array }
  | {
      /** Name, colon and space. */
      readonly name: Uint8Array
      readonly value: Template
    }

/**
 * What a rule changes of a head. Fields named by `set` and `remove` are taken out, whatever their case and punctuation; then
 * `set` and `add` write lines. One whose value comes out empty is not written.
 */
export class HeaderEdits {
  /** Those that are taken out. */
  readonly removed: NameSet
  /** All the lines, where they tell of nothing but the target; undefined where they have to be written for each request. */
  readonly ofTarget: TargetLines | undefined
  readonly #lines: readonly EditLine[]
  readonly #targets: number

  /** `kept` are names that stay as they are. */
  constructor({ set, add, remove }: HeaderEditsConfig, kept: readonly string[] = []) {
    const isEdited = ({ name }: { readonly name: string }): boolean => !kept.includes(name)
    const written = [...set, ...add].filter(isEdited)
    this.removed = new NameSet([...set.map(({ name }) => name), ...remove].filter((name) => !kept.includes(name)))
    this.ofTarget = TargetLines.of(written, MAX_ADDED_BYTES)
    this.#lines = compile(written)
    this.#targets = written
      .flatMap(({ value }) => variablesOf(parseTemplate(value)))
      .filter(({ of }) => of === 'target').length
  }

  /** Nobody passes on what is taken out of this head. To be called once it has been read for everything else. */
  drop(head: HeadParser, buffer: Uint8Array, start: number): void {
    dropFields(this.removed, head, buffer, start)
  }

  /** Whether a line tells of the target, for which it then has a mark (`nameTarget`). */
  get namesTarget(): boolean {
    return this.#targets > 0
  }

  /** Appends the lines, each with its CRLF. False: they are more than a head may grow by, and `out` is of no use. */
  write(out: ByteText, facts: TemplateFacts): boolean {
    const lines = this.#lines
    const most = out.length + MAX_ADDED_BYTES - this.#targets * LONGEST_TARGET_ID
    for (let i = 0; i < lines.length; i++) {
      const line = lines[i]!
      if ('fixed' in line) {
        out.put(line.fixed, 0, line.fixed.length)
        continue
      }
      const { name, value } = line
      const before = out.length
      out.put(name, 0, name.length)
      const from = out.length
      if (!value.writeWithin(out, facts, most)) return false
      endValue(out, from)
      if (out.length === from) out.length = before
      else out.put(LINE_END, 0, LINE_END.length)
    }
    return out.length <= most
  }
}

/** Nobody passes on the fields of those names. */
export function dropFields(removed: NameSet, head: HeadParser, buffer: Uint8Array, start: number): void {
  const { headers } = head
  for (let entry = 0, last = head.headerCount * HEADER_STRIDE; entry < last; entry += HEADER_STRIDE) {
    if (removed.has(buffer, start + headers[entry + NAME_START]!, start + headers[entry + NAME_END]!))
      headers[entry + HEADER_ID] = HEADER_DROPPED
  }
}

/** Neighbouring lines without variables become one piece. */
function compile(written: readonly HeaderValue[]): readonly EditLine[] {
  const lines: EditLine[] = []
  let fixed = ''
  const endFixed = (): void => {
    if (fixed !== '') lines.push({ fixed: latin1(fixed) })
    fixed = ''
  }
  for (const { name, value } of written) {
    if (variablesOf(parseTemplate(value)).length === 0) {
      const text = value.trim()
      if (text !== '') fixed += `${name}: ${text}\r\n`
      continue
    }
    endFixed()
    lines.push({ name: latin1(`${name}: `), value: new Template(value) })
  }
  endFixed()
  return lines
}

/** What begins at `from` becomes the value of a field: nothing that could end its line, and no white space around it. */
function endValue(out: ByteText, from: number): void {
  const { bytes } = out
  let begin = from
  let end = out.length
  for (let at = from; at < end; at++) {
    const byte = bytes[at]!
    if ((byte < SP && byte !== TARGET_MARK) || byte === DELETE) bytes[at] = SP
  }
  while (begin < end && bytes[begin] === SP) begin++
  while (end > begin && bytes[end - 1] === SP) end--
  if (begin > from) bytes.copyWithin(from, begin, end)
  out.length = from + end - begin
}

let lastId = ''
let lastName = ''

/** Copies lines in which the target was to be named later. */
export function nameTarget(out: ByteText, lines: ByteText, id: string): void {
  const { bytes, length } = lines
  if (id !== lastId) {
    lastName = shownTarget(id)
    lastId = id
  }
  const name = lastName
  let from = 0
  for (let at = 0; at < length; at++) {
    if (bytes[at] !== TARGET_MARK) continue
    out.put(bytes, from, at)
    out.putText(name)
    from = at + 1
  }
  out.put(bytes, from, length)
}
