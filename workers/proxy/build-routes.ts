import { isDeepStrictEqual } from 'node:util'
import { pluginsOn } from '../../src/core/config-plugins.js'
import type { RuleConfig } from '../../src/core/config-rules.js'
import type { ListenerEntry } from '../../src/core/snapshot.js'
import type { PluginSet } from '../../src/plugin/plugin-set.js'
import { ListenerPlugins, type RouteTo } from '../../src/proxy/listener-plugins.js'
import type { ListenerSettings } from '../../src/proxy/listener-settings.js'
import { MirrorRoute } from '../../src/proxy/mirror-route.js'
import { type OwnAnswer, ownAnswerOf } from '../../src/proxy/own-answer.js'
import { Route, type RouteParts } from '../../src/proxy/route.js'
import { RouteTable } from '../../src/proxy/route-table.js'
import { RuleEdits } from '../../src/proxy/rule-edits.js'
import type { TargetGroup } from '../../src/proxy/target-group.js'
import { WeightedRoutes } from '../../src/proxy/weighted-routes.js'
import { RuleMatcher } from '../../src/route/rule-matcher.js'
import type { Columns } from '../../src/shm/columns.js'
import { SplitCookie } from '../../src/sticky/split-cookie.js'

/** Where the routes of a thread count, and the group for what is answered without one. */
export interface RoutePlace {
  readonly columns: Columns
  readonly column: number
  readonly noGroup: TargetGroup
  /** Keys Castor's own cookies. */
  readonly secret: string
  /** Those of the configuration, in its order. */
  readonly plugins: PluginSet
}

/** The routes of a listener: `groups` are those of its entry's routes, in the same order, undefined where there is none. */
export function buildRoutes(
  entry: ListenerEntry,
  settings: ListenerSettings,
  groups: readonly (TargetGroup | undefined)[],
  { columns, column, noGroup, secret, plugins }: RoutePlace,
): RouteTable {
  const { config } = entry
  const told: Route['forwarded'][] = []
  const partsOf = new Map<Route, Omit<RouteParts, 'forwarded'>>()
  const cached = byRouteAndGroup()
  const route = (index: number, parts: Omit<RouteParts, 'forwarded'> = {}): Route => {
    const group = groups[index] ?? noGroup
    const { forwarded } = group.config
    const same = told.find((each) => isDeepStrictEqual(each, forwarded))
    if (same === undefined) told.push(forwarded)
    const { series } = entry.routes[index]!
    const made = new Route(settings, group, { columns, column, series }, { ...parts, forwarded: same ?? forwarded })
    partsOf.set(made, parts)
    return made
  }
  const indexOf = new Map(groups.map((group, index) => [group?.config.name ?? '', index]))
  const routeTo = (base: Route, name: string): Route | undefined => {
    const index = name === '' ? undefined : indexOf.get(name)
    if (index === undefined || base.group.config.name === name) return index === undefined ? undefined : base
    // A client that is kept on its side by a cookie is not on that side now.
    const { answer: _answer, side: _side, ...parts } = partsOf.get(base)!
    return cached(base, name, () => route(index, parts))
  }
  const asked = askedPlugins(entry, plugins, groups, routeTo)
  const fallback = route(0, { answer: fallbackAnswer(entry) })
  if (config.rules.length === 0) return new RouteTable(fallback, undefined, asked)
  const own = entry.routes.findIndex(({ group }) => group < 0)
  const listener = config.name
  const routesOf = (config: RuleConfig, index: number): WeightedRoutes => {
    const place = { counters: columns.rule(entry.rules[index]!), column }
    const rule = { name: config.name }
    const { action } = config
    const edits = RuleEdits.of(config, settings)
    if (action.type !== 'forward') {
      const answer = ownAnswerOf(action, edits?.response?.removed)
      return new WeightedRoutes([{ route: route(own, { answer, rule, edits }), weight: 1 }], place)
    }
    // A group without a weight takes nobody, whoever was there before.
    const to = action.to.filter(({ weight }) => weight > 0)
    const { mirror: mirrored } = action
    const mirrorAt = mirrored === undefined ? -1 : indexOf.get(mirrored.targetGroup)!
    const mirror =
      mirrored &&
      new MirrorRoute(mirrored, groups[mirrorAt] ?? noGroup, {
        columns,
        column,
        series: entry.routes[mirrorAt]!.series,
      })
    const names = to.map(({ targetGroup }) => targetGroup)
    const { stickySplitMs: maxAgeMs } = action
    const split = maxAgeMs === 0 ? undefined : new SplitCookie({ secret, listener, rule: rule.name, maxAgeMs }, names)
    return new WeightedRoutes(
      to.map(({ targetGroup, weight }, at) => ({
        route: route(indexOf.get(targetGroup)!, {
          rule,
          edits,
          side: split?.sides[at],
          mirror,
          responseTimeoutMs: config.responseTimeoutMs,
        }),
        weight,
      })),
      place,
      split,
    )
  }
  const rules = {
    matcher: new RuleMatcher(config.rules),
    routes: config.rules.map(routesOf),
    addSlash: route(own, { answer: { type: 'slash' } }),
  }
  return new RouteTable(fallback, rules, asked)
}

function fallbackAnswer({ config }: ListenerEntry): OwnAnswer | undefined {
  if (config.redirectToHttps !== undefined) return { type: 'https', ...config.redirectToHttps }
  return config.targetGroup === '' ? { type: 'none' } : undefined
}

/** Undefined where none is asked about the listener's requests. */
function askedPlugins(
  { config }: ListenerEntry,
  set: PluginSet,
  groups: readonly (TargetGroup | undefined)[],
  routeTo: RouteTo,
): ListenerPlugins | undefined {
  const configs = set.plugins.map((plugin) => plugin.config)
  if (pluginsOn(config, configs).length === 0) return undefined
  const known = groups.filter((group) => group !== undefined)
  return new ListenerPlugins(set, config.rules, known, routeTo)
}

/** Routes that plug-ins choose are made when one is chosen first: few of those that could be are. */
function byRouteAndGroup(): (base: Route, group: string, make: () => Route) => Route {
  const made = new Map<Route, Map<string, Route>>()
  return (base, group, make) => {
    let ofBase = made.get(base)
    if (ofBase === undefined) made.set(base, (ofBase = new Map()))
    let route = ofBase.get(group)
    if (route === undefined) ofBase.set(group, (route = make()))
    return route
  }
}
