import type { PluginConfig } from '../core/config-plugins.js'
import type { Fields } from './tree.js'
import { formatDuration } from './units.js'

/** A plug-in in the form of the file; its digest is in it, so that another version of the module is another document. */
export function pluginDocument(plugin: PluginConfig): Fields {
  const { name, module, sha256, options, deadlineMs, failurePolicy, targetGroups } = plugin
  return {
    module,
    name,
    ...(options === undefined ? {} : { options }),
    deadline: formatDuration(deadlineMs),
    failurePolicy,
    ...(targetGroups.length === 0 ? {} : { targetGroups: [...targetGroups] }),
    ...(sha256 === '' ? {} : { sha256 }),
  }
}
