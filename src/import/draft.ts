import { Document, isMap, isScalar, isSeq, visit, type YAMLMap } from 'yaml'
import { type Findings, Untranslatable } from './findings.js'
import { ANYTHING } from './match.js'
import { type Action, inCastorsOrder, type ListedRule } from './order.js'
import { writtenRules } from './written-match.js'

/** What every format is brought to, and from which Castor's file is written. */

export type Fields = Record<string, unknown>

export interface DraftListener {
  readonly name: string
  readonly line: number
  /** Keys of the listener, except name, targetGroup and rules. */
  readonly fields: Fields
  /** The first that fits counts. Without effect on tcp and tls listeners. */
  readonly rules: readonly ListedRule[]
  /** Where no rule fits. */
  readonly fallback: Action
}

export interface DraftGroup {
  readonly name: string
  readonly line: number
  readonly fields: Fields
}

export interface Draft {
  /** Keys of the file beside listeners and groups. */
  readonly top: Fields
  readonly listeners: readonly DraftListener[]
  readonly groups: readonly DraftGroup[]
}

/** Castor's file; undefined where the draft has no listener, so that there is nothing to run. */
export function castorFile(draft: Draft, source: string, findings: Findings): string | undefined {
  if (draft.listeners.length === 0) return undefined
  const listeners = draft.listeners.map((listener) => listenerFields(listener, findings))
  const groups: Fields[] = draft.groups.map(({ name, fields }) => ({ name, ...fields }))
  // A file has one at least, and one of redirects alone needs none.
  if (groups.length === 0) groups.push({ name: 'none', protocol: 'http', targets: [] })
  const whole = { ...draft.top, listeners: listeners.map(({ fields }) => fields), targetGroups: groups }
  const document = new Document(whole, { aliasDuplicateObjects: false })
  document.commentBefore = ` Translated from ${source.replace(/[^\x20-\x7e]/g, '?')} by castor import.`
  comment(document, 'listeners', draft.listeners)
  comment(document, 'targetGroups', draft.groups)
  const written = document.get('listeners')
  if (isSeq(written)) {
    for (const [index, item] of written.items.entries()) {
      const rules = isMap(item) ? item.get('rules') : undefined
      if (!isSeq(rules)) continue
      for (const [place, rule] of rules.items.entries()) {
        const lines = listeners[index]!.lines[place] ?? []
        if (lines.length > 0) (rule as YAMLMap).commentBefore = from(lines)
      }
    }
  }
  visit(document, {
    Seq(_key, list) {
      list.flow = list.items.every(isScalar)
    },
  })
  return document.toString({ lineWidth: 0 })
}

function comment(document: Document, key: string, parts: readonly { readonly line: number }[]): void {
  const list = document.get(key)
  if (!isSeq(list)) return
  for (const [index, item] of list.items.entries()) {
    const line = parts[index]?.line ?? 0
    if (line > 0) (item as YAMLMap).commentBefore = from([line])
  }
}

const MAX_LINES = 6

function from(lines: readonly number[]): string {
  const shown = lines.slice(0, MAX_LINES).join(', ')
  return ` line${lines.length > 1 ? 's' : ''} ${shown}${lines.length > MAX_LINES ? ', …' : ''}`
}

function listenerFields(
  { name, line, fields, rules, fallback }: DraftListener,
  findings: Findings,
): { readonly fields: Fields; readonly lines: readonly (readonly number[])[] } {
  const group = fallback.forward
  const isTcp = fields.protocol === 'tcp' || fields.protocol === 'tls'
  if (isTcp)
    return { fields: { name, ...fields, ...(typeof group === 'string' ? { targetGroup: group } : {}) }, lines: [] }
  const plainGroup = typeof group === 'string' && Object.keys(fallback).length === 1
  const last: ListedRule = { match: ANYTHING, except: [], action: fallback, line: 0 }
  const ordered =
    rules.length === 0 && plainGroup
      ? []
      : (findings.attempt(line, `the rules of ${name}`, () => inCastorsOrder([...rules, last], findings)) ?? [
          { ...last, name: undefined, priority: 0 },
        ])
  // The last one is the catch-all, unless one before it takes everything already.
  const end = ordered.at(-1)
  const toGroup = plainGroup && end !== undefined && JSON.stringify(end.match) === JSON.stringify(ANYTHING)
  const isFallback = toGroup && end.action.forward === group && Object.keys(end.action).length === 1
  const listed = isFallback ? ordered.slice(0, -1) : ordered
  const written = findings.attempt(line, `the rules of ${name}`, () => writtenRules(listed)) ?? []
  return {
    fields: {
      name,
      ...fields,
      ...(plainGroup ? { targetGroup: group } : {}),
      ...(written.length === 0 ? {} : { rules: written.map((rule) => rule.fields) }),
    },
    lines: written.map((rule) => rule.lines),
  }
}

/** Names that Castor takes, each given once. */
export class Names {
  readonly #taken = new Set<string>()
  readonly #of = new Map<string, string>()

  /** The same for the same text. */
  of(text: string): string {
    const known = this.#of.get(text)
    if (known !== undefined) return known
    const fresh = this.fresh(text)
    this.#of.set(text, fresh)
    return fresh
  }

  fresh(text: string): string {
    const plain =
      text
        .replace(/[^A-Za-z0-9_.-]+/g, '-')
        .replace(/^-+|-+$/g, '')
        .slice(0, 56) || 'unnamed'
    let name = plain
    for (let number = 2; this.#taken.has(name); number++) name = `${plain}-${number}`
    this.#taken.add(name)
    return name
  }
}

/** Milliseconds in Castor's form. */
export function durationText(ms: number): string {
  if (ms > 0 && ms % 3_600_000 === 0) return `${ms / 3_600_000}h`
  if (ms > 0 && ms % 60_000 === 0) return `${ms / 60_000}m`
  return ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`
}

/** The same within what the key takes; what lies beyond is said. */
export function boundedDuration(
  ms: number,
  [min, max]: readonly [number, number],
  tell: (why: string) => void,
): string {
  const bounded = Math.min(max, Math.max(min, ms))
  if (bounded !== ms)
    tell(`Castor takes ${durationText(min)} to ${durationText(max)} here; it is ${durationText(bounded)} now`)
  return durationText(bounded)
}

/** Text of the source that must not be taken for a reference to the environment. */
export function literal(text: string): string {
  return text.replace(/\$\{/g, '$$$${')
}

/** Weights in Castor's range: as they are, or in about the same relation. */
export function scaledWeights(weights: readonly number[], tell: (why: string) => void, max = 100): readonly number[] {
  const highest = Math.max(...weights)
  if (highest <= max) return weights
  const scaled = weights.map((weight) => (weight === 0 ? 0 : Math.max(1, Math.round((weight * max) / highest))))
  if (weights.some((weight, index) => scaled[index]! * highest !== weight * max)) {
    tell(`weights go to ${max} in Castor; they are scaled, and rounded`)
  }
  return scaled
}

/** A port in 1 to 65535. @throws Untranslatable */
export function portNumber(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (port < 1 || port > 65_535) throw new Untranslatable(`"${text}" is no port`)
  return port
}
