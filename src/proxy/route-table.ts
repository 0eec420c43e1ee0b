// Hot path: asked once per request of a listener with rules.
import type { RoutedRequest } from '../route/conditions.js'
import { ADD_SLASH, type RuleMatcher } from '../route/rule-matcher.js'
import type { ListenerPlugins } from './listener-plugins.js'
import type { Route } from './route.js'
import type { Target } from './target.js'
import type { TargetGroup } from './target-group.js'
import type { WeightedRoutes } from './weighted-routes.js'

/** What a listener's requests go by in one version of the configuration. Never changes, apart from whose turn it is. */
export class RouteTable {
  /** Where no rule matches, and what connections go by before they say anything of a request. */
  readonly fallback: Route
  /** Undefined where none is asked. */
  readonly plugins: ListenerPlugins | undefined
  readonly #rules: RoutesOfRules | undefined
  readonly #groups: ReadonlySet<TargetGroup>

  constructor(fallback: Route, rules?: RoutesOfRules, plugins?: ListenerPlugins) {
    this.fallback = fallback
    this.plugins = plugins
    this.#rules = rules
    const ofRules = rules === undefined ? [] : rules.routes.flatMap((each) => each.all)
    const ofRoutes = [fallback, ...ofRules].flatMap(({ group, mirror }) => (mirror ? [group, mirror.group] : [group]))
    this.#groups = new Set([...ofRoutes, ...(plugins?.groups ?? [])])
  }

  /** Whether there is more than the fallback. */
  get hasRules(): boolean {
    return this.#rules !== undefined
  }

  /** What compares requests with rules; undefined without any. */
  get matcher(): RuleMatcher | undefined {
    return this.#rules?.matcher
  }

  /** The route of a request, which is the fallback where no rule matches. */
  choose(request: RoutedRequest): Route {
    const rules = this.#rules
    if (rules === undefined) return this.fallback
    const index = rules.matcher.match(request)
    if (index >= 0) return rules.routes[index]!.next(request)
    return index === ADD_SLASH ? rules.addSlash : this.fallback
  }

  /** Every group that requests, or copies of them, may go to. */
  get groups(): Iterable<TargetGroup> {
    return this.#groups
  }

  /** Requests may go to that target. */
  serves(target: Target): boolean {
    for (const group of this.#groups) if (group.bySlot(target.slot) === target) return true
    return false
  }
}

/** By position of the rule. */
export interface RoutesOfRules {
  readonly matcher: RuleMatcher
  readonly routes: readonly WeightedRoutes[]
  readonly addSlash: Route
}
