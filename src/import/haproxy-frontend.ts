import { alternativesOf } from './condition.js'
import { boundedDuration, type Fields, literal, portNumber } from './draft.js'
import { type Findings, Untranslatable } from './findings.js'
import { type Acls, type Bound, conditionOf } from './haproxy-acl.js'
import { type Handler, haproxyTime } from './haproxy-backend.js'
import { haproxyEdits, isEdit } from './haproxy-edits.js'
import type { HaproxyLine } from './haproxy-reader.js'
import { exactPath, matching } from './match.js'
import type { Action, ListedRule } from './order.js'
import { redirectTo } from './redirect.js'

/** Where a frontend listens, and its rules. */

export interface Bind extends Bound {
  readonly address: string
  /** Keys of the listener that go with it. */
  readonly fields: Fields
}

export interface FrontendState {
  readonly findings: Findings
  readonly binds: Bind[]
  readonly fields: Fields
  /** Of the file, beside listeners and groups. */
  readonly top: Fields
  fallback: string | undefined
  monitor: string | undefined
}

const SECOND = 1000
const HOUR = 3_600_000

/** Rules, which are read once per listener: their meaning depends on it. */
const RULES = new Set(['acl', 'http-request', 'http-response', 'redirect', 'use_backend'])

const nothing = (): void => {}

export const FRONTEND: Readonly<Record<string, Handler<FrontendState>>> = {
  ...Object.fromEntries([...RULES].map((keyword) => [keyword, nothing])),
  bind: (state, line) => {
    for (const one of bindsOf(line, state.findings)) state.binds.push(one)
  },
  default_backend: (state, { words }) => {
    state.fallback = words[1]
  },
  'monitor-uri': (state, { words }) => {
    state.monitor = words[1]
  },
  'timeout client': (state, { words, line, text }) => {
    const tell = (why: string): void => state.findings.note(line, text, why)
    state.fields.idleTimeout = boundedDuration(haproxyTime(words[2]), [SECOND, 24 * HOUR], tell)
  },
  'timeout tunnel': (state, { words, line, text }) => {
    const tell = (why: string): void => state.findings.note(line, text, why)
    state.fields.websocketIdleTimeout = boundedDuration(haproxyTime(words[2]), [SECOND, 24 * HOUR], tell)
  },
  'timeout http-request': (state, { words, line, text }) => {
    const tell = (why: string): void => state.findings.note(line, text, why)
    state.top.protection = { headerTimeout: boundedDuration(haproxyTime(words[2]), [10, HOUR], tell) }
  },
}

const SILENT = new Set(['v4v6', 'v6only', 'tfo', 'defer-accept', 'transparent', 'allow-0rtt', 'no-sslv3', 'strict-sni'])
const WITH_VALUE = new Set([
  'name',
  'maxconn',
  'backlog',
  'mss',
  'interface',
  'user',
  'group',
  'mode',
  'process',
  'thread',
])

function bindsOf({ words, line, text }: HaproxyLine, findings: Findings): readonly Bind[] {
  const [, addresses = '', ...options] = words
  const tls: Fields = {}
  const fields: Fields = {}
  const certificates: Fields[] = []
  let isTls = false
  let versions: Fields = {}
  for (let at = 0; at < options.length; at++) {
    const word = options[at]!
    if (word === 'ssl') isTls = true
    else if (word === 'crt') certificates.push(certificateOf(options[++at] ?? ''))
    else if (word === 'alpn') tls.alpn = (options[++at] ?? '').split(',')
    else if (word === 'proto') fields.http2 = options[++at] === 'h2'
    else if (word === 'accept-proxy') fields.acceptProxyProtocol = ['0.0.0.0/0', '::/0']
    else if (word === 'ca-file')
      tls.clientCertificates = { mode: 'require', ...(tls.clientCertificates as Fields), ca: options[++at] }
    else if (word === 'verify') {
      const mode = { none: 'none', optional: 'request' }[options[++at] ?? ''] ?? 'require'
      tls.clientCertificates = { ...(tls.clientCertificates as Fields), mode }
    } else if (word === 'ssl-min-ver' || word === 'ssl-max-ver') {
      versions = {
        ...versions,
        [word === 'ssl-min-ver' ? 'minVersion' : 'maxVersion']: tlsVersion(options[++at] ?? ''),
      }
    } else if (word === 'ciphers' || word === 'ciphersuites') {
      findings.untranslated(
        line,
        `${word} ${options[++at]}`,
        'write tls.policy.ciphers, or keep Castor’s, which are the intermediate ones',
      )
    } else if (WITH_VALUE.has(word)) {
      findings.note(line, `${word} ${options[++at]}`, 'has no meaning in Castor')
    } else if (SILENT.has(word)) findings.note(line, word, 'is so by itself, or has no meaning in Castor')
    else findings.untranslated(line, word, 'Castor has nothing like it')
  }
  if (isTls && certificates.length === 0) throw new Untranslatable('it names no certificate')
  if (isTls) {
    fields.tls = { certificates, ...tls, ...(Object.keys(versions).length === 0 ? {} : { policy: versions }) }
  }
  return addresses.split(',').map((written): Bind => {
    const { address, port } = listenAddress(written, text)
    return { address, port, tls: isTls, fields }
  })
}

