import { boundedDuration, type DraftGroup, durationText, type Fields, scaledWeights } from './draft.js'
import { type Findings, Untranslatable } from './findings.js'
import type { HaproxyLine, HaproxySection } from './haproxy-reader.js'

/** Servers of a backend, and how they are chosen, checked and waited for, as a target group. */

interface Server {
  readonly line: HaproxyLine
  readonly id: string
  readonly address: string
  weight: number
  checked: boolean
  tls: boolean
  version: 1 | 2
  readonly tlsFields: Fields
  maxConnections: number | undefined
  readonly check: Fields
}

export interface BackendState {
  readonly findings: Findings
  readonly mode: 'http' | 'tcp'
  readonly fields: Fields
  readonly servers: Server[]
  defaultServer: readonly string[]
  readonly healthCheck: Fields
  readonly timeouts: Fields
}

/** Keywords of a backend that this file knows. */
export type Handler<S> = (state: S, line: HaproxyLine) => void

const SECOND = 1000
const HOUR = 3_600_000

/** HAProxy's times: milliseconds unless a unit is given. @throws Untranslatable */
export function haproxyTime(text: string | undefined): number {
  const parts = /^(\d+)(us|ms|s|m|h|d)?$/.exec(text ?? '')
  if (parts === null) throw new Untranslatable(`"${text ?? ''}" is no time`)
  const units = { us: 0.001, ms: 1, s: SECOND, m: 60 * SECOND, h: HOUR, d: 24 * HOUR }
  return Math.ceil(Number(parts[1]) * units[(parts[2] ?? 'ms') as keyof typeof units])
}

export const BACKEND: Readonly<Record<string, Handler<BackendState>>> = {
  server: readServer,
  'default-server': (state, { words }) => {
    state.defaultServer = [...state.defaultServer, ...words.slice(1)]
  },
  balance,
  cookie,
  stick: (state, { words, text, line }) => {
    if (words[1] === 'on' && words[2] === 'src') state.fields.stickiness = { type: 'source-ip', ...stickyTime(state) }
    else
      state.findings.untranslated(line, text, 'Castor binds clients by cookie, by the application’s cookie or by src')
  },
  'stick-table': (state, { words, text, line }) => {
    const expire = words.indexOf('expire')
    if (words.includes('store')) state.findings.untranslated(line, text, 'counters of tables have no equal')
    else if (expire > 0) {
      const ms = haproxyTime(words[expire + 1])
      state.fields.tableTime = boundedDuration(ms, [SECOND, HOUR], (why) => state.findings.note(line, text, why))
      const { stickiness } = state.fields
      if (typeof stickiness === 'object') state.fields.stickiness = { type: 'source-ip', ...stickyTime(state) }
    }
  },
  'hash-type': (state, { text, line }) => state.findings.note(line, text, 'Castor’s hash moves few clients by itself'),
  'option httpchk': (state, { words, text, line }) => {
    const [, , first, second, version, ...host] = words
    state.healthCheck.protocol = 'http'
    const path = first?.startsWith('/') ? first : second
    if (path !== undefined) state.healthCheck.path = path
    if (first !== undefined && !first.startsWith('/') && first !== 'GET') {
      state.findings.note(line, text, `Castor’s checks ask with GET, not ${first}`)
    } else if (first === undefined || first.startsWith('/')) {
      state.findings.note(line, text, 'Castor’s checks ask with GET, not OPTIONS')
    }
    if (version === 'HTTP/1.0') state.healthCheck.httpVersion = '1.0'
    const named = /Host:\s*([A-Za-z0-9.:_-]+)/i.exec([version ?? '', ...host].join(' '))?.[1]
    if (named !== undefined) state.healthCheck.host = named
  },
  'option tcp-check': (state) => {
    state.healthCheck.protocol = 'tcp'
  },
  'http-check': httpCheck,
  retries: (state, { words }) => {
    state.fields.retries = { attempts: Math.min(10, Number(words[1]) || 0) }
  },
  'timeout connect': (state, { words, line, text }) => {
    state.timeouts.connect = bounded(state, words[2], [10, 600_000], line, text)
  },
  'timeout server': (state, { words, line, text }) => {
    if (state.mode === 'http') state.timeouts.response = bounded(state, words[2], [10, 24 * HOUR], line, text)
  },
  'timeout queue': (state, { words, line, text }) => {
    state.fields.queueTime = bounded(state, words[2], [10, HOUR], line, text)
  },
  'timeout check': (state, { words, line, text }) => {
    state.healthCheck.timeout = bounded(state, words[2], [50, 300_000], line, text)
  },
}

function bounded(state: BackendState, text: string | undefined, range: [number, number], line: number, what: string) {
  return boundedDuration(haproxyTime(text), range, (why) => state.findings.note(line, what, why))
}

const stickyTime = ({ fields }: BackendState): Fields =>
  typeof fields.tableTime === 'string' ? { timeout: fields.tableTime } : {}

