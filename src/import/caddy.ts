import { caddyEdit } from './caddy-edits.js'
import { matcherOf, type Named } from './caddy-matcher.js'
import { type CaddyLine, readCaddy } from './caddy-reader.js'
import { CaddyGroups } from './caddy-upstream.js'
import { alternativesOf, type Condition } from './condition.js'
import { type Draft, type DraftListener, type Fields, literal, Names, portNumber } from './draft.js'
import { Edits } from './edits.js'
import { type Findings, Untranslatable } from './findings.js'
import { hostOf, matching } from './match.js'
import type { Action, ListedRule } from './order.js'
import { redirectTo } from './redirect.js'

/** A Caddyfile as a draft. @throws ImportError for what is none */

interface Address {
  readonly host: string
  readonly port: number
  readonly isTls: boolean
  /** Caddy redirects http to https for it. */
  readonly redirects: boolean
}

interface Site {
  readonly line: number
  readonly addresses: readonly Address[]
  readonly body: readonly CaddyLine[]
}

const EMPTY: Action = { respond: { status: 200 } }

export function draftOfCaddy(text: string, findings: Findings): Draft {
  const groups = new CaddyGroups(new Names(), findings)
  const sites = sitesOf(readCaddy(text), findings)
  const ports = new Map<string, { port: number; isTls: boolean; line: number; rules: ListedRule[]; tls: Fields[] }>()
  const at = (port: number, isTls: boolean, line: number) => {
    const key = `${port} ${isTls}`
    const known = ports.get(key) ?? { port, isTls, line, rules: [], tls: [] }
    ports.set(key, known)
    return known
  }
  for (const { line, addresses, body } of sites) {
    for (const { host, port, isTls, redirects } of addresses) {
      const place = at(port, isTls, line)
      const within: Condition = { is: 'match', match: matching({ host }) }
      place.rules.push(...rulesOf(body, within, new Map(), groups, findings))
      place.rules.push({ match: matching({ host }), except: [], action: EMPTY, line })
      if (isTls) place.tls.push(...certificatesOf(body, line, findings))
      if (!redirects) continue
      const action = redirectTo('https://${host}${uri}', 308)
      at(80, false, line).rules.push({ match: matching({ host }), except: [], action, line })
    }
  }
  const rank = (host: string): number => (host === '' ? 3000 : host.startsWith('*.') ? 1000 - host.length : 0)
  const listeners = [...ports.values()].map(({ port, isTls, line, rules, tls }): DraftListener => {
    return {
      name: `${isTls ? 'https' : 'http'}-${port}`,
      line,
      fields: {
        protocol: isTls ? 'https' : 'http',
        listen: `0.0.0.0:${port}`,
        ...(isTls ? { tls: { certificates: tls } } : {}),
      },
      rules: [...rules].sort((a, b) => rank(a.match.host) - rank(b.match.host)),
      fallback: EMPTY,
    }
  })
  return { top: {}, listeners, groups: groups.groups }
}

function sitesOf(lines: readonly CaddyLine[], findings: Findings): readonly Site[] {
  const blocks = lines.filter(({ block }) => block !== undefined)
  const [first] = lines
  const single = first !== undefined && first.block === undefined && first.words.length > 0
  const named = single ? [{ words: first.words, line: first.line, block: lines.slice(1) }] : blocks
  for (const each of single ? [] : lines.filter(({ block }) => block === undefined)) {
    findings.untranslated(each.line, each.words.join(' '), 'stands outside of a site')
  }
  return named.flatMap(({ words, line, block = [] }) => {
    if (words.length === 0) {
      for (const each of block)
        findings.untranslated(each.line, each.words.join(' '), 'Castor has no such global option')
      return []
    }
    if (words[0]!.startsWith('(')) {
      findings.untranslated(line, words.join(' '), 'snippets are not put in where they are imported')
      return []
    }
    const addresses = words
      .flatMap((word) => word.split(','))
      .filter((word) => word !== '')
      .flatMap((word) => findings.attempt(line, word, () => addressOf(word)) ?? [])
    return [{ line, addresses, body: block }]
  })
}

function addressOf(text: string): Address {
  const parts = /^(?:(https?):\/\/)?([^:/]*|\[[^\]]*\])(?::(\d+))?(\/.*)?$/.exec(text)
  if (parts === null || text.includes('{')) throw new Untranslatable('it is no address of a site')
  const [, scheme, name = '', port, path = ''] = parts
  if (path !== '' && path !== '/') throw new Untranslatable('a site’s address has no path in Castor; write a rule')
  const host = name === '' ? '' : hostOf(name)
  const number =
    port === undefined ? (scheme === 'http' || (host === '' && scheme === undefined) ? 80 : 443) : portNumber(port)
  const isTls = scheme === 'https' || (scheme === undefined && host !== '' && number !== 80)
  return { host, port: number, isTls, redirects: isTls && number === 443 && host !== '' }
}

function certificatesOf(body: readonly CaddyLine[], line: number, findings: Findings): readonly Fields[] {
  const tls = body.find(({ words }) => words[0] === 'tls')
  const [, cert, key] = tls?.words ?? []
  if (cert !== undefined && key !== undefined) return [{ cert, key }]
  findings.untranslated(
    tls?.line ?? line,
    'tls',
    'Caddy gets certificates by itself; the paths are placeholders to be filled in',
  )
  return [{ cert: 'cert.pem', key: 'key.pem' }]
}

/** Caddy sorts directives by this, then by the length of their path; of those that answer the first one counts. */
/** What changes a request or its answer, in Caddy's order; without a matcher it holds for the whole block. */
const EDITS = ['header', 'request_header', 'rewrite', 'uri']
const ORDER = ['redir', 'handle', 'handle_path', 'route', 'respond', 'reverse_proxy']