function certificateOf(file: string): Fields {
  if (file.endsWith('/')) throw new Untranslatable('a folder of certificates: name each in tls.certificates')
  return { cert: file, key: file }
}

function tlsVersion(text: string): string {
  const version = { 'TLSv1.0': 'TLSv1' }[text] ?? text
  if (!/^TLSv1(\.[123])?$/.test(version)) throw new Untranslatable(`Castor has no ${text}`)
  return version
}

function listenAddress(written: string, text: string): { readonly address: string; readonly port: number } {
  const bare = written.replace(/^ipv4@/, '')
  if (/^(unix@|abns@|fd@|sockpair@|\/|quic)/.test(bare))
    throw new Untranslatable('Castor listens on addresses with ports')
  const colon = bare.lastIndexOf(':')
  if (colon < 0) throw new Untranslatable(`${text} has no port`)
  const port = portNumber(bare.slice(colon + 1))
  const host = bare.slice(0, colon).replace(/^ipv6@/, '')
  if (host === '' || host === '*') return { address: `0.0.0.0:${port}`, port }
  if (host === '::' || host === '[::]') return { address: `[::]:${port}`, port }
  if (host.includes(':')) return { address: `[${host.replace(/^\[|\]$/g, '')}]:${port}`, port }
  if (/^[\d.]+$/.test(host)) return { address: `${host}:${port}`, port }
  throw new Untranslatable('Castor listens on addresses, not on names')
}

export interface RuleContext {
  readonly lines: readonly HaproxyLine[]
  readonly bound: Bound
  readonly acls: Acls
  readonly findings: Findings
  /** What sends requests to a backend: its group, and its own rules before. Undefined where there is no such backend. */
  readonly backend: (name: string) => { readonly group: string; readonly lines: readonly HaproxyLine[] } | undefined
  readonly fallback: string | undefined
}

const answers = (line: HaproxyLine): boolean =>
  (line.words[0] === 'http-request' || line.words[0] === 'redirect') && !isEdit(line)

/** First all of http-request and redirect, then use_backend, whatever their order in the file, as HAProxy goes. */
export function rulesOf(context: RuleContext): readonly ListedRule[] {
  const { lines } = context
  return [
    ...lines.filter(answers).flatMap((line) => answerRules(line, context)),
    ...lines.filter(({ words }) => words[0] === 'use_backend').flatMap((line) => backendRules(line, context)),
    ...(context.fallback === undefined ? [] : ownRules(context.fallback, context, { words: [], line: 0, text: '' })),
  ]
}

function backendRules(line: HaproxyLine, context: RuleContext): readonly ListedRule[] {
  const { words, text } = line
  return (
    context.findings.attempt(line.line, text, () => {
      const name = words[1] ?? ''
      if (name.includes('%['))
        throw new Untranslatable('a backend that the request names: Castor’s rules name their groups')
      const found = context.backend(name)
      if (found === undefined) throw new Untranslatable(`there is no backend "${name}"`)
      const own = ownRules(name, context, line)
      const edits = haproxyEdits([context.lines, found.lines], context.findings)
      const rules = listed(line, words.slice(2), context, { forward: found.group }).flatMap((rule) => edits.of(rule))
      return [...own, ...rules]
    }) ?? []
  )
}

/** The rules of a backend, for those requests alone that `use_backend` sends there. */
function ownRules(name: string, context: RuleContext, { words, line }: HaproxyLine): readonly ListedRule[] {
  const found = context.backend(name)
  if (found === undefined) return []
  const acls = new Map([...context.acls, ...aclsIn(found.lines)])
  const outer = conditionOf(words.slice(2), context.acls, context.bound)
  return found.lines.filter(answers).flatMap((own) => answerRules(own, { ...context, acls }, { outer, line }))
}