function balance(state: BackendState, { words }: HaproxyLine): void {
  const way = words[1] ?? 'roundrobin'
  const header = /^hdr\(([^)]+)\)$/.exec(way)?.[1]
  const { fields } = state
  if (way === 'roundrobin' || way === 'static-rr') return
  if (way === 'leastconn') fields.algorithm = 'least-connections'
  else if (way === 'source') fields.algorithm = 'source-ip'
  else if (way.startsWith('random')) fields.algorithm = 'random-two'
  else if (way === 'uri' && words.length === 2) Object.assign(fields, { algorithm: 'maglev', hashOn: 'path' })
  else if (header !== undefined && state.mode === 'http')
    Object.assign(fields, { algorithm: 'maglev', hashOn: `header:${header.toLowerCase()}` })
  else throw new Untranslatable('Castor has no such way to choose; it is round-robin now')
}

function cookie(state: BackendState, { words, line, text }: HaproxyLine): void {
  const [, name = '', ...options] = words
  if (!options.includes('insert')) {
    throw new Untranslatable(
      'Castor inserts a cookie of its own, or learns the application’s (stickiness.type: app-cookie)',
    )
  }
  const domain = options[options.indexOf('domain') + 1]
  const lost = options.filter((option) => /^(maxlife|maxidle|preserve|dynamic|attr)$/.test(option))
  if (lost.length > 0) state.findings.untranslated(line, text, `${lost.join(', ')}: Castor’s cookie has no such thing`)
  state.fields.stickiness = {
    type: 'cookie',
    name,
    ...(options.includes('secure') ? { secure: true } : {}),
    ...(options.includes('domain') && domain !== undefined ? { domain: domain.replace(/^\./, '') } : {}),
  }
}

function httpCheck(state: BackendState, { words, line, text }: HaproxyLine): void {
  const codes = words.slice(words[2] === 'status' || words[2] === 'rstatus' ? 3 : 4).join(',')
  if (words[1] === 'expect' && words[2] === 'status' && /^[\d,-]+$/.test(codes)) {
    state.healthCheck.codes = codes
  } else if (words[1] === 'send') {
    const after = (word: string): string | undefined => {
      const at = words.indexOf(word)
      return at < 0 ? undefined : words[at + 1]
    }
    const host = words[words.findIndex((word) => word.toLowerCase() === 'host') + 1]
    state.healthCheck.protocol = 'http'
    if (after('uri') !== undefined) state.healthCheck.path = after('uri')
    if (words.includes('hdr') && host !== undefined && /^[A-Za-z0-9.:_-]+$/.test(host)) state.healthCheck.host = host
    if ((after('meth') ?? 'GET') !== 'GET') state.findings.note(line, text, 'Castor’s checks ask with GET')
    if (words.includes('body')) state.findings.untranslated(line, text, 'Castor’s checks have no body')
  } else {
    throw new Untranslatable('Castor’s checks look at the status code alone')
  }
}

const NO_VALUE = new Set(['check', 'ssl', 'disabled', 'backup', 'send-proxy', 'send-proxy-v2', 'check-ssl', 'enabled'])
const SILENT = new Set(['observe', 'error-limit', 'on-error', 'resolvers', 'resolve-prefer', 'init-addr', 'check-sni'])

function readServer(state: BackendState, line: HaproxyLine): void {
  const [, id = '', address = '', ...own] = line.words
  if (address.startsWith('/') || address.startsWith('unix@') || address.startsWith('abns@')) {
    throw new Untranslatable('Castor’s targets are addresses with ports')
  }
  const target = targetAddress(address)
  const server: Server = {
    line,
    id,
    address: target,
    weight: 1,
    checked: false,
    tls: false,
    version: 1,
    tlsFields: {},
    maxConnections: undefined,
    check: {},
  }
  const words = [...state.defaultServer, ...own]
  if (words.includes('backup')) {
    throw new Untranslatable('Castor has no targets for when all others are down; the server is left out')
  }
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!
    const value = NO_VALUE.has(word) ? '' : (words[at + 1] ?? '')
    const known = serverOption(state, server, word, value)
    if (!known) state.findings.untranslated(line.line, `server ${id} ${word}`, 'Castor has nothing like it')
    if (!NO_VALUE.has(word) && (known || SILENT.has(word))) at++
  }
  state.servers.push(server)
}

function targetAddress(written: string): string {
  const bare = written.replace(/^ipv[46]@/, '')
  const parts = /^(\[[0-9A-Fa-f:.]+\]|[^:[\]]+):(\d+)$/.exec(bare) ?? /^([0-9A-Fa-f:]*:[0-9A-Fa-f:]*):(\d+)$/.exec(bare)
  if (parts === null) throw new Untranslatable('it has no port, which Castor’s targets have')
  const host = parts[1]!
  return host.includes(':') && !host.startsWith('[') ? `[${host}]:${parts[2]}` : `${host}:${parts[2]}`
}

