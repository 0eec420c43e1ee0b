import { isIP } from 'node:net'
import { isDeepStrictEqual } from 'node:util'
import { formatAddress } from '../config/addresses.js'
import type { Config, ListenAddress, ListenerConfig } from '../core/config.js'
import type { ExplainQuestion, Explanation, Unexplained } from '../core/explanation.js'
import { PARSE_COMPLETE, RequestParser } from '../http/request-parser.js'
import { limitsOf } from '../proxy/explain/explain-group.js'
import { type ExplainedWorld, explainRequest } from '../proxy/explain/explain-rules.js'
import type { RoutedRequest } from '../route/conditions.js'

/** The longest request line that the parsers of the threads take. */
const MAX_TARGET_BYTES = 8_192

/** What is in force, or would be. */
export interface ExplainedConfiguration extends ExplainedWorld {
  readonly version: number
  readonly config: Config
  /** Where the listener listens, by the real ports. */
  addresses(listener: string): readonly ListenAddress[]
}

/** Tells what would become of a request, by the matcher of the threads. Nothing is sent to anybody. */
export function explain(question: ExplainQuestion, world: ExplainedConfiguration): Explanation | Unexplained {
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
  return { version: world.version, ...explainRequest(listener, request, world) }
}

function findListener(
  { listener: name }: ExplainQuestion,
  scheme: string,
  authority: string,
  { config, addresses }: ExplainedConfiguration,
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
    const message = `no listener listens on port ${port}; there are: ${ports}. Name one as the listener (--listener NAME)`
    return { code: 'NO_LISTENER', message }
  }
  if (others.length > 0) {
    const names = [first, ...others].map((each) => each.name).join(', ')
    return {
      code: 'NO_LISTENER',
      message: `several listeners have port ${port}: ${names}. Name one as the listener (--listener NAME)`,
    }
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

/** What differs between two explanations of the same request, for people. */
export function compareExplanations(before: Explanation, after: Explanation): readonly string[] {
  const of = ({ listener, rule, plugins, outcome, status, location, groups }: Explanation) => ({
    listener,
    rule: rule ?? '(none)',
    plugins: plugins.join(', ') || '(none)',
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
export function worldOfFile(config: Config): ExplainedConfiguration {
  return {
    version: 0,
    config,
    plugins: config.plugins,
    protection: config.protection,
    secret: config.secret || undefined,
    addresses: (name) => config.listeners.find((each) => each.name === name)!.listen,
    group: (name, _, weight) => {
      const group = config.targetGroups.find((each) => each.name === name)!
      const targets = group.targets.map(({ id, host, port, weight: share }) => ({
        ...{ id, address: formatAddress(host, port), weight: share, state: 'active', health: 'unknown', inFlight: 0 },
        whyNot: share === 0 ? 'weight 0' : null,
      }))
      return {
        ...{ name, weight, algorithm: group.algorithm, stickiness: group.stickiness.type, targets },
        ...limitsOf(group),
        picked: targets.filter(({ whyNot }) => whyNot === null).map(({ id }) => id),
        why: 'the file is not running, so that the health of its targets is not known',
      }
    },
  }
}
