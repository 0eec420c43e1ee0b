import type { ListenerConfig } from '../core/config.js'
import type { PluginConfig } from '../core/config-plugins.js'
import type { InspectedPlugin } from './inspect-plugins.js'
import { nameOfFile } from './plugin-names.js'
import type { PluginFile } from './schema-plugins.js'

const DEADLINE_MS = 1_000

/** `inspected` is what their modules say, in the same order; empty where nobody wanted to know. */
export function resolvePlugins(
  written: readonly PluginFile[],
  inspected: readonly InspectedPlugin[],
  listeners: readonly ListenerConfig[],
  path: (written: string) => string,
): readonly PluginConfig[] {
  const named = new Set(listeners.flatMap(({ rules }) => rules.flatMap(({ plugins }) => plugins ?? [])))
  return written.map((plugin, index): PluginConfig => {
    const found = inspected[index]
    const name = plugin.name ?? found?.name ?? nameOfFile(plugin.module)
    return {
      name,
      isEverywhere: !named.has(name),
      module: path(plugin.module),
      sha256: found?.sha256 ?? plugin.sha256 ?? '',
      isPinned: plugin.sha256 !== undefined,
      options: plugin.options,
      deadlineMs: plugin.deadline ?? plugin.deadlineMs ?? found?.deadlineMs ?? DEADLINE_MS,
      failurePolicy: plugin.failurePolicy ?? found?.failurePolicy ?? 'closed',
      targetGroups: plugin.targetGroups ?? [],
    }
  })
}
