import { type Draft, type DraftGroup, type DraftListener, type Fields, Names } from './draft.js'
import type { Findings } from './findings.js'
import { aclsOf } from './haproxy-acl.js'
import { BACKEND, type BackendState, groupOf, type Handler } from './haproxy-backend.js'
import { haproxyEdits } from './haproxy-edits.js'
import { type Bind, FRONTEND, type FrontendState, monitorRule, rulesOf } from './haproxy-frontend.js'
import { type HaproxyLine, type HaproxySection, readHaproxy } from './haproxy-reader.js'
import { ANYTHING } from './match.js'
import type { ListedRule } from './order.js'

/** A haproxy.cfg as a draft. @throws ImportError for what is no haproxy.cfg */
export function draftOfHaproxy(text: string, findings: Findings): Draft {
  const sections = readHaproxy(text)
  const names = new Names()
  const top: Fields = {}
  const groups: DraftGroup[] = []
  const groupNames = new Map<
    string,
    { readonly group: string; readonly lines: readonly HaproxyLine[]; readonly tcp: boolean }
  >()
  for (const section of sections) {
    if (section.kind === 'global') readGlobal(section, top, findings)
    else if (section.kind === 'backend' || section.kind === 'listen') {
      const group = readBackend(section, names.fresh(section.name), findings)
      if (section.kind === 'backend' || hasServers(section)) {
        groups.push(group)
        const tcp = modeOf(section) === 'tcp'
        groupNames.set(section.name, { group: group.name, lines: section.kind === 'backend' ? section.lines : [], tcp })
      }
    } else if (section.kind !== 'frontend' && section.kind !== 'defaults') {
      findings.untranslated(section.line, `${section.kind} ${section.name}`.trim(), 'Castor has no such section')
    }
  }
  const listenerNames = new Names()
  const listeners = sections
    .filter(({ kind }) => kind === 'frontend' || kind === 'listen')
    .flatMap((section) => readFrontend(section, { top, findings, names: listenerNames, groups: groupNames }))
  return { top, listeners, groups }
}

/** Nothing is lost with them: Castor does so by itself, or the thing is of another program's making. */
const UNNEEDED = new Set([
  'log',
  'log-format',
  'log-tag',
  'log-format-sd',
  'daemon',
  'user',
  'group',
  'chroot',
  'pidfile',
  'description',
  'id',
  'option httplog',
  'option tcplog',
  'option dontlognull',
  'option dontlog-normal',
  'option forwardfor',
  'option http-server-close',
  'option http-keep-alive',
  'option redispatch',
  'option log-health-checks',
  'option contstats',
  'option abortonclose',
  'option tcpka',
  'option clitcpka',
  'option srvtcpka',
  'option http-use-htx',
  'option logasap',
  'option splice-auto',
  'option tcp-smart-accept',
  'option tcp-smart-connect',
  'option prefer-last-server',
  'option socket-stats',
  'http-reuse',
  'master-worker',
  'ulimit-n',
  'maxpipes',
  'quiet',
  'tune.ssl.default-dh-param',
  'tune.bufsize',
  'stats socket',
  'stats timeout',
  'timeout http-keep-alive',
  'unique-id-header',
  'unique-id-format',
])

const WHY: Readonly<Record<string, string>> = {
  log: 'Castor has an access log of its own: log.access',
  'option forwardfor': 'Castor always sends X-Forwarded-For',
  'stats socket': 'Castor has an admin API: admin.listen',
  'timeout http-keep-alive': 'idleTimeout holds between requests as well',
}

function keywordOf({ words }: HaproxyLine): string {
  const [first = '', second = ''] = words
  return ['option', 'timeout', 'stats'].includes(first) && second !== '' ? `${first} ${second}` : first
}

function tellUnneeded(line: HaproxyLine, keyword: string, findings: Findings): boolean {
  if (!UNNEEDED.has(keyword)) return false
  if (keyword === 'option forwardfor' && line.words.length > 2 && line.words[2] !== 'except') {
    findings.untranslated(line.line, line.text, 'Castor sends X-Forwarded-For always, and by that name')
    return true
  }
  findings.note(line.line, line.text, WHY[keyword] ?? 'Castor does so by itself, or has no need of it')
  return true
}

function readGlobal({ lines }: HaproxySection, top: Fields, findings: Findings): void {
  for (const line of lines) {
    const keyword = keywordOf(line)
    const [, value = ''] = line.words
    if (keyword === 'nbthread' && /^\d+$/.test(value)) top.workers = Math.min(256, Math.max(1, Number(value)))
    else if (keyword === 'maxconn' && /^\d+$/.test(value)) {
      top.protection = {
        ...(top.protection as Fields),
        maxConnections: Math.min(10_000_000, Math.max(1, Number(value))),
      }
    } else if (!tellUnneeded(line, keyword, findings)) {
      findings.untranslated(line.line, line.text, 'Castor has no such setting of the process')
    }
  }
}

function modeOf({ lines }: HaproxySection): 'http' | 'tcp' {
  const mode = lines.findLast(({ words }) => words[0] === 'mode')?.words[1]
  return mode === 'http' ? 'http' : 'tcp'
}

const hasServers = ({ lines }: HaproxySection): boolean => lines.some(({ words }) => words[0] === 'server')

/** Applies each line that a map has a handler for, and says what neither it nor another map knows. */
function readLines<S>(
  section: HaproxySection,
  handlers: Readonly<Record<string, Handler<S>>>,
  others: Readonly<Record<string, unknown>>,
  state: S,
  findings: Findings,
): void {
  for (const [index, line] of section.lines.entries()) {
    const keyword = keywordOf(line)
    const handler = Object.hasOwn(handlers, keyword) ? handlers[keyword] : undefined
    if (handler !== undefined) findings.attempt(line.line, line.text, () => handler(state, line))
    else if (keyword === 'mode' || tellUnneeded(line, keyword, findings)) continue
    else if ((index < section.inherited || section.kind === 'listen') && Object.hasOwn(others, keyword)) continue
    else findings.untranslated(line.line, line.text, 'Castor has nothing like it')
  }
}

