import { alternativesOf } from './condition.js'
import type { Edits } from './edits.js'
import { type Findings, Untranslatable } from './findings.js'
import { exactPath, expressionPath, intersect, type Match, matching, outside, pathsBeginning } from './match.js'
import { answerOf, ifCondition, refusedSources } from './nginx-answers.js'
import { nginxEdits } from './nginx-edits.js'
import type { NginxDirective } from './nginx-reader.js'
import { proxyFields, type Upstreams } from './nginx-upstream.js'
import type { Action, ListedRule } from './order.js'

/** Locations of a server as a list whose first rule that fits counts (ngx_http_core_module, location). */

export interface ServerContext {
  readonly server: NginxDirective
  /** From the http block. */
  readonly outer: readonly NginxDirective[]
  readonly isTls: boolean
  readonly serverName: string
  readonly upstreams: Upstreams
  readonly findings: Findings
}

interface Location {
  readonly directive: NginxDirective
  readonly kind: 'exact' | 'first' | 'prefix' | 'expression'
  readonly text: string
  readonly paths: readonly Match[]
}

/** What nginx does with files, which Castor does not serve. */
const NO_FILES: Action = { respond: { status: 404 } }

export function rulesOfServer(context: ServerContext): {
  readonly rules: readonly ListedRule[]
  readonly last: Action
} {
  const { server, findings } = context
  const body = server.block ?? []
  const before = guards(body, context, matching({}))
  const answer = body.find(({ name }) => name === 'return')
  if (answer !== undefined) {
    const action = findings.attempt(answer.line, textOf(answer), () => answerOf(answer, context.serverName))
    const edits = nginxEdits([body, context.outer], findings)
    const last = { match: matching({}), except: [], action: action ?? { respond: { status: 403 } }, line: answer.line }
    return { rules: before, last: edits.of(last)[0]!.action }
  }
  const locations = body.filter(({ name }) => name === 'location').flatMap((each) => locationOf(each, findings))
  const of = (kind: Location['kind']): Location[] => locations.filter((each) => each.kind === kind)
  const longestFirst = (a: Location, b: Location): number => b.text.length - a.text.length
  const prefixes = [...of('first'), ...of('prefix')].sort(longestFirst)
  const first = of('first')
    .sort(longestFirst)
    .flatMap((each) => {
      // A longer prefix without ^~ lets expressions go first.
      const longer = of('prefix').filter(({ text }) => text.length > each.text.length && text.startsWith(each.text))
      return rulesOfLocation(
        each,
        context,
        longer.flatMap(({ text }) => beginning(text)),
      )
    })
  const hasExpressions = of('expression').length > 0
  return {
    rules: [
      ...before,
      ...of('exact').flatMap((each) => rulesOfLocation(each, context)),
      ...prefixes.flatMap((each) => slashRule(each, locations, context)),
      ...(hasExpressions ? first : []),
      ...of('expression').flatMap((each) => rulesOfLocation(each, context)),
      ...prefixes.flatMap((each) => rulesOfLocation(each, context)),
    ],
    last: NO_FILES,
  }
}

/** Where requests below a prefix are passed on, nginx sends those for it without its slash there. */
function slashRule(
  { text, directive }: Location,
  locations: readonly Location[],
  { server, outer, findings }: ServerContext,
): readonly ListedRule[] {
  const named = text.slice(0, -1)
  const passes = directive.block?.some(({ name }) => name === 'proxy_pass' || name === 'grpc_pass')
  const isNamed = locations.some((each) => each.kind !== 'expression' && each.text === named)
  if (!passes || !text.endsWith('/') || text === '/' || isNamed || exactPath(text).is !== 'exact') return []
  const action: Action = { redirect: { status: 301, path: text } }
  const edits = nginxEdits([directive.block ?? [], server.block ?? [], outer], findings)
  return edits.of({ match: matching({ path: exactPath(named) }), except: [], action, line: directive.line })
}

const textOf = ({ name, args }: NginxDirective): string => [name, ...args].join(' ')

const beginning = (text: string): readonly Match[] => pathsBeginning(text).map((path) => matching({ path }))

