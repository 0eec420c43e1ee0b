import { boundedDuration, type Draft, type DraftListener, type Fields, Names, portNumber } from './draft.js'
import { type Findings, Untranslatable } from './findings.js'
import { hostOf } from './match.js'
import { rulesOfServer } from './nginx-location.js'
import { type NginxDirective, readNginx } from './nginx-reader.js'
import { nginxTime, Upstreams } from './nginx-upstream.js'
import type { Action, ListedRule } from './order.js'

interface Listen {
  readonly address: string
  readonly isTls: boolean
  readonly http2: boolean
  readonly isDefault: boolean
  readonly proxyProtocol: boolean
  readonly line: number
}

interface Server {
  readonly directive: NginxDirective
  readonly listens: readonly Listen[]
  /** As Castor writes them. */
  readonly names: readonly string[]
}

/** An nginx.conf, or a file that stands within its http block, as a draft. @throws ImportError for what is neither */
export function draftOfNginx(text: string, findings: Findings): Draft {
  const top = readNginx(text)
  const http = top.flatMap(({ name, block }) => (name === 'http' ? (block ?? []) : []))
  const known = new Set(['http', 'server', 'upstream'])
  const outer = [...http, ...top.filter(({ name }) => !http.length || name === 'server' || name === 'upstream')]
  if (http.length > 0)
    tellOthers(
      top.filter(({ name }) => !known.has(name)),
      findings,
    )
  const upstreams = new Upstreams(new Names(), findings)
  for (const each of outer) if (each.name === 'upstream') upstreams.add(each)
  const fields: Fields = {}
  const file: Fields = {}
  readSettings(outer, fields, file, findings)
  const servers = outer.filter(({ name }) => name === 'server').map((each) => serverOf(each, findings))
  const names = new Names()
  const listeners = byAddress(servers).map(({ addresses, listen, some }): DraftListener => {
    const first =
      some.find(({ listens }) => listens.some((each) => each.isDefault && each.address === addresses[0])) ?? some[0]!
    const { rules, fallback } = rulesOf(some, first, outer, listen.isTls, upstreams, findings)
    return {
      name: names.fresh(`${listen.isTls ? 'https' : 'http'}-${addresses[0]!.replace(/^.*:/, '')}`),
      line: listen.line,
      fields: {
        protocol: listen.isTls ? 'https' : 'http',
        listen: addresses.length === 1 ? addresses[0] : addresses,
        ...(listen.isTls ? { tls: tlsOf(some, first, outer, findings) } : {}),
        ...(listen.http2 !== listen.isTls ? { http2: listen.http2 } : {}),
        ...(listen.proxyProtocol ? { acceptProxyProtocol: ['0.0.0.0/0', '::/0'] } : {}),
        ...fields,
      },
      rules,
      fallback,
    }
  })
  upstreams.rest()
  return { top: file, listeners, groups: upstreams.groups }
}

/** Nothing is lost with them. */
const UNNEEDED =
  /^(events|user|pid|worker_\w+|error_log|access_log|log_format|sendfile|tcp_nopush|tcp_nodelay|types|types_hash_\w+|default_type|server_tokens|server_names_hash_\w+|ssl_session_\w+|ssl_prefer_server_ciphers|ssl_dhparam|ssl_ecdh_curve|proxy_http_version|proxy_buffer\w*|proxy_buffers|proxy_busy_buffers_size|proxy_redirect|proxy_request_buffering|keepalive_requests|charset|log_not_found|reset_timedout_connection|send_timeout|proxy_send_timeout|port_in_redirect|absolute_redirect|server_name_in_redirect|daemon|master_process|\w+_temp_path|grpc_set_header|http2|merge_slashes|underscores_in_headers|proxy_ssl_server_name|proxy_ssl_protocols|mime\.types|default_server)$/

const HANDLED =
  /^(server|upstream|listen|server_name|location|return|if|allow|deny|ssl_certificate|ssl_certificate_key|ssl_protocols|ssl_client_certificate|ssl_verify_client|keepalive_timeout|client_header_timeout|proxy_pass|grpc_pass|proxy_connect_timeout|proxy_read_timeout|proxy_next_upstream|add_header|proxy_hide_header)$/

/** Header fields that Castor writes itself, or passes on as nginx does here. */
const OWN_HEADERS: Readonly<Record<string, string>> = {
  host: 'Castor passes Host on as it came',
  'x-forwarded-for': 'Castor always sends it',
  'x-forwarded-proto': 'Castor sends it by itself',
  'x-forwarded-host': 'Castor sends it by itself',
  'x-forwarded-port': 'Castor sends it by itself',
  upgrade: 'Castor passes WebSockets on by itself',
  connection: 'Castor keeps connections to targets by itself',
}