function rulesOf(
  body: readonly CaddyLine[],
  within: Condition,
  outer: Named,
  groups: CaddyGroups,
  findings: Findings,
  inOrder = false,
  before = new Edits(),
): readonly ListedRule[] {
  const named = new Map([
    ...outer,
    ...body.filter(({ words }) => words[0]?.startsWith('@')).map((each) => [each.words[0]!, each] as const),
  ])
  const known = body.filter((each) => {
    const [name = ''] = each.words
    if (ORDER.includes(name) || EDITS.includes(name) || name.startsWith('@') || name === 'tls') return true
    if (name === 'log') findings.note(each.line, 'log', 'Castor has an access log of its own')
    else findings.untranslated(each.line, each.words.join(' '), 'Castor has nothing like it')
    return false
  })
  let edits = before
  for (const name of EDITS) {
    for (const each of known.filter(({ words }) => words[0] === name)) {
      const text = each.words.join(' ')
      edits = findings.attempt(each.line, text, () => caddyEdit(each, edits)) ?? edits
    }
  }
  const answering = known.filter(({ words }) => ORDER.includes(words[0]!))
  const sorted = inOrder ? answering : inCaddysOrder(answering)
  return sorted.flatMap(
    (line) =>
      findings.attempt(line.line, line.words.join(' '), () =>
        rulesOfLine(line, within, named, groups, findings, edits),
      ) ?? [],
  )
}

const placeOf = ({ words: [name = ''] }: CaddyLine): number =>
  name === 'handle_path' ? ORDER.indexOf('handle') : ORDER.indexOf(name)

/** Step by step, since what comes first of two does not tell of three: named matchers stay where they are. */
function inCaddysOrder(lines: readonly CaddyLine[]): readonly CaddyLine[] {
  const sorted: CaddyLine[] = []
  for (const line of lines) {
    let at = sorted.length
    while (at > 0 && goesBefore(line, sorted[at - 1]!)) at--
    sorted.splice(at, 0, line)
  }
  return sorted
}

function goesBefore(a: CaddyLine, b: CaddyLine): boolean {
  const places = placeOf(a) - placeOf(b)
  if (places !== 0) return places < 0
  const [one, other] = [matcherToken(a), matcherToken(b)]
  if (one === undefined || other === undefined) return one !== undefined
  if (!one.startsWith('/') || !other.startsWith('/')) return false
  return one.replace(/\*$/, '').length > other.replace(/\*$/, '').length
}

function matcherToken({ words: [, token] }: CaddyLine): string | undefined {
  return token?.startsWith('/') || token?.startsWith('@') ? token : undefined
}

function rulesOfLine(
  line: CaddyLine,
  within: Condition,
  named: Named,
  groups: CaddyGroups,
  findings: Findings,
  edits: Edits,
): readonly ListedRule[] {
  const [name, ...words] = line.words
  const [first] = words
  const hasMatcher = first !== undefined && (first.startsWith('/') || first.startsWith('@') || first === '*')
  const args = hasMatcher ? words.slice(1) : words
  const condition: Condition = { is: 'all', of: [within, matcherOf(hasMatcher ? first : undefined, named)] }
  let own = edits
  const listed = (action: Action): readonly ListedRule[] =>
    alternativesOf(condition).flatMap(({ match, except }) => own.of({ match, except, action, line: line.line }))
  switch (name) {
    case 'redir':
      return listed(redirectOf(args))
    case 'respond':
      return listed(answerOf(args, line))
    case 'reverse_proxy':
      for (const each of line.block ?? []) {
        if (each.words[0] !== 'header_up' && each.words[0] !== 'header_down') continue
        own = findings.attempt(each.line, each.words.join(' '), () => caddyEdit(each, own)) ?? own
      }
      return listed({ forward: groups.group(args, line) })
    default: {
      if (name === 'handle_path') {
        if (!first?.startsWith('/')) throw new Untranslatable('handle_path needs the path that it takes off')
        own = own.prefix({ from: first.replace(/\/?\*$/, ''), to: '' })
      }
      const rules = rulesOf(line.block ?? [], condition, named, groups, findings, name === 'route', own)
      return name === 'route' ? rules : [...rules, ...listed(EMPTY)]
    }
  }
}

function answerOf(args: readonly string[], { block = [] }: CaddyLine): Action {
  const [first = '', second] = args
  const isStatus = /^\d{3}$/.test(first) && second === undefined
  const body = isStatus ? block.find(({ words }) => words[0] === 'body')?.words[1] : first
  const status = Number(isStatus ? first : (second ?? 200))
  if (body !== undefined && /\{[a-z_.]+\}/.test(body))
    throw new Untranslatable('the text has placeholders, which Castor’s answers have not')
  return { respond: { status, ...(body === undefined || body === '' ? {} : { body: literal(body) }) } }
}

const PLACEHOLDERS: Readonly<Record<string, string>> = {
  uri: '${uri}',
  'http.request.uri': '${uri}',
  host: '${host}',
  hostport: '${hostport}',
  path: '${path}',
  query: '${query}',
  scheme: '${scheme}',
}

function redirectOf([to = '', code = '302']: readonly string[]): Action {
  const url = to.replace(/\{([^}]*)\}/g, (whole, name: string) => {
    const known = PLACEHOLDERS[name]
    if (known === undefined) throw new Untranslatable(`Castor’s redirects have nothing for ${whole}`)
    return known
  })
  const status = { permanent: 301, temporary: 302 }[code] ?? Number(code)
  return redirectTo(url, status)
}
