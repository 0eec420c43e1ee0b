import type { RuleConfig } from './config-rules.js'

/** A plug-in as the program sees it: its module was imported once, and its options were accepted by its schema. */
export interface PluginConfig {
  /** Unique. */
  readonly name: string
  /** No rule names it. */
  readonly isEverywhere: boolean
  /** Absolute path of the module. */
  readonly module: string
  /** Digest of the module's file as it was checked, in hex; another one is another version of it. */
  readonly sha256: string
  /** The file names the digest: no other version may be run. */
  readonly isPinned: boolean
  /** As written: each thread has the plug-in's schema make of them what it wants. */
  readonly options: unknown
  readonly deadlineMs: number
  readonly failurePolicy: 'closed' | 'open'
  /** Groups that it may choose beside those that a listener uses. */
  readonly targetGroups: readonly string[]
}

/** What of a listener says which plug-ins are asked. */
export interface PluggableListener {
  readonly protocol: string
  readonly redirectToHttps?: unknown
  readonly rules: readonly RuleConfig[]
}

/**
 * The plug-ins that requests of a listener may meet, in the order of the file. One that no rule names is asked for every
 * request. A listener that sends everybody to https asks none: credentials, for one, are not to be asked for in the clear.
 */
export function pluginsOn(
  { protocol, redirectToHttps, rules }: PluggableListener,
  plugins: readonly PluginConfig[],
): readonly PluginConfig[] {
  if ((protocol !== 'http' && protocol !== 'https') || redirectToHttps !== undefined) return []
  return plugins.filter((plugin) => plugin.isEverywhere || rules.some((rule) => rule.plugins?.includes(plugin.name)))
}

/**
 * The groups that a listener's requests may go to, each once: first the one where no rule matches, then those of its rules.
 * Groups that plug-ins may choose are among them. Empty is what answers are given without a target for.
 */
export function groupsServedBy(
  listener: PluggableListener & { readonly targetGroup: string },
  plugins: readonly PluginConfig[],
): readonly string[] {
  const names = new Set([listener.targetGroup])
  for (const { action } of listener.rules) {
    if (action.type !== 'forward') continue
    for (const { targetGroup } of action.to) names.add(targetGroup)
    if (action.mirror !== undefined) names.add(action.mirror.targetGroup)
  }
  for (const plugin of pluginsOn(listener, plugins)) for (const name of plugin.targetGroups) names.add(name)
  // Rules redirect and respond, if only to have a slash added to a path.
  if (listener.rules.length > 0) names.add('')
  return [...names]
}
