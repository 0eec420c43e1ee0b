import type { ListenerConfig } from '../core/config.js'
import type { MatchConfig, RedirectAction, RuleConfig } from '../core/config-rules.js'
import { normalizePath } from '../core/normal-path.js'
import { compiled, isWithin } from './rule-conditions.js'
import { ANY_PATH, bucketKey, EXPRESSION, hostsOf, type PlacedRule, pathsOf, type RuleBuckets } from './rule-order.js'

/** Requests that are tried for each rule, and rules that are asked for each of them: no file is to take for ever. */
const MAX_TRIED = 10
const MAX_ASKED = 20
/** In the place of what a pattern leaves open; hardly a rule names it. */
const SAMPLE = 'castor-any'

interface Sample {
  readonly host: string
  readonly path: string
}

/** A request that a rule sends to where the same rule takes it. `sure`: else only where its host or port leads here. */
export interface Loop {
  readonly from: string
  readonly to: string
  readonly sure: boolean
}

/** A request of `rules[index]` whose Location the same rule answers again, with the same client; undefined where none is found. */
export function findLoop(listener: ListenerConfig, index: number, buckets: RuleBuckets): Loop | undefined {
  const { match, action } = listener.rules[index]!
  if (action.type !== 'redirect' || !comesAgain(match, action)) return undefined
  const port = portAgain(listener, action)
  if (port === 'other') return undefined
  const isFixed = !action.path.includes('${')
  for (const { sample, host } of samplesOf(match)) {
    const target = locationOf(sample, action)
    if (target === undefined) continue
    const isSameHost = target.host === sample.host
    // Whatever the rule takes, it takes again. Else a fixed path is where a request may have been for at once.
    const again =
      (isSameHost && target.path === sample.path) ||
      ((isFixed || takes(listener.rules, index, buckets, sample)) && takes(listener.rules, index, buckets, target))
    // A name that no pattern has says nothing of where it leads.
    if (!again || (host === '' && !isSameHost && !action.host.includes('${host}'))) continue
    const sure = port === 'here' && (isSameHost || match.hosts.includes(target.host))
    return { from: show(sample), to: show(target), sure }
  }
  return undefined
}

const show = ({ host, path }: Sample): string => `${host.replaceAll(SAMPLE, '…')}${path.replaceAll(SAMPLE, '…')}`

/** Whether the client's next request, at the same host or another, has what the rule asks for beside host and path. */
function comesAgain({ methods, query, cookies }: MatchConfig, action: RedirectAction): boolean {
  const keepsMethod = action.status === 307 || action.status === 308
  if (methods.length > 0 && !keepsMethod && !methods.includes('GET') && !methods.includes('HEAD')) return false
  if (action.query !== '${query}' && query.some(({ is }) => is !== 'absent' || action.query !== '')) return false
  return action.host === '${host}' || cookies.every(({ is }) => is === 'absent')
}

/** Where the Location's scheme and port lead: `maybe` where something in front of Castor may bring them here. */
function portAgain({ protocol, listen }: ListenerConfig, action: RedirectAction): 'here' | 'maybe' | 'other' {
  if (action.protocol !== '${scheme}' && action.protocol !== protocol) return 'other'
  if (action.port === '${port}') return 'here'
  const own = action.port === '' ? (protocol === 'https' ? 443 : 80) : Number(action.port)
  if (listen.some(({ port }) => port === own)) return 'here'
  return action.port === '' ? 'maybe' : 'other'
}

/** A request for some of the rule's hosts and paths, with the host pattern that it is for. */
function samplesOf(match: MatchConfig): readonly { readonly sample: Sample; readonly host: string }[] {
  const found: { readonly sample: Sample; readonly host: string }[] = []
  for (const host of hostsOf(match)) {
    for (const path of pathsOf(match)) {
      if (found.length === MAX_TRIED) return found
      found.push({ sample: { host: sampleHost(host), path: samplePath(path) }, host })
    }
  }
  return found
}

function sampleHost(pattern: string): string {
  if (pattern === '') return `${SAMPLE}.invalid`
  if (pattern.startsWith('*.')) return SAMPLE + pattern.slice(1)
  return pattern.endsWith('.*') ? pattern.slice(0, -1) + SAMPLE : pattern
}

function samplePath(pattern: string): string {
  if (pattern === ANY_PATH || pattern === EXPRESSION) return `/${SAMPLE}`
  return pattern.endsWith('/*') ? pattern.slice(0, -1) + SAMPLE : pattern
}

function locationOf({ host, path }: Sample, action: RedirectAction): Sample | undefined {
  const fill = (template: string): string =>
    template
      .replaceAll('${host}', host)
      .replaceAll('${path}', path)
      .replaceAll(/\$\{[^}]*\}/g, SAMPLE)
  const there = fill(action.host).toLowerCase()
  const target = fill(action.path)
  // What the rest of the path makes of its own query is another matter.
  return /[?#]/.test(target) ? undefined : { host: there.replace(/\.$/, ''), path: normalizePath(target) }
}

/** Whether the rule is the one that a request for that host and path goes by which asks for nothing but what it wants. */
function takes(rules: readonly RuleConfig[], index: number, buckets: RuleBuckets, { host, path }: Sample): boolean {
  const own = rules[index]!.match
  const isOpen = !path.endsWith('/')
  let left = MAX_ASKED
  for (const pattern of hostPatterns(host)) {
    for (const key of pathPatterns(path)) {
      // It may be sent to the path with a slash, unless rules name the path.
      if (isOpen && key === path && buckets.has(bucketKey(pattern, `${path}/*`))) return false
      for (const rule of buckets.get(bucketKey(pattern, key)) ?? []) {
        if (left-- === 0) return false
        if (key === EXPRESSION && !compiled(rule.match.pathRegex).test(path)) continue
        if (rule.index === index) return true
        if (isWithin(own, rule.match) || !isMore(rule)) return false
      }
    }
  }
  return false
}

/** Whether a request has what the rule asks for only if it says so: fields, cookies, parameters that are there. */
function isMore({ match: { methods, sourceIp, headers, cookies, query } }: PlacedRule): boolean {
  if (methods.length > 0 || sourceIp.length > 0) return false
  return [...headers, ...cookies, ...query].every(({ is }) => is !== 'absent')
}

/** Those that fit the host, the most particular first. */
function hostPatterns(host: string): readonly string[] {
  const labels = host.split('.')
  const suffixes = labels.slice(1).map((_, at) => `*.${labels.slice(at + 1).join('.')}`)
  const prefixes = labels.slice(1).map((_, at) => `${labels.slice(0, labels.length - 1 - at).join('.')}.*`)
  return host.startsWith('[') ? [host, ''] : [host, ...suffixes, ...prefixes, '']
}

/** Those that fit the path, the most particular first. */
function pathPatterns(path: string): readonly string[] {
  const found = [path]
  for (let at = path.lastIndexOf('/'); at >= 0; at = at === 0 ? -1 : path.lastIndexOf('/', at - 1)) {
    found.push(`${path.slice(0, at + 1)}*`)
  }
  return [...found, EXPRESSION, ANY_PATH]
}