/** False for what is not known. */
function serverOption(state: BackendState, server: Server, word: string, value: string): boolean {
  const { line, text } = server.line
  switch (word) {
    case 'check':
      server.checked = true
      return true
    case 'weight':
      server.weight = Number(value) || 0
      return true
    case 'disabled':
      server.weight = 0
      return true
    case 'enabled':
      return true
    case 'cookie':
      state.findings.note(
        line,
        text,
        'the values of Castor’s cookie are its own: who comes with an old one is given a target anew',
      )
      return true
    case 'ssl':
      server.tls = true
      return true
    case 'verify':
      if (value === 'none') server.tlsFields.verify = false
      return true
    case 'ca-file':
      if (value !== '@system-ca') server.tlsFields.ca = value
      return true
    case 'crt':
      Object.assign(server.tlsFields, { cert: value, key: value })
      return true
    case 'sni':
    case 'verifyhost': {
      const name = /^str\(([^)]+)\)$/.exec(value)?.[1] ?? (word === 'verifyhost' ? value : undefined)
      if (name === undefined) return false
      server.tlsFields.serverName = name
      return true
    }
    case 'alpn':
    case 'proto':
      if (value.split(',').includes('h2')) server.version = 2
      return true
    case 'maxconn':
      server.maxConnections = Number(value) || undefined
      return true
    case 'inter':
      server.check.interval = boundedDuration(haproxyTime(value), [100, HOUR], (why) =>
        state.findings.note(line, text, why),
      )
      return true
    case 'rise':
      server.check.healthyThreshold = Number(value)
      return true
    case 'fall':
      server.check.unhealthyThreshold = Number(value)
      return true
    case 'port':
      server.check.port = Number(value)
      return true
    case 'slowstart':
      state.fields.slowStart = boundedDuration(haproxyTime(value), [0, HOUR], (why) =>
        state.findings.note(line, text, why),
      )
      return true
    case 'send-proxy':
    case 'send-proxy-v2':
      if (state.mode === 'http') return false
      state.fields.proxyProtocol = word === 'send-proxy' ? 'v1' : 'v2'
      return true
    default:
      return false
  }
}

/** A backend's draft, once all its lines were read. */
export function groupOf(state: BackendState, name: string, section: HaproxySection): DraftGroup {
  const { servers, mode, findings, healthCheck, timeouts } = state
  const { tableTime: _table, queueTime, ...fields } = state.fields
  const tell = (why: string): void => findings.note(section.line, `${section.kind} ${section.name}`, why)
  const weights = scaledWeights(servers.length === 0 ? [1] : servers.map(({ weight }) => weight), tell)
  const [first] = servers
  const mixed = servers.some((server) => server.tls !== first!.tls || server.version !== first!.version)
  if (mixed) findings.untranslated(section.line, section.name, 'a group speaks one protocol to all its targets')
  const allSame = servers.every(({ weight }) => weight === first!.weight && weight > 0)
  const limits = [...new Set(servers.flatMap(({ maxConnections }) => maxConnections ?? []))]
  if (limits.length > 1) tell(`a group has one limit for every target; it is ${Math.min(...limits)} now`)
  const checked = servers.filter((server) => server.checked)
  if (checked.length > 0 && checked.length < servers.length)
    tell('a group checks all of its targets or none; it checks all')
  return {
    name,
    line: section.line,
    fields: {
      protocol: mode === 'tcp' ? (first?.tls ? 'tls' : 'tcp') : protocolOf(first),
      ...fields,
      ...(first?.tls && Object.keys(first.tlsFields).length > 0 ? { tls: first.tlsFields } : {}),
      targets: servers.map(({ address, id }, index) => ({
        address,
        id: id.replace(/[^A-Za-z0-9_.-]/g, '-').slice(0, 64),
        ...(allSame ? {} : { weight: weights[index] }),
      })),
      ...(Object.keys(timeouts).length > 0 ? { timeouts } : {}),
      ...(limits.length === 0
        ? {}
        : {
            maxConnectionsPerTarget: Math.min(...limits),
            queue: { size: 1_000_000, timeout: queueTime ?? timeouts.connect ?? durationText(5 * SECOND) },
          }),
      healthCheck:
        checked.length === 0
          ? { protocol: 'off' }
          : { protocol: 'tcp', ...HAPROXY_CHECK, ...healthCheck, ...first!.check, ...tlsCheck(state) },
    },
  }
}

/** HAProxy's defaults, where they are not Castor's. */
const HAPROXY_CHECK = { interval: '2s', healthyThreshold: 2, unhealthyThreshold: 3 }

function tlsCheck({ servers, healthCheck }: BackendState): Fields {
  return servers[0]?.tls && healthCheck.protocol === 'http' ? { protocol: 'https' } : {}
}

function protocolOf(server: Server | undefined): string {
  if (server?.version === 2) return server.tls ? 'h2' : 'h2c'
  return server?.tls ? 'https' : 'http'
}
