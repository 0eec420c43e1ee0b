import { nameProblem, type Side } from '../config/schema-header-edits.js'
import { parseTemplate } from '../core/template.js'
import { Untranslatable } from './findings.js'
import { intersect, matching, type PathMatch, pathsBeginning, quoted } from './match.js'
import type { Action, ListedRule } from './order.js'

/** What other programs change of heads and paths, as Castor's `requestHeaders`, `responseHeaders` and `rewrite`. */

type Fields = Record<string, unknown>

interface HeaderLines {
  readonly set: Readonly<Record<string, string>>
  readonly add: Readonly<Record<string, string>>
  readonly remove: readonly string[]
}

/** A text that paths begin with, and what stands in its place. */
export interface PrefixChange {
  readonly from: string
  readonly to: string
}

const NO_LINES: HeaderLines = { set: {}, add: {}, remove: [] }

/** One after the other, as lines of a file say them. Never changes: each step makes another. */
export class Edits {
  readonly #request: HeaderLines
  readonly #response: HeaderLines
  readonly #prefixes: readonly PrefixChange[]
  readonly #rewrite: Fields

  constructor(
    request: HeaderLines = NO_LINES,
    response: HeaderLines = NO_LINES,
    prefixes: readonly PrefixChange[] = [],
    rewrite: Fields = {},
  ) {
    this.#request = request
    this.#response = response
    this.#prefixes = prefixes
    this.#rewrite = rewrite
  }