function tellOthers(directives: readonly NginxDirective[], findings: Findings): void {
  for (const { name, args, line, block } of directives) {
    const text = [name, ...args].join(' ')
    if (HANDLED.test(name)) continue
    if (UNNEEDED.test(name)) findings.note(line, text, 'Castor does so by itself, or has no need of it')
    else if (name === 'include' && /(mime\.types|proxy_params|fastcgi_params)$/.test(args[0] ?? '')) {
      findings.note(line, text, 'the file is not read')
    } else if (name === 'include') {
      findings.untranslated(
        line,
        text,
        'included files are not read; import them by themselves, or put them in its place',
      )
    } else if (name === 'proxy_set_header') tellHeader(line, text, args, findings)
    else if (name === 'stream') findings.untranslated(line, 'stream', 'write its servers as tcp listeners')
    else findings.untranslated(line, block === undefined ? text : `${text} { … }`, 'Castor has nothing like it')
  }
}

function tellHeader(line: number, text: string, [name = '', value = '']: readonly string[], findings: Findings): void {
  const own = OWN_HEADERS[name.toLowerCase()]
  const asIs = name.toLowerCase() !== 'host' || value === '$host' || value === '$http_host'
  if (own !== undefined && asIs) findings.note(line, text, own)
}

function readSettings(outer: readonly NginxDirective[], fields: Fields, file: Fields, findings: Findings): void {
  tellOthers(outer, findings)
  for (const { name, args, line } of outer) {
    const text = [name, ...args].join(' ')
    const tell = (why: string): void => findings.note(line, text, why)
    if (name === 'keepalive_timeout') {
      findings.attempt(line, text, () => {
        fields.idleTimeout = boundedDuration(nginxTime(args[0]), [1000, 86_400_000], tell)
      })
    } else if (name === 'client_header_timeout') {
      findings.attempt(line, text, () => {
        file.protection = { headerTimeout: boundedDuration(nginxTime(args[0]), [10, 3_600_000], tell) }
      })
    }
  }
}

function serverOf(directive: NginxDirective, findings: Findings): Server {
  const body = directive.block ?? []
  tellOthers(body, findings)
  for (const location of body.filter(({ name }) => name === 'location')) {
    for (const inner of location.block ?? []) {
      if (inner.name === 'location') {
        findings.untranslated(inner.line, `location ${inner.args.join(' ')}`, 'locations within locations are not read')
      }
    }
    // What a location serves files by is told of with the location itself.
    const rest = (location.block ?? []).filter(
      ({ name }) => !/^(root|alias|index|try_files|expires|fastcgi_\w+)$/.test(name),
    )
    tellOthers(
      rest.filter(({ name }) => name !== 'location'),
      findings,
    )
  }
  const listens = body.flatMap((each) => {
    if (each.name !== 'listen') return []
    const listen = findings.attempt(each.line, `listen ${each.args.join(' ')}`, () => listenOf(each))
    return listen === undefined ? [] : [listen]
  })
  const hasListen = body.some(({ name }) => name === 'listen')
  const plain: Listen = {
    address: '0.0.0.0:80',
    isTls: false,
    http2: false,
    isDefault: false,
    proxyProtocol: false,
    line: directive.line,
  }
  const http2 = body.some(({ name, args }) => name === 'http2' && args[0] === 'on')
  const names = body
    .filter(({ name }) => name === 'server_name')
    .flatMap(({ args, line }) =>
      args.flatMap((each) => findings.attempt(line, `server_name ${each}`, () => hostsOf(each)) ?? []),
    )
  return {
    directive,
    listens: hasListen ? listens.map((each) => ({ ...each, http2: each.http2 || http2 })) : [plain],
    names,
  }
}

function hostsOf(name: string): readonly string[] {
  if (name === '_' || name === '') return []
  if (name.startsWith('~'))
    throw new Untranslatable('Castor has hosts as a name, *.name or name.*, not as an expression')
  return name.startsWith('.') ? [hostOf(name.slice(1)), hostOf(`*${name}`)] : [hostOf(name)]
}

function listenOf({ args, line }: NginxDirective): Listen {
  const [written = '', ...options] = args
  if (written.startsWith('unix:')) throw new Untranslatable('Castor listens on addresses with ports')
  if (options.includes('quic')) throw new Untranslatable('Castor has no HTTP/3')
  const colon = written.startsWith('[') ? written.indexOf(']:') + 1 : written.lastIndexOf(':')
  const isPort = /^\d+$/.test(written)
  const port = isPort ? portNumber(written) : colon > 0 ? portNumber(written.slice(colon + 1)) : 80
  const host = isPort ? '0.0.0.0' : (colon > 0 ? written.slice(0, colon) : written).replace(/^\*$/, '0.0.0.0')
  if (!/^[\d.]+$|^\[[0-9a-fA-F:.]+\]$/.test(host)) throw new Untranslatable('Castor listens on addresses, not on names')
  return {
    address: `${host}:${port}`,
    isTls: options.includes('ssl'),
    http2: options.includes('http2'),
    isDefault: options.includes('default_server') || options.includes('default'),
    proxyProtocol: options.includes('proxy_protocol'),
    line,
  }
}

interface Together {
  readonly addresses: string[]
  readonly listen: Listen
  readonly some: readonly Server[]
}