function locationOf(directive: NginxDirective, findings: Findings): readonly Location[] {
  const [first = '', second] = directive.args
  const text = second ?? first
  const modifier = second === undefined ? '' : first
  if (first.startsWith('@')) {
    findings.untranslated(directive.line, textOf(directive), 'Castor has no locations that requests are sent to within')
    return []
  }
  const made = findings.attempt(directive.line, textOf(directive), (): Location => {
    if (modifier === '=') return { directive, kind: 'exact', text, paths: [matching({ path: exactPath(text) })] }
    if (modifier === '~' || modifier === '~*') {
      const path = expressionPath((modifier === '~*' ? '(?i)' : '') + text)
      return { directive, kind: 'expression', text, paths: [matching({ path })] }
    }
    return { directive, kind: modifier === '^~' ? 'first' : 'prefix', text, paths: beginning(text) }
  })
  return made === undefined ? [] : [made]
}

function rulesOfLocation(
  { directive, kind, text, paths }: Location,
  context: ServerContext,
  except: readonly Match[] = [],
): readonly ListedRule[] {
  const body = directive.block ?? []
  const { action, edits } = actionOf(directive, text, kind, context)
  return paths.flatMap((match) => [
    ...guards(body, context, match).map((rule) => ({ ...rule, except: [...rule.except, ...except] })),
    ...edits.of({ match, except, action, line: directive.line }),
  ])
}

/** `allow`, `deny` and `if` with `return`, which go before what the block does. */
function guards(body: readonly NginxDirective[], context: ServerContext, within: Match): readonly ListedRule[] {
  const { findings, isTls, serverName } = context
  const rules: ListedRule[] = []
  for (const each of body.filter(({ name }) => name === 'if')) {
    const found = findings.attempt(each.line, textOf(each), () => {
      const [answer, ...more] = each.block ?? []
      if (answer?.name !== 'return' || more.length > 0) {
        throw new Untranslatable('only an if whose one directive is return can be a rule')
      }
      const action = answerOf(answer, serverName)
      return alternativesOf(ifCondition(each.args, isTls)).flatMap(({ match, except }) => {
        const both = intersect(within, match)
        return typeof both === 'string' ? [] : [{ match: both, except, action, line: each.line }]
      })
    })
    rules.push(...(found ?? []))
  }
  const access = body.filter(({ name }) => name === 'allow' || name === 'deny')
  const [first] = access
  if (first !== undefined) {
    const sources = findings.attempt(first.line, textOf(first), () => refusedSources(access, outside))
    if (sources !== undefined && sources.length > 0) {
      rules.push({ match: { ...within, sources }, except: [], action: { respond: { status: 403 } }, line: first.line })
    }
  }
  return rules
}

interface Edited {
  readonly action: Action
  readonly edits: Edits
}

function actionOf(directive: NginxDirective, text: string, kind: Location['kind'], context: ServerContext): Edited {
  const { findings, upstreams, server, outer, serverName } = context
  const body = directive.block ?? []
  let edits = nginxEdits([body, server.block ?? [], outer], findings)
  const answer = body.find(({ name }) => name === 'return')
  if (answer !== undefined) {
    const made = findings.attempt(answer.line, textOf(answer), () => answerOf(answer, serverName))
    return { action: made ?? { respond: { status: 403 } }, edits }
  }
  const pass = body.find(({ name }) => name === 'proxy_pass' || name === 'grpc_pass')
  if (pass === undefined) {
    findings.untranslated(
      directive.line,
      textOf(directive),
      'Castor serves no files and asks no FastCGI; it answers 404',
    )
    return { action: NO_FILES, edits }
  }
  const find = (name: string): NginxDirective | undefined =>
    [...body].reverse().find((each) => each.name === name) ??
    server.block?.find((each) => each.name === name) ??
    outer.find((each) => each.name === name)
  const made = findings.attempt(pass.line, textOf(pass), (): Action => {
    const [, scheme, host = '', uri = ''] = /^(https?|grpcs?):\/\/([^/]+)(\/.*)?$/.exec(pass.args[0] ?? '') ?? []
    if (scheme === undefined || host.includes('$')) throw new Untranslatable('Castor’s rules name their groups')
    if (uri.includes('$')) throw new Untranslatable('Castor’s rules know no path that variables make')
    if (uri !== '' && kind === 'expression') {
      throw new Untranslatable('a path in proxy_pass has no meaning in a location by expression')
    }
    if (uri !== '' && uri !== text) edits = edits.prefix({ from: text, to: uri })
    return { forward: upstreams.group(host, scheme, proxyFields(find, findings), pass.line) }
  })
  return { action: made ?? { respond: { status: 503 } }, edits }
}
