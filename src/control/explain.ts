import { isIP } from 'node:net'
import { isDeepStrictEqual } from 'node:util'
import type {
  ConsideredBucket,
  ExplainedGroup,
  ExplainQuestion,
  Explanation,
  Unexplained,
} from '../admin/explanation.js'
import { formatAddress } from '../config/addresses.js'
import type { Config, ListenAddress, ListenerConfig } from '../core/config.js'
import type { RuleConfig } from '../core/config-rules.js'
import { PARSE_COMPLETE, RequestParser } from '../http/request-parser.js'
import { putLocation } from '../proxy/h1/own-answer.js'
import { ownAnswerOf } from '../proxy/own-answer.js'
import type { RoutedRequest } from '../route/conditions.js'
import { RequestPath } from '../route/request-path.js'
import { ADD_SLASH, RuleMatcher } from '../route/rule-matcher.js'
import { ByteText } from '../route/template.js'

/** Rules that are shown of those for one host and path. */
const MAX_SHOWN = 100
/** The longest request line that the parsers of the threads take. */
const MAX_TARGET_BYTES = 8_192

/** What is in force, or would be. */
export interface ExplainedWorld {
  readonly version: number
  readonly config: Config
  /** Where the listener listens, by the real ports. */
  addresses(listener: string): readonly ListenAddress[]
  /** A group's targets, and which of them the request would get. */
  group(name: string, request: RoutedRequest, weight: number | null): ExplainedGroup
}