/** Servers by where they listen; addresses that have the same ones are one listener. */
function byAddress(servers: readonly Server[]): readonly Together[] {
  const addresses = new Map<string, { some: Server[]; listens: Listen[] }>()
  for (const server of servers) {
    for (const listen of server.listens) {
      const known = addresses.get(listen.address) ?? { some: [], listens: [] }
      known.some.push(server)
      known.listens.push(listen)
      addresses.set(listen.address, known)
    }
  }
  const together = new Map<string, Together>()
  for (const [address, { some, listens }] of addresses) {
    const any = (what: (listen: Listen) => boolean): boolean => listens.some(what)
    const listen: Listen = {
      ...listens[0]!,
      isTls: any(({ isTls }) => isTls),
      http2: any(({ http2 }) => http2),
      proxyProtocol: any(({ proxyProtocol }) => proxyProtocol),
    }
    const first = listens.findIndex(({ isDefault }) => isDefault)
    const key = JSON.stringify([
      some.map(({ directive }) => directive.line),
      listen.isTls,
      listen.http2,
      Math.max(0, first),
    ])
    const same = together.get(key)
    if (same === undefined) together.set(key, { addresses: [address], listen, some })
    else same.addresses.push(address)
  }
  return [...together.values()]
}

/** Names themselves go first, then the longest *.name, then the longest name.*, then the default server. */
function rulesOf(
  some: readonly Server[],
  first: Server,
  outer: readonly NginxDirective[],
  isTls: boolean,
  upstreams: Upstreams,
  findings: Findings,
): { readonly rules: readonly ListedRule[]; readonly fallback: Action } {
  const rank = (host: string): number =>
    host.startsWith('*.') ? 1000 - host.length : host.endsWith('.*') ? 2000 - host.length : 0
  const parts = (server: Server) =>
    rulesOfServer({
      server: server.directive,
      outer,
      isTls,
      serverName: server.names[0] ?? '',
      upstreams,
      findings,
    })
  const taken = new Set<string>()
  const hosted = some
    .flatMap((server) => server.names.map((host) => ({ host, server })))
    .filter(({ host }) => !taken.has(host) && taken.add(host))
    .filter(({ server }) => server !== first || some.length > 1)
    .sort((a, b) => rank(a.host) - rank(b.host))
  const rules = hosted.flatMap(({ host, server }) => {
    const { rules: own, last } = parts(server)
    const within = own.map((rule) => ({
      ...rule,
      match: { ...rule.match, host: rule.match.host === '' ? host : rule.match.host },
    }))
    const whole: ListedRule = {
      match: { host, path: { is: 'any' }, methods: undefined, headers: {}, query: {}, cookies: {}, sources: undefined },
      except: [],
      action: last,
      line: server.directive.line,
    }
    // A condition on another host can never hold here.
    return [...within.filter(({ match }) => match.host === host || host.includes('*')), whole]
  })
  const { rules: own, last } = parts(first)
  const end = own.at(-1)
  const endsAll = end !== undefined && end.except.length === 0 && end.match.path.is === 'any' && isPlain(end)
  return endsAll
    ? { rules: [...rules, ...own.slice(0, -1)], fallback: end.action }
    : { rules: [...rules, ...own], fallback: last }
}

const isPlain = ({ match: { host, methods, headers, query, cookies, sources } }: ListedRule): boolean =>
  host === '' &&
  methods === undefined &&
  sources === undefined &&
  JSON.stringify([headers, query, cookies]) === '[{},{},{}]'

function tlsOf(some: readonly Server[], first: Server, outer: readonly NginxDirective[], findings: Findings): Fields {
  const certificates: Fields[] = []
  for (const { directive } of [first, ...some.filter((each) => each !== first)]) {
    const all = [...(directive.block ?? []), ...outer]
    const cert = all.find(({ name }) => name === 'ssl_certificate')?.args[0]
    const key = all.find(({ name }) => name === 'ssl_certificate_key')?.args[0]
    if (cert === undefined || key === undefined) {
      findings.untranslated(directive.line, 'server', 'it listens with ssl and names no certificate')
    } else if (!certificates.some((each) => each.cert === cert)) certificates.push({ cert, key })
  }
  const all = [...(first.directive.block ?? []), ...outer]
  const versions = all
    .find(({ name }) => name === 'ssl_protocols')
    ?.args.filter((each) => /^TLSv1(\.[123])?$/.test(each))
  const ca = all.find(({ name }) => name === 'ssl_client_certificate')?.args[0]
  const verify = all.find(({ name }) => name === 'ssl_verify_client')?.args[0]
  const mode = { on: 'require', optional: 'request' }[verify ?? '']
  const sorted = [...(versions ?? [])].sort()
  return {
    certificates,
    ...(sorted.length === 0 ? {} : { policy: { minVersion: sorted[0], maxVersion: sorted.at(-1) } }),
    ...(mode === undefined || ca === undefined ? {} : { clientCertificates: { mode, ca } }),
  }
}