  /** @throws Untranslatable for names and values that no rule can have */
  set(side: Side, name: string, value: string): Edits {
    if (value === '') return this.remove(side, name)
    check(side, name, value)
    return this.#with(side, ({ set, add, remove }) => ({
      set: { ...without(set, name), [name]: value },
      add: without(add, name),
      remove: remove.filter((each) => !isSame(each, name)),
    }))
  }

  /** @throws Untranslatable */
  add(side: Side, name: string, value: string): Edits {
    check(side, name, value)
    return this.#with(side, (lines) => {
      if (find(lines.add, name) !== undefined) throw new Untranslatable(`Castor’s rules add one ${name} each`)
      return { ...lines, add: { ...lines.add, [name]: value } }
    })
  }

  /** @throws Untranslatable */
  remove(side: Side, name: string): Edits {
    check(side, name, 'x')
    return this.#with(side, ({ set, add, remove }) => ({
      set: without(set, name),
      add: without(add, name),
      remove: [...remove.filter((each) => !isSame(each, name)), name],
    }))
  }

  /** The first that a path begins with is the one that counts. @throws Untranslatable where the path is changed already */
  prefix(change: PrefixChange): Edits {
    if (this.#rewrite.path !== undefined) throw new Untranslatable('Castor’s rules change a path once')
    return new Edits(this.#request, this.#response, [...this.#prefixes, change], this.#rewrite)
  }

  /** `key`: host, path or query, with variables. @throws Untranslatable */
  rewrite(key: 'host' | 'path' | 'query', value: string): Edits {
    const isTaken = this.#rewrite[key] !== undefined || (key === 'path' && this.#prefixes.length > 0)
    if (isTaken) throw new Untranslatable(`Castor’s rules change a ${key} once`)
    if (key === 'path' && !/^(\/|\$\{path\})[!$&-;=@-Z_a-z~%|{}]*$/.test(value))
      throw new Untranslatable(`"${value}" is no path`)
    if (value.endsWith('/*')) throw new Untranslatable('a path that ends in "/*" would carry what follows')
    return new Edits(this.#request, this.#response, this.#prefixes, { ...this.#rewrite, [key]: value })
  }

  /** The rule, with what its action can have of these; several where the path decides which. @throws Untranslatable */
  of(rule: ListedRule): readonly ListedRule[] {
    const responseHeaders = fieldsOf(this.#response)
    const asked = rule.action.forward !== undefined
    const requestHeaders = asked ? fieldsOf(this.#request) : undefined
    const isRewritten = asked && Object.keys(this.#rewrite).length > 0
    const plain: ListedRule = {
      ...rule,
      action: {
        ...rule.action,
        ...(requestHeaders && { requestHeaders }),
        ...(responseHeaders && { responseHeaders }),
        ...(isRewritten ? { rewrite: this.#rewrite } : {}),
      },
    }
    return asked ? prefixed(plain, this.#prefixes) : [plain]
  }

  #with(side: Side, change: (lines: HeaderLines) => HeaderLines): Edits {
    const ofRequest = side === 'request'
    return new Edits(
      ofRequest ? change(this.#request) : this.#request,
      ofRequest ? this.#response : change(this.#response),
      this.#prefixes,
      this.#rewrite,
    )
  }
}

const folded = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, '-')
const isSame = (one: string, other: string): boolean => folded(one) === folded(other)

function find(lines: Readonly<Record<string, string>>, name: string): string | undefined {
  return Object.keys(lines).find((each) => isSame(each, name))
}

function without(lines: Readonly<Record<string, string>>, name: string): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(lines).filter(([each]) => !isSame(each, name)))
}

function check(side: Side, name: string, value: string): void {
  const problem = nameProblem(name, side)
  if (problem !== undefined) throw new Untranslatable(problem)
  if (!/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(value)) throw new Untranslatable('its value is no visible ASCII')
  try {
    parseTemplate(value)
  } catch {
    throw new Untranslatable('its value has "${", which begins a variable in Castor')
  }
}

function fieldsOf({ set, add, remove }: HeaderLines): Fields | undefined {
  const fields = {
    ...(Object.keys(set).length === 0 ? {} : { set }),
    ...(Object.keys(add).length === 0 ? {} : { add }),
    ...(remove.length === 0 ? {} : { remove }),
  }
  return Object.keys(fields).length === 0 ? undefined : fields
}

/** In an action, until the rule's own paths are known: the order of rules may narrow them. */
const MARK = 'prefix'

function prefixed(rule: ListedRule, changes: readonly PrefixChange[]): readonly ListedRule[] {
  const [change, ...others] = changes
  if (change === undefined) return [rule]
  const { path } = rule.match
  const changed: Action = { ...rule.action, rewrite: { ...(rule.action.rewrite as Fields), [MARK]: change } }
  if (path.is === 'expression')
    throw new Untranslatable('Castor’s rules change no prefix of a path that an expression finds')
  if (path.is !== 'any' && path.text.startsWith(change.from)) return [{ ...rule, action: changed }]
  const narrowed = pathsBeginning(change.from).flatMap((each): readonly ListedRule[] => {
    const both = intersect(rule.match, matching({ path: each }))
    return typeof both === 'string' ? [] : [{ ...rule, match: both, action: changed }]
  })
  return [...narrowed, ...prefixed(rule, others)]
}

/** The rule's path and rewrite as Castor writes them, now that its path is the one that it will have. */
export function settlePrefix(path: PathMatch, action: Action): { readonly path: PathMatch; readonly action: Action } {
  const { [MARK]: change, ...rewrite } = (action.rewrite ?? {}) as Fields & { readonly prefix?: PrefixChange }
  if (change === undefined) return { path, action }
  const { from, to } = change
  const settled = (written: string): Action => ({
    ...action,
    rewrite: { ...rewrite, path: written.startsWith('/') ? written : `/${written}` },
  })
  if (path.is === 'exact') return { path, action: settled(to + path.text.slice(from.length)) }
  if (path.is === 'begins' && !path.asExpression) {
    return { path, action: settled(`${to}${path.text.slice(from.length)}*`.replace(/^\*$/, '/*')) }
  }
  if (path.is !== 'begins')
    throw new Untranslatable('Castor’s rules change no prefix of a path that an expression finds')
  const rest = quoted(path.text.slice(from.length))
  const slash = to === '' ? '/?' : ''
  return {
    path: { is: 'expression', text: `^${quoted(from)}${slash}(${rest}.*)$` },
    action: settled(`${to === '' ? '/' : to}\${1}`),
  }
}
