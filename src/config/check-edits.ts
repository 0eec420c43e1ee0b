import { RE2JS } from 're2js'
import { parseTemplate, variablesOf } from '../core/template.js'
import type { Path } from './problems.js'
import { foldName } from './schema-header-edits.js'
import { type Entry, type Fields, isFields, type Report, text } from './tree.js'

/** What a rule's edits say of its other keys: what has no effect beside them, and captures that are not there. */

/** Of a request that nobody is asked. */
const FORWARD_ONLY = ['requestHeaders', 'timeouts']
/** What a redirect writes itself. */
const OF_REDIRECTS = ['location', 'content-type', 'allow']

export function checkEdits({ fields, path }: Entry, report: Report): void {
  const action = fields.redirect !== undefined ? 'redirect' : fields.respond !== undefined ? 'respond' : undefined
  for (const key of FORWARD_ONLY) {
    if (action === undefined || fields[key] === undefined) continue
    report([...path, key], `has no effect beside ${action}, for which no target is asked; leave it out`, 'key')
  }
  if (action === 'redirect') {
    for (const { name, at } of namesOf(fields.responseHeaders, [...path, 'responseHeaders'])) {
      if (OF_REDIRECTS.includes(foldName(name))) report(at, `${name} is the redirect’s to write; leave it out`)
    }
  }
  const most = captureGroups(fields.match)
  for (const { value, at } of templatesOf(fields, path)) checkCaptures(value, at, most, report)
}

interface NamedPlace {
  readonly name: string
  readonly at: Path
}

function namesOf(edits: unknown, path: Path): readonly NamedPlace[] {
  if (!isFields(edits)) return []
  const inMap = ['set', 'add'].flatMap((key) =>
    isFields(edits[key]) ? Object.keys(edits[key]).map((name) => ({ name, at: [...path, key, name] })) : [],
  )
  const { remove } = edits
  const listed = Array.isArray(remove)
    ? remove.flatMap((name, index) => (typeof name === 'string' ? [{ name, at: [...path, 'remove', index] }] : []))
    : []
  return [...inMap, ...listed]
}

interface TemplatePlace {
  readonly value: string
  readonly at: Path
}

function templatesOf(fields: Fields, path: Path): readonly TemplatePlace[] {
  return ['requestHeaders', 'responseHeaders'].flatMap((side) => {
    const edits = fields[side]
    return ['set', 'add'].flatMap((key) => {
      const map = isFields(edits) ? edits[key] : undefined
      if (!isFields(map)) return []
      return Object.entries(map).flatMap(([name, value]) =>
        typeof value === 'string' ? [{ value, at: [...path, side, key, name] }] : [],
      )
    })
  })
}

/** How many groups the rule's expression has, -1 without one. */
function captureGroups(match: unknown): number {
  const expression = isFields(match) ? text(match.pathRegex) : undefined
  if (expression === undefined) return -1
  try {
    return RE2JS.compile(expression).groupCount()
  } catch {
    // Complained about where it stands.
    return Number.POSITIVE_INFINITY
  }
}

function checkCaptures(value: string, at: Path, most: number, report: Report): void {
  try {
    for (const variable of variablesOf(parseTemplate(value))) {
      if (variable.of !== 'capture' || variable.group <= most) continue
      const what = most < 0 ? 'match has no pathRegex' : `pathRegex captures ${most} groups`
      report(at, `\${${variable.group}} captures nothing: ${what}`)
    }
  } catch {
    // Complained about where it stands.
  }
}