function readBackend(section: HaproxySection, name: string, findings: Findings): DraftGroup {
  const state: BackendState = {
    findings,
    mode: modeOf(section),
    fields: {},
    servers: [],
    defaultServer: [],
    healthCheck: {},
    timeouts: {},
  }
  const rules = { acl: () => {}, 'http-request': () => {}, 'http-response': () => {}, redirect: () => {} }
  const handlers: Readonly<Record<string, Handler<BackendState>>> =
    section.kind === 'backend' && state.mode === 'http' ? { ...BACKEND, ...rules } : BACKEND
  readLines(section, handlers, FRONTEND, state, findings)
  return groupOf(state, name, section)
}

interface Context {
  readonly top: Fields
  readonly findings: Findings
  readonly names: Names
  readonly groups: ReadonlyMap<
    string,
    { readonly group: string; readonly lines: readonly HaproxyLine[]; readonly tcp: boolean }
  >
}

function readFrontend(section: HaproxySection, { top, findings, names, groups }: Context): readonly DraftListener[] {
  const state: FrontendState = { findings, binds: [], fields: {}, top: {}, fallback: undefined, monitor: undefined }
  readLines(section, FRONTEND, BACKEND, state, findings)
  for (const [key, value] of Object.entries(state.top)) top[key] = { ...(top[key] as Fields), ...(value as Fields) }
  if (section.kind === 'listen' && hasServers(section)) state.fallback = section.name
  const mode = modeOf(section)
  if (state.binds.length === 0) {
    findings.untranslated(section.line, `${section.kind} ${section.name}`, 'it listens nowhere that Castor could')
    return []
  }
  const group = state.fallback === undefined ? undefined : groups.get(state.fallback)
  if (state.fallback !== undefined && group === undefined) {
    findings.untranslated(section.line, `default_backend ${state.fallback}`, 'there is no such backend')
  }
  if (mode === 'tcp') return tcpListeners(section, state, group?.tcp ? group.group : undefined, names, findings)
  const fallback = group === undefined || group.tcp ? { respond: { status: 503 } } : { forward: group.group }
  return bindsByKind(state.binds, section).map((binds): DraftListener => {
    const [bind] = binds as [Bind]
    const rules = rulesOf({
      lines: section.lines,
      bound: bind,
      acls: aclsOf(section.lines),
      findings,
      backend: (name) => {
        const found = groups.get(name)
        return found?.tcp === false ? found : undefined
      },
      fallback: state.fallback,
    })
    const edits = haproxyEdits(
      [section.lines, group === undefined || section.kind === 'listen' ? [] : group.lines],
      findings,
    )
    const plain: ListedRule = { match: ANYTHING, except: [], action: fallback, line: section.line }
    const edited = group === undefined ? [plain] : edits.of(plain)
    // The fallback has no keys of a rule; where nothing is changed there needs to be none.
    const last = JSON.stringify(edited) === JSON.stringify([plain]) ? [] : edited
    return {
      name: names.fresh(bind.tls ? `${section.name}-tls` : section.name),
      line: section.line,
      fields: { protocol: bind.tls ? 'https' : 'http', ...listen(binds), ...bind.fields, ...state.fields },
      rules: [...(state.monitor === undefined ? [] : [monitorRule(state.monitor)]), ...rules, ...last],
      fallback,
    }
  })
}

function tcpListeners(
  section: HaproxySection,
  { binds, fields }: FrontendState,
  group: string | undefined,
  names: Names,
  findings: Findings,
): readonly DraftListener[] {
  for (const { words, line, text } of section.lines) {
    if (
      words[0] !== 'use_backend' &&
      words[0] !== 'http-request' &&
      words[0] !== 'redirect' &&
      words[0] !== 'http-response'
    )
      continue
    findings.untranslated(line, text, 'a tcp listener sees no requests, and has one group')
  }
  if (group === undefined) {
    findings.untranslated(section.line, `${section.kind} ${section.name}`, 'a tcp listener needs a backend of mode tcp')
    return []
  }
  const { websocketIdleTimeout: _websocket, ...own } = fields
  return bindsByKind(binds, section).map((some): DraftListener => {
    const [bind] = some as [Bind]
    return {
      name: names.fresh(bind.tls ? `${section.name}-tls` : section.name),
      line: section.line,
      fields: { protocol: bind.tls ? 'tls' : 'tcp', ...listen(some), ...bind.fields, ...own },
      rules: [],
      fallback: { forward: group },
    }
  })
}

/** Binds that can be one listener: alike in all except the address, and in the port where a rule asks for it. */
function bindsByKind(binds: readonly Bind[], { lines }: HaproxySection): readonly (readonly Bind[])[] {
  const asksPort = lines.some(({ words }) => words.some((word) => word.startsWith('dst_port')))
  const kinds = new Map<string, Bind[]>()
  for (const bind of binds) {
    const key = JSON.stringify([bind.tls, bind.fields, asksPort ? bind.port : 0])
    const others = kinds.get(key)
    if (others === undefined) kinds.set(key, [bind])
    else others.push(bind)
  }
  return [...kinds.values()]
}

function listen(binds: readonly Bind[]): Fields {
  const addresses = binds.map(({ address }) => address)
  return { listen: addresses.length === 1 ? addresses[0] : addresses }
}
