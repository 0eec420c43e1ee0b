import { asks, type Condition } from './condition.js'
import { literal } from './draft.js'
import { Untranslatable } from './findings.js'
import { exactly, expression, hostOf, type Match, matching } from './match.js'
import type { NginxDirective } from './nginx-reader.js'
import type { Action } from './order.js'
import { redirectTo } from './redirect.js'

/** `return`, `if`, `allow` and `deny` of nginx. */

const VARIABLES: Readonly<Record<string, string>> = {
  host: '${host}',
  http_host: '${hostport}',
  request_uri: '${uri}',
  uri: '${path}',
  document_uri: '${path}',
  scheme: '${scheme}',
  args: '${query}',
  query_string: '${query}',
}

/** @throws Untranslatable */
export function answerOf({ args }: NginxDirective, serverName: string): Action {
  const [first = '', second] = args
  const code = /^\d{3}$/.test(first) ? Number(first) : undefined
  if (code === undefined) return redirectTo(withVariables(first, serverName), 302)
  if ([301, 302, 303, 307, 308].includes(code)) return redirectTo(withVariables(second ?? '', serverName), code)
  if (code < 200 || code > 599) throw new Untranslatable(`Castor answers with 200 to 599, not ${code}`)
  if (code === 444) throw new Untranslatable('Castor does not close connections without an answer')
  if (second === undefined || second === '') return { respond: { status: code } }
  if (/\$\w/.test(second)) throw new Untranslatable('the text has variables, which Castor’s answers have not')
  return { respond: { status: code, body: literal(second) } }
}

function withVariables(text: string, serverName: string): string {
  const joined = text.replace(/\$uri\$is_args\$(args|query_string)$/, '$request_uri')
  return joined.replace(/\$(?:\{(\w+)\}|(\w+))/g, (whole, braced: string | undefined, plain: string | undefined) => {
    const name = braced ?? plain ?? ''
    if (name === 'server_name' && serverName !== '') return serverName
    const known = VARIABLES[name]
    if (known === undefined) throw new Untranslatable(`Castor’s redirects have nothing for ${whole}`)
    return known
  })
}

/** What an `if` asks. @throws Untranslatable */
export function ifCondition(args: readonly string[], isTls: boolean): Condition {
  const [variable = '', operator = '', ...rest] = args
    .join(' ')
    .replace(/^\(\s*|\s*\)$/g, '')
    .split(' ')
  const value = rest.join(' ')
  const negated = operator.startsWith('!')
  const how = operator.replace('!', '')
  const one = test(variable, how, value, isTls)
  return negated ? { is: 'not', of: one } : one
}

function test(variable: string, how: string, value: string, isTls: boolean): Condition {
  if (how === '') {
    const present = fieldMatch(variable, '*')
    if (present !== undefined) return asks(present)
  }
  if (how !== '=' && how !== '~' && how !== '~*') throw new Untranslatable('Castor has nothing like this condition')
  if (variable === '$scheme' && how === '=') return (value === 'https') === isTls ? ALL : NONE
  if (variable === '$https' && how === '=') return (value === 'on') === isTls ? ALL : NONE
  if ((variable === '$host' || variable === '$http_host') && how === '=') return asks(matching({ host: hostOf(value) }))
  if (variable === '$request_method') {
    const listed = how === '=' ? [value] : /^\^?\(?([A-Z|]+)\)?\$?$/.exec(value)?.[1]?.split('|')
    if (listed !== undefined) return asks(matching({ methods: listed }))
  }
  const wanted = how === '=' ? exactly(value) : `~${expression((how === '~*' ? '(?i)' : '') + value)}`
  const match = fieldMatch(variable, value === '' && how === '=' ? '!' : wanted)
  if (match === undefined) throw new Untranslatable(`Castor’s rules cannot ask for ${variable}`)
  return asks(match)
}

const ALL: Condition = { is: 'all', of: [] }
const NONE: Condition = { is: 'any', of: [] }

function fieldMatch(variable: string, value: string): Match | undefined {
  const [, kind, name = ''] = /^\$(http|cookie|arg)_(\w+)$/.exec(variable) ?? []
  if (kind === 'http') return matching({ headers: { [name.replaceAll('_', '-').toLowerCase()]: value } })
  if (kind === 'cookie') return matching({ cookies: { [name]: value } })
  return kind === 'arg' ? matching({ query: { [name]: value } }) : undefined
}

/** The networks that are refused; undefined where all come in. @throws Untranslatable for orders that no list says. */
export function refusedSources(
  lines: readonly NginxDirective[],
  outside: (networks: readonly string[]) => readonly string[],
): readonly string[] | undefined {
  if (lines.length === 0) return undefined
  const all = lines.at(-1)!.args[0] === 'all'
  const last = lines.at(-1)!.name
  const before = all ? lines.slice(0, -1) : lines
  if (before.some(({ args }) => !/^[0-9a-f.:]+(\/\d+)?$/i.test(args[0] ?? ''))) {
    throw new Untranslatable('only addresses and networks are compared')
  }
  const networks = before.map(({ args }) => withLength(args[0]!))
  if (all && last === 'deny' && before.every(({ name }) => name === 'allow')) return outside(networks)
  if (before.every(({ name }) => name === 'deny') && (!all || last === 'allow')) return networks
  if (before.every(({ name }) => name === 'allow')) return undefined
  throw new Untranslatable('allow and deny take turns; Castor has one list of sources')
}

const withLength = (text: string): string => (text.includes('/') ? text : `${text}/${text.includes(':') ? 128 : 32}`)
