import type { PluginInstance } from '../plugin/plugin-instance.js'
import type { PluginSet } from '../plugin/plugin-set.js'
import type { Route } from './route.js'
import type { TargetGroup } from './target-group.js'

/** Who is asked about the requests of a route, phase by phase. */
export interface RoutePlugins {
  /** Those that the rule names, before whom nobody knew that they are to be asked. */
  readonly onRequest: readonly PluginInstance[]
  readonly onRoute: readonly PluginInstance[]
  readonly onRequestHead: readonly PluginInstance[]
  readonly onResponseHead: readonly PluginInstance[]
  readonly onLog: readonly PluginInstance[]
}

/** The route of `base`'s requests to another group; undefined where there is none. */
export type RouteTo = (base: Route, group: string) => Route | undefined

/** The plug-ins of a listener in one version of the configuration. */
export class ListenerPlugins {
  readonly set: PluginSet
  /** Asked for every request, before there is a route. */
  readonly onRequest: readonly PluginInstance[]
  /** Groups that requests may go to by a plug-in's choice alone. */
  readonly groups: readonly TargetGroup[]
  readonly #routeTo: RouteTo
  readonly #byRule: ReadonlyMap<string, RoutePlugins>
  readonly #elsewhere: RoutePlugins

  /** `rules` are the names of rules, each with the plug-ins that it names. */
  constructor(
    set: PluginSet,
    rules: readonly { readonly name: string; readonly plugins?: readonly string[] | undefined }[],
    groups: readonly TargetGroup[],
    routeTo: RouteTo,
  ) {
    const everywhere = set.plugins.filter(({ config }) => config.isEverywhere)
    this.set = set
    this.groups = groups
    this.#routeTo = routeTo
    this.onRequest = everywhere.filter((plugin) => plugin.takesPart('onRequest'))
    this.#elsewhere = phasesOf(everywhere, [])
    this.#byRule = new Map(
      rules.flatMap(({ name, plugins = [] }) => {
        const named = plugins.flatMap((wanted) => set.plugins.filter((plugin) => plugin.name === wanted))
        return named.length === 0 ? [] : [[name, phasesOf([...everywhere, ...named], named)] as const]
      }),
    )
  }

  of({ rule }: Route): RoutePlugins {
    return (rule && this.#byRule.get(rule.name)) ?? this.#elsewhere
  }

  /** Undefined where the plug-in may not choose that group: it is none of the listener's, and none that it names. */
  routeTo(base: Route, group: string): Route | undefined {
    return this.#routeTo(base, group)
  }
}

function phasesOf(all: readonly PluginInstance[], named: readonly PluginInstance[]): RoutePlugins {
  const taking = (phase: keyof RoutePlugins): readonly PluginInstance[] =>
    all.filter((plugin) => plugin.takesPart(phase))
  return {
    onRequest: named.filter((plugin) => plugin.takesPart('onRequest')),
    onRoute: taking('onRoute'),
    onRequestHead: taking('onRequestHead'),
    onResponseHead: taking('onResponseHead'),
    onLog: taking('onLog'),
  }
}
