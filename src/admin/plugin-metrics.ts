import type { Directory } from '../core/directory.js'
import { PLUGIN_FAILURES, PLUGIN_PHASES, type PluginFailure, type PluginPhase } from '../core/plugin.js'
import type { Exposition } from '../observe/prometheus.js'
import { pluginCalls, pluginFailures } from '../shm/plugin-counters.js'

/** What plug-ins were asked, and how they failed. */
export function pluginMetrics(out: Exposition, shared: SharedArrayBuffer, { plugins }: Directory): void {
  out.family('castor_plugin_calls_total', 'counter', 'Calls of the plug-in, by phase.')
  eachSlot(plugins, (plugin, slot, phase) => {
    const calls = pluginCalls(shared, slot, phase)
    if (calls > 0) out.sample({ plugin, phase }, calls)
  })
  out.family('castor_plugin_failures_total', 'counter', 'Failures of the plug-in, by phase and kind.')
  eachSlot(plugins, (plugin, slot, phase) => {
    for (const kind of PLUGIN_FAILURES) {
      const failures = pluginFailures(shared, slot, phase, kind)
      if (failures > 0) out.sample({ plugin, phase: labelOf(phase, kind), kind }, failures)
    }
  })
}

/** What nobody handled has no phase. */
function labelOf(phase: PluginPhase, kind: PluginFailure): string {
  return kind === 'uncaught' ? 'none' : phase
}

function eachSlot(plugins: readonly string[], run: (plugin: string, slot: number, phase: PluginPhase) => void): void {
  for (const [slot, plugin] of plugins.entries()) for (const phase of PLUGIN_PHASES) run(plugin, slot, phase)
}
