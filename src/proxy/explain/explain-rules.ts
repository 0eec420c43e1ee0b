import type { ListenerConfig, ProtectionConfig } from '../../core/config.js'
import { type PluginConfig, pluginsOn } from '../../core/config-plugins.js'
import type { RuleConfig } from '../../core/config-rules.js'
import type { ConsideredBucket, ExplainedGroup, Explanation } from '../../core/explanation.js'
import type { RoutedRequest } from '../../route/conditions.js'
import { RequestPath } from '../../route/request-path.js'
import { ADD_SLASH, RuleMatcher } from '../../route/rule-matcher.js'
import { ByteText } from '../../route/template.js'
import { ListenerSettings } from '../listener-settings.js'
import { ownAnswerOf } from '../own-answer.js'
import { putLocation } from '../put-location.js'
import { RuleEdits } from '../rule-edits.js'
import { type ExplainedClient, explainEdits, explainedFacts, NOBODY_KNOWN } from './explain-edits.js'
import { explainSplit } from './explain-split.js'

/** Rules that are shown of those for one host and path. */
const MAX_SHOWN = 100

/** What beside the listener's own configuration decides about its requests. */
export interface ExplainedWorld {
  /** A group's targets, and which of them the request would get. */
  group(name: string, request: RoutedRequest, weight: number | null): ExplainedGroup
  readonly protection: ProtectionConfig
  /** Keys the cookies of splits; undefined where it is not known. */
  readonly secret: string | undefined
  /** What compares the listener's requests with its rules, where there is one. */
  readonly matcher?: RuleMatcher | undefined
  readonly client?: ExplainedClient
  /** Of the configuration, those of other listeners too. */
  readonly plugins: readonly PluginConfig[]
}

export type ExplainedRequest = Omit<Explanation, 'version'>

/** Tells what becomes of a request of the listener, by the matcher of the threads. Nothing is sent to anybody. */
export function explainRequest(
  listener: ListenerConfig,
  request: RoutedRequest,
  world: ExplainedWorld,
): ExplainedRequest {
  const rules = listener.rules
  const from = request.source.address
  const { matcher, places } = world.matcher === undefined ? matcherFor(rules, request) : { matcher: world.matcher }
  const ruleAt = (index: number): RuleConfig => rules[places === undefined ? index : places[index]!]!
  const found = matcher.match(request)
  const considered = matcher.candidates(request, MAX_SHOWN).map(
    ({ host, path, addsSlash, rules: asked, more }): ConsideredBucket => ({
      host,
      path,
      addsSlash,
      rules: asked.map(({ index, failed }) => ({ name: ruleAt(index).name, failed: failed ?? null })),
      more,
    }),
  )
  const rule = found < 0 ? undefined : ruleAt(found)
  const limits = limitsOf(listener, rule, world.protection)
  const plugins = askedFor(listener, rule, world.plugins)
  const base = { listener: listener.name, from, considered, plugins, ...NOTHING_MORE, limits }
  if (found === ADD_SLASH) {
    return { ...base, rule: null, outcome: 'slash', status: 301, location: `${matcher.path.text}/${queryOf(request)}` }
  }
  if (rule === undefined) return fallback(base, listener, request, world)
  return explainAction(
    { ...base, edits: explainEdits(rule, listener, request, world.client) },
    rule,
    listener,
    request,
    world,
  )
}

/** Names of the plug-ins that would be asked, in their order. */
function askedFor(
  listener: ListenerConfig,
  rule: RuleConfig | undefined,
  plugins: readonly PluginConfig[],
): readonly string[] {
  const everywhere = pluginsOn(listener, plugins).filter(({ isEverywhere }) => isEverywhere)
  return [...everywhere.map(({ name }) => name), ...(rule?.plugins ?? [])]
}

const NOTHING_MORE = { groups: [], location: null, split: null, edits: null, mirror: null } as const

type Base = Omit<ExplainedRequest, 'rule' | 'outcome' | 'status'>

function explainAction(
  base: Base,
  config: RuleConfig,
  listener: ListenerConfig,
  request: RoutedRequest,
  world: ExplainedWorld,
): ExplainedRequest {
  const { name: rule, action } = config
  switch (action.type) {
    case 'forward': {
      const to = action.to.filter(({ weight }) => weight > 0)
      const groups = to.map(({ targetGroup, weight }) =>
        world.group(targetGroup, request, to.length > 1 ? weight : null),
      )
      const split = explainSplit(listener, config, action, request, world.secret)
      return { ...base, rule, outcome: 'forward', status: null, groups, split, mirror: action.mirror ?? null }
    }
    case 'redirect':
      return {
        ...base,
        rule,
        outcome: 'redirect',
        status: action.status,
        location: locationOf(listener, config, action, request, world.client),
      }
    case 'respond':
      return { ...base, rule, outcome: 'respond', status: action.status }
  }
}

/** No rule matches. */
function fallback(
  base: Base,
  listener: ListenerConfig,
  request: RoutedRequest,
  world: ExplainedWorld,
): ExplainedRequest {
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
  listener: ListenerConfig,
  rule: RuleConfig,
  action: Extract<RuleConfig['action'], { readonly type: 'redirect' }>,
  request: RoutedRequest,
  client: ExplainedClient = NOBODY_KNOWN,
): string | null {
  const own = ownAnswerOf(action, undefined)
  if (own.type !== 'redirect') return null
  const edits = RuleEdits.of(rule, new ListenerSettings(listener))
  const text = new ByteText()
  putLocation(text, own, explainedFacts(listener, rule, edits, request, client))
  return Buffer.from(text.bytes.subarray(0, text.length)).toString('latin1')
}

function limitsOf(
  { idleTimeoutMs }: ListenerConfig,
  rule: RuleConfig | undefined,
  { maxHeaderBytes, maxHeaders, headerTimeoutMs, bodyMinRateBytesPerSecond }: ProtectionConfig,
): Explanation['limits'] {
  const responseTimeoutMs = rule?.responseTimeoutMs ?? null
  return { maxHeaderBytes, maxHeaders, headerTimeoutMs, bodyMinRateBytesPerSecond, idleTimeoutMs, responseTimeoutMs }
}

/** So many are compiled anew for each question. */
const FEW_RULES = 200
/** Those with many rules for one host and path, until their memory is needed. */
const compiled = new WeakMap<readonly RuleConfig[], WeakRef<RuleMatcher>>()

interface MatcherOfSome {
  readonly matcher: RuleMatcher
  /** Which of the rules it has; undefined for all. */
  readonly places?: readonly number[]
}

function matcherFor(rules: readonly RuleConfig[], request: RoutedRequest): MatcherOfSome {
  const places = placesFor(rules, request)
  if (places.length <= FEW_RULES) {
    const some = places.map((place) => rules[place]!)
    return { matcher: new RuleMatcher(some, true), places }
  }
  const known = compiled.get(rules)?.deref()
  if (known !== undefined) return { matcher: known }
  const matcher = new RuleMatcher(rules, true)
  compiled.set(rules, new WeakRef(matcher))
  return { matcher }
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
