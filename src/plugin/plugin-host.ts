import { isDeepStrictEqual } from 'node:util'
import type { Logger } from 'pino'
import { checkOptions, importPlugin, ModuleError, within } from '../config/plugin-module.js'
import type { PluginConfig } from '../core/config-plugins.js'
import type { PluginLog, PluginSetup } from '../core/plugin.js'
import { PluginCounters } from '../shm/plugin-counters.js'
import { type LoadedPlugin, type OnPluginFailure, PluginInstance } from './plugin-instance.js'
import { PluginSet } from './plugin-set.js'

export interface PluginHostParts {
  readonly log: Logger
  readonly node: string
  /** The thread's column in shared memory. */
  readonly column: number
  /** See `shm/plugin-counters.ts`. */
  readonly counters: SharedArrayBuffer
  readonly onFailure: OnPluginFailure
  /** Is called once, before the first module is imported. */
  onFirst?(): void
}

/** The plug-ins of a thread: imports their modules, sets them up, and keeps what a new configuration leaves as it was. */
export class PluginHost {
  readonly #parts: PluginHostParts
  #current = new PluginSet([])
  #isFirst = true

  constructor(parts: PluginHostParts) {
    this.#parts = parts
  }

  /** Of the configuration that was prepared last. The same object while nothing about plug-ins changes. */
  get current(): PluginSet {
    return this.#current
  }

  /**
   * Makes the plug-ins of a configuration. `slots` are names by the slot that they count in. Never rejects: a plug-in that
   * cannot be loaded is there, and fails.
   */
  async prepare(configs: readonly PluginConfig[], slots: readonly string[]): Promise<void> {
    const before = this.#current
    const known = before.plugins.map(({ config }) => config)
    // One that could not be loaded has another try.
    if (isDeepStrictEqual(known, configs) && before.plugins.every(({ loaded }) => loaded !== undefined)) return
    if (this.#isFirst && configs.length > 0) {
      this.#isFirst = false
      this.#parts.onFirst?.()
    }
    const next: PluginInstance[] = []
    for (const config of configs) next.push(await this.#instanceOf(config, slots.indexOf(config.name)))
    this.#current = new PluginSet(next)
    before.retire(() => this.#close(before))
  }

  async #instanceOf(config: PluginConfig, slot: number): Promise<PluginInstance> {
    const { column, counters, onFailure } = this.#parts
    const words = new PluginCounters(counters, column, slot)
    const same = this.#current.plugins.find(({ name }) => name === config.name)
    if (same !== undefined && isDeepStrictEqual(same.config, config) && same.loaded !== undefined) return same
    const isLoaded = same?.loaded !== undefined && isDeepStrictEqual(codeOf(same.config), codeOf(config))
    if (isLoaded) return new PluginInstance(config, same.loaded, words, onFailure)
    try {
      return new PluginInstance(config, await this.#load(config), words, onFailure)
    } catch (fault) {
      const broken = new PluginInstance(config, undefined, words, onFailure)
      broken.fail('setup', fault instanceof ModuleError ? 'invalid' : 'threw', fault)
      return broken
    }
  }

  async #load(config: PluginConfig): Promise<LoadedPlugin> {
    const { log, node, column } = this.#parts
    const { definition, sha256 } = await importPlugin(config.module)
    if (config.sha256 !== '' && sha256 !== config.sha256) {
      if (config.isPinned) throw new ModuleError(`${config.module} is another version: its digest is ${sha256}`)
      log.warn(
        { plugin: config.name, module: config.module },
        'a plug-in’s module has changed since it was checked; reload the configuration',
      )
    }
    const checked = await within(checkOptions(definition, config.options), 'its options were not checked')
    if ('issues' in checked) {
      const [first] = checked.issues
      throw new ModuleError(
        `its options are refused: ${[first?.path.join('.'), first?.message].filter(Boolean).join(': ')}`,
      )
    }
    const setup: PluginSetup<unknown> = {
      name: config.name,
      options: checked.value,
      log: logOf(log, config.name),
      node,
      worker: column,
    }
    const state = await within(Promise.resolve(definition.setup?.(setup)), 'setup did not end')
    return { definition, context: { ...setup, state } }
  }

  /** What no later configuration has taken on has nobody left. */
  #close(left: PluginSet): void {
    for (const { name, loaded } of left.plugins) {
      if (loaded === undefined || this.#current.plugins.some((each) => each.loaded === loaded)) continue
      const { definition, context } = loaded
      const closing = async (): Promise<void> => definition.close?.(context.state)
      closing().catch((err: unknown) => this.#parts.log.warn({ plugin: name, err }, 'a plug-in could not be closed'))
    }
  }
}

/** Of two that differ in nothing else the one can go on with the state of the other. */
function codeOf({ module, sha256, options }: PluginConfig) {
  return { module, sha256, options }
}

function logOf(log: Logger, plugin: string): PluginLog {
  const child = log.child({ plugin })
  return {
    debug: (message, fields = {}) => child.debug(fields, message),
    info: (message, fields = {}) => child.info(fields, message),
    warn: (message, fields = {}) => child.warn(fields, message),
    error: (message, fields = {}) => child.error(fields, message),
  }
}
