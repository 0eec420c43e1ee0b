import type { StartOptions } from './control/running.js'
import type { Config } from './core/config.js'

export { defineConfig, type WrittenConfig } from './config/define-config.js'
export { loadConfig, parseConfig } from './config/load.js'
export type { RunningCastor, StartOptions } from './control/running.js'
export type { Config } from './core/config.js'
export { definePlugin } from './core/define-plugin.js'
export { CastorError, type ErrorCode } from './core/errors.js'
export type {
  OptionsSchema,
  PluginAnswer,
  PluginContext,
  PluginDefinition,
  PluginHeaders,
  PluginLog,
  PluginLogEntry,
  PluginLogFields,
  PluginRequest,
  PluginResponse,
  PluginSetup,
  PluginVerdict,
} from './core/plugin.js'

/** Starts the load balancer in this process. Its parts are loaded only now: plug-ins import this module, in each thread. */
export async function startCastor(config: Config, options?: StartOptions) {
  const { startCastor: start } = await import('./control/assemble.js')
  return start(config, options)
}