function aclsIn(lines: readonly HaproxyLine[]): Acls {
  const acls = new Map<string, (readonly string[])[]>()
  for (const { words } of lines) {
    if (words[0] !== 'acl' || words[1] === undefined) continue
    acls.set(words[1], [...(acls.get(words[1]) ?? []), words.slice(2)])
  }
  return acls
}

interface Within {
  readonly outer: ReturnType<typeof conditionOf>
  readonly line: number
}

function answerRules(line: HaproxyLine, context: RuleContext, within?: Within): readonly ListedRule[] {
  return (
    context.findings.attempt(line.line, line.text, () => {
      const start = line.words[0] === 'redirect' ? 0 : 1
      const at = line.words.findIndex((word, index) => index > start && (word === 'if' || word === 'unless'))
      const words = line.words.slice(start, at < 0 ? undefined : at)
      const action = actionOf(words)
      return listed(line, at < 0 ? [] : line.words.slice(at), context, action, within)
    }) ?? []
  )
}

function listed(
  { line }: HaproxyLine,
  condition: readonly string[],
  { acls, bound }: RuleContext,
  action: Action,
  within?: Within,
): readonly ListedRule[] {
  const own = conditionOf(condition, acls, bound)
  const whole = within === undefined ? own : ({ is: 'all', of: [within.outer, own] } as const)
  return alternativesOf(whole).map(({ match, except }) => ({ match, except, action, line }))
}

/** @throws Untranslatable */
function actionOf(words: readonly string[]): Action {
  const [kind, ...options] = words
  const after = (name: string): string | undefined => {
    const at = options.indexOf(name)
    return at < 0 ? undefined : options[at + 1]
  }
  switch (kind) {
    case 'deny':
      return { respond: { status: Number(after('deny_status') ?? after('status') ?? 403), ...bodyOf(options, after) } }
    case 'return':
      return { respond: { status: Number(after('status') ?? 200), ...bodyOf(options, after) } }
    case 'redirect':
      return redirectOf(options, after)
    default:
      throw new Untranslatable(`Castor’s rules have nothing for http-request ${kind}`)
  }
}

function bodyOf(options: readonly string[], after: (name: string) => string | undefined): Fields {
  const text = after('string') ?? after('lf-string')
  if (after('file') !== undefined || after('lf-file') !== undefined) {
    return { bodyFile: after('file') ?? after('lf-file'), ...typeOf(after) }
  }
  if (options.includes('lf-string') && text?.includes('%')) throw new Untranslatable('its body has variables')
  if (options.includes('hdr')) throw new Untranslatable('its headers may have variables; write respond.headers')
  return { ...(text === undefined ? {} : { body: literal(text) }), ...typeOf(after) }
}

function typeOf(after: (name: string) => string | undefined): Fields {
  const type = after('content-type')
  return type === undefined ? {} : { headers: { 'content-type': literal(type) } }
}

function redirectOf(options: readonly string[], after: (name: string) => string | undefined): Action {
  const kind = options.find((option) => ['scheme', 'location', 'prefix'].includes(option))
  const to = after(kind ?? '') ?? ''
  const odd = options.find((option) => ['set-cookie', 'clear-cookie', 'append-slash', 'ignore-empty'].includes(option))
  if (odd !== undefined) throw new Untranslatable(`Castor’s redirects have no ${odd}`)
  const status = Number(after('code') ?? 302)
  const rest = options.includes('drop-query') ? '${path}' : '${uri}'
  if (kind === 'scheme') return redirectTo(`${to}://\${hostport}${rest}`, status)
  if (kind === 'location') return redirectTo(withVariables(to), status)
  if (kind === 'prefix') return redirectTo(`${withVariables(to).replace(/\/$/, '')}${rest}`, status)
  throw new Untranslatable('it says not where to')
}

const VARIABLES: Readonly<Record<string, string>> = {
  'hdr(host)': '${hostport}',
  'req.hdr(host)': '${hostport}',
  'req.hdr(Host)': '${hostport}',
  'hdr(Host)': '${hostport}',
  'capture.req.uri': '${uri}',
  url: '${uri}',
  pathq: '${uri}',
  path: '${path}',
  query: '${query}',
}

function withVariables(text: string): string {
  return text.replaceAll('${', '$ {').replace(/%\[([^\]]*)\]/g, (whole, name: string) => {
    const known = VARIABLES[name]
    if (known === undefined) throw new Untranslatable(`Castor’s redirects have nothing for ${whole}`)
    return known
  })
}

/** `monitor-uri`, which goes before all rules. */
export function monitorRule(path: string): ListedRule {
  return { match: matching({ path: exactPath(path) }), except: [], action: { respond: { status: 200 } }, line: 0 }
}
