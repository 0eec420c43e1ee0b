import { RE2JS } from 're2js'
import { parseTemplate, variablesOf } from '../core/template.js'
import type { Path } from './problems.js'
import { foldName } from './schema-header-edits.js'
import { type Entry, type Fields, flagOf, isFields, type Report, text } from './tree.js'

/** What a rule's edits say of its other keys: what has no effect beside them, and captures that are not there. */

/** Of a request that nobody is asked. */
const FORWARD_ONLY = ['requestHeaders', 'rewrite', 'timeouts']
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
  checkRewrite(fields, [...path, 'rewrite'], report)
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
  const { rewrite, redirect } = fields
  const sentTo = isFields(redirect) ? text(redirect.path) : undefined
  const redirected = sentTo === undefined ? [] : [{ value: sentTo, at: [...path, 'redirect', 'path'] }]
  const rewritten = ['path', 'host', 'query'].flatMap((key) => {
    const value = isFields(rewrite) ? text(rewrite[key]) : undefined
    return value === undefined ? [] : [{ value, at: [...path, 'rewrite', key] }]
  })
  const ofHeaders = ['requestHeaders', 'responseHeaders'].flatMap((side) => {
    const edits = fields[side]
    return ['set', 'add'].flatMap((key) => {
      const map = isFields(edits) ? edits[key] : undefined
      if (!isFields(map)) return []
      return Object.entries(map).flatMap(([name, value]) =>
        typeof value === 'string' ? [{ value, at: [...path, side, key, name] }] : [],
      )
    })
  })
  return [...rewritten, ...redirected, ...ofHeaders]
}

/** What can be carried over, and written back, hangs on what the rule matches. */
function checkRewrite({ rewrite, match }: Fields, path: Path, report: Report): void {
  if (!isFields(rewrite)) return
  const written = text(rewrite.path)
  if (written === undefined && rewrite.host === undefined && rewrite.query === undefined) {
    report(path, 'says not what to rewrite; write path, host or query')
  }
  const carries = written?.endsWith('/*') ?? false
  if (carries && isFields(match)) {
    const paths = [match.path].flat().filter((each) => typeof each === 'string')
    const whole = paths.find((each) => !each.endsWith('/*'))
    if (match.pathRegex !== undefined) {
      report(
        [...path, 'path'],
        '"/*" carries what follows a prefix, and match has pathRegex; write ${1} for what it captures',
      )
    } else if (whole !== undefined) {
      report(
        [...path, 'path'],
        `"/*" carries what follows a prefix, and match.path has ${whole}; write another rule for it`,
      )
    }
  }
  const isBack = carries && !written!.includes('${')
  if (flagOf(rewrite.responses) === true && !isBack && rewrite.host === undefined) {
    report(
      [...path, 'responses'],
      'has nothing to write back; it needs a host, or a path that is a prefix such as /app/*',
    )
  }
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