/** Tells what would become of a request, by the matcher of the threads. Nothing is sent to anybody. */
export function explain(question: ExplainQuestion, world: ExplainedWorld): Explanation | Unexplained {
  const url = /^(https?):\/\/([^/?#]*)([^#]*)/i.exec(question.url)
  if (url === null || url[2] === '' || url[2]!.includes('@')) {
    const message = `${JSON.stringify(question.url)} is no URL of a request; write one like http://shop.example:8080/path`
    return { code: 'BAD_URL', message }
  }
  if (isIP(question.from) === 0) {
    return { code: 'BAD_REQUEST', message: `${JSON.stringify(question.from)} is no address of a client` }
  }
  const listener = findListener(question, url[1]!.toLowerCase(), url[2]!, world)
  if ('code' in listener) return listener
  const request = parse(question, url[2]!, url[3]!, world.config)
  if ('code' in request) return request
  return explainRules(listener, request, question, world)
}

function findListener(
  { listener: name }: ExplainQuestion,
  scheme: string,
  authority: string,
  { config, addresses }: ExplainedWorld,
): ListenerConfig | Unexplained {
  const { listeners } = config
  if (name !== undefined) {
    const named = listeners.find((each) => each.name === name)
    if (named === undefined) {
      const message = `no listener is named ${JSON.stringify(name)}; there are: ${listeners.map((each) => each.name).join(', ')}`
      return { code: 'NO_LISTENER', message }
    }
    return carriesRequests(named) ? named : notHttp(named)
  }
  const host = authority.replace(/:\d*$/, '').replace(/^\[|\]$/g, '')
  const port = Number(/:(\d+)$/.exec(authority)?.[1] ?? (scheme === 'https' ? 443 : 80))
  const there = listeners.filter((each) => addresses(each.name).some((address) => address.port === port))
  const own = there.filter((each) => addresses(each.name).some((one) => one.port === port && one.address === host))
  const [first, ...others] = own.length > 0 ? own : there
  if (first === undefined) {
    const ports = listeners.flatMap((each) => addresses(each.name).map((one) => `${each.name} ${one.port}`)).join(', ')
    const message = `no listener listens on port ${port}; there are: ${ports}. Name one with --listener`
    return { code: 'NO_LISTENER', message }
  }
  if (others.length > 0) {
    const names = [first, ...others].map((each) => each.name).join(', ')
    return { code: 'NO_LISTENER', message: `several listeners have port ${port}: ${names}. Name one with --listener` }
  }
  if (!carriesRequests(first)) return notHttp(first)
  if (first.protocol === scheme) return first
  const message = `listener ${first.name} on port ${port} speaks ${first.protocol}, not ${scheme}`
  return { code: 'NO_LISTENER', message }
}

const carriesRequests = ({ protocol }: ListenerConfig): boolean => protocol === 'http' || protocol === 'https'

function notHttp({ name, protocol, targetGroup }: ListenerConfig): Unexplained {
  const message = `listener ${name} speaks ${protocol} and sees no requests; all of it goes to ${targetGroup}`
  return { code: 'NOT_HTTP', message }
}

/** Read as a client's bytes would be, so that what no client can send is refused in the same words. */
function parse(
  { method, headers, from }: ExplainQuestion,
  authority: string,
  target: string,
  { protection }: Config,
): RoutedRequest | Unexplained {
  const parts = [method, authority, target, ...headers]
  if (parts.some((part) => /[\r\n]/.test(part)) || /[ \t]/.test(method + target)) {
    return { code: 'BAD_REQUEST', message: 'method, URL and headers hold no line breaks, and the first two no spaces' }
  }
  const bare = headers.find((header) => !header.includes(':'))
  if (bare !== undefined)
    return { code: 'BAD_REQUEST', message: `${JSON.stringify(bare)} is no header; write name: value` }
  const hasHost = headers.some((header) => /^host:/i.test(header))
  const lines = [...(hasHost ? [] : [`Host: ${authority}`]), ...headers]
  const path = target.startsWith('/') ? target : `/${target}`
  const buffer = Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`, 'utf8')
  const { maxHeaderBytes, maxHeaders } = protection
  const parser = new RequestParser({ maxHeaderBytes, maxHeaders, maxTargetBytes: MAX_TARGET_BYTES })
  if (parser.parse(buffer, 0, buffer.length) !== PARSE_COMPLETE) {
    const message = `no client can send that: it is answered ${parser.errorStatus}, ${parser.errorDetail}`
    return { code: 'BAD_REQUEST', message }
  }
  return { parser, buffer, start: 0, source: { family: isIP(from) === 6 ? 6 : 4, address: from, port: 0 } }
}

function explainRules(
  listener: ListenerConfig,
  request: RoutedRequest,
  { from }: ExplainQuestion,
  world: ExplainedWorld,
): Explanation {
  const rules = listener.rules
  const places = placesFor(rules, request)
  const matcher = new RuleMatcher(places.map((place) => rules[place]!))
  const found = matcher.match(request)
  const considered = matcher.candidates(request).map(
    ({ host, path, addsSlash, rules: asked }): ConsideredBucket => ({
      host,
      path,
      addsSlash,
      rules: asked
        .slice(0, MAX_SHOWN)
        .map(({ index, failed }) => ({ name: rules[places[index]!]!.name, failed: failed ?? null })),
      more: Math.max(0, asked.length - MAX_SHOWN),
    }),
  )
  const base = { version: world.version, listener: listener.name, from, considered, groups: [], location: null }
  if (found === ADD_SLASH) {
    return { ...base, rule: null, outcome: 'slash', status: 301, location: `${matcher.path.text}/${queryOf(request)}` }
  }
  if (found < 0) return fallback(base, listener, request, world)
  const { name: rule, action } = rules[places[found]!]!
  switch (action.type) {
    case 'forward': {
      const to = action.to.filter(({ weight }) => weight > 0)
      const groups = to.map(({ targetGroup, weight }) =>
        world.group(targetGroup, request, to.length > 1 ? weight : null),
      )
      return { ...base, rule, outcome: 'forward', status: null, groups }
    }
    case 'redirect':
      return {
        ...base,
        rule,
        outcome: 'redirect',
        status: action.status,
        location: locationOf(listener, rule, action, request),
      }
    case 'respond':
      return { ...base, rule, outcome: 'respond', status: action.status }
  }
}

type Base = Omit<Explanation, 'rule' | 'outcome' | 'status'>

/** No rule matches. */
function fallback(base: Base, listener: ListenerConfig, request: RoutedRequest, world: ExplainedWorld): Explanation {
  const { redirectToHttps, targetGroup } = listener
  if (redirectToHttps !== undefined) {
    const { port, status } = redirectToHttps
    const { parser, buffer } = request
    const host = buffer.subarray(parser.hostStart, parser.hostNameEnd).toString()
    const target = buffer.subarray(parser.pathStart, parser.pathEnd).toString()
    const isSafe =
      buffer
        .subarray(parser.methodStart, parser.methodEnd)
        .toString()
        .match(/^(GET|HEAD)$/) !== null
    const location = `https://${host}${port === 443 ? '' : `:${port}`}${target}`
    return { ...base, rule: null, outcome: 'redirect', status: status || (isSafe ? 301 : 308), location }
  }
  if (targetGroup === '') return { ...base, rule: null, outcome: 'no-rule', status: 404 }
  return { ...base, rule: null, outcome: 'forward', status: null, groups: [world.group(targetGroup, request, null)] }
}

function queryOf({ parser, buffer }: RoutedRequest): string {
  return parser.queryStart < 0 ? '' : buffer.subarray(parser.queryStart, parser.pathEnd).toString()
}

function locationOf(
  { name, protocol, listen }: ListenerConfig,
  rule: string,
  action: Extract<RuleConfig['action'], { readonly type: 'redirect' }>,
  { parser, buffer, start, source }: RoutedRequest,
): string {
  const own = ownAnswerOf(action, undefined)
  if (own.type !== 'redirect') return ''
  const text = new ByteText()
  putLocation(text, own, {
    ...{ parser, buffer, start, client: source, port: listen[0]?.port ?? 0, scheme: protocol, listener: name, rule },
    ...{
      requestId: Buffer.from('REQUEST-ID'),
      targetGroup: '',
      target: '',
      tlsVersion: '',
      tlsServerName: '',
      captures: [],
    },
  })
  return Buffer.from(text.bytes.subarray(0, text.length)).toString('latin1')
}

/**
 * The places of the rules whose host and path the request may fit, and of some others perhaps: compiling thousands takes
 * longer than anybody wants to wait. Those left out fit no host or no path of it, and so change nothing.
 */
function placesFor(rules: readonly RuleConfig[], { parser, buffer, start }: RoutedRequest): readonly number[] {
  const path = new RequestPath()
  path.take(parser, buffer, start)
  const host = Buffer.from(buffer.subarray(start + parser.hostStart, start + parser.hostNameEnd))
    .toString('latin1')
    .toLowerCase()
    .replace(/\.$/, '')
  const hosts = new Set([host])
  for (let at = host.indexOf('.'); at >= 0; at = host.indexOf('.', at + 1)) {
    hosts.add(`*${host.slice(at)}`).add(`${host.slice(0, at)}.*`)
  }
  const paths = new Set([path.text, `${path.text}/*`])
  for (let at = path.text.indexOf('/'); at >= 0; at = path.text.indexOf('/', at + 1)) {
    paths.add(`${path.text.slice(0, at + 1)}*`)
  }
  const places: number[] = []
  for (const [place, { match }] of rules.entries()) {
    if (match.hosts.length > 0 && !match.hosts.some((each) => hosts.has(each))) continue
    if (match.paths.length > 0 && !match.paths.some((each) => paths.has(each))) continue
    places.push(place)
  }
  return places
}

/** What differs between two explanations of the same request, for people. */
export function compareExplanations(before: Explanation, after: Explanation): readonly string[] {
  const of = ({ listener, rule, outcome, status, location, groups }: Explanation) => ({
    listener,
    rule: rule ?? '(none)',
    outcome: outcome + (status === null ? '' : ` ${status}`),
    location: location ?? '(none)',
    groups:
      groups.map(({ name, weight }) => (weight === null ? name : `${name} (weight ${weight})`)).join(', ') || '(none)',
  })
  const [was, is] = [of(before), of(after)]
  return (Object.keys(was) as (keyof typeof was)[])
    .filter((key) => !isDeepStrictEqual(was[key], is[key]))
    .map((key) => `${key}: ${was[key]} → ${is[key]}`)
}

/** For a file that is not running: nothing is known of its targets. */
export function worldOfFile(config: Config): ExplainedWorld {
  return {
    version: 0,
    config,
    addresses: (name) => config.listeners.find((each) => each.name === name)!.listen,
    group: (name, _, weight) => {
      const group = config.targetGroups.find((each) => each.name === name)!
      const targets = group.targets.map(({ id, host, port, weight: share }) => ({
        ...{ id, address: formatAddress(host, port), weight: share, state: 'active', health: 'unknown', inFlight: 0 },
        whyNot: share === 0 ? 'weight 0' : null,
      }))
      return {
        ...{ name, weight, algorithm: group.algorithm, stickiness: group.stickiness.type, targets },
        maxConnectionsPerTarget: group.maxConnectionsPerTarget || null,
        picked: targets.filter(({ whyNot }) => whyNot === null).map(({ id }) => id),
        why: 'the file is not running, so that the health of its targets is not known',
      }
    },
  }
}
