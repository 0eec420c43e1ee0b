import type { PluginConfig } from '../core/config-plugins.js'
import type { PluginContext, PluginDefinition, PluginFailure, PluginPhase } from '../core/plugin.js'
import type { PluginCounters } from '../shm/plugin-counters.js'

/** What a call came to where the plug-in failed. */
export const FAILED = Symbol('failed')

/** A module that was imported, with the state that it has made for its options in this thread. */
export interface LoadedPlugin {
  readonly definition: PluginDefinition
  readonly context: PluginContext<unknown, unknown>
}

/** Is told of each failure, once it is counted. */
export type OnPluginFailure = (plugin: PluginInstance, phase: PluginPhase, kind: PluginFailure, fault: unknown) => void

/** A plug-in in one thread, under one version of its settings. */
export class PluginInstance {
  readonly name: string
  readonly config: PluginConfig
  /** Undefined where it could not be loaded: then each request meets a plug-in that fails. */
  readonly loaded: LoadedPlugin | undefined
  readonly #counters: PluginCounters
  readonly #onFailure: OnPluginFailure

  constructor(
    config: PluginConfig,
    loaded: LoadedPlugin | undefined,
    counters: PluginCounters,
    onFailure: OnPluginFailure,
  ) {
    this.name = config.name
    this.config = config
    this.loaded = loaded
    this.#counters = counters
    this.#onFailure = onFailure
  }

  /** A request goes on without it where it fails. */
  get isOpen(): boolean {
    return this.config.failurePolicy === 'open'
  }

  get deadlineMs(): number {
    return this.config.deadlineMs
  }

  /** Whether it has something to do in that phase. One that could not be loaded fails requests where they begin. */
  takesPart(phase: Exclude<PluginPhase, 'setup'>): boolean {
    if (this.loaded === undefined) return phase === 'onRequest'
    return this.loaded.definition[phase] !== undefined
  }

  /** What the plug-in's function returns, perhaps a promise, or FAILED. */
  call(phase: Exclude<PluginPhase, 'setup'>, ...subjects: readonly unknown[]): unknown {
    this.#counters.countCall(phase)
    const { loaded } = this
    if (loaded === undefined) return this.fail(phase, 'invalid', new Error('it could not be loaded'))
    const { definition, context } = loaded
    try {
      return (definition[phase] as (...given: readonly unknown[]) => unknown)(...subjects, context)
    } catch (fault) {
      return this.fail(phase, 'threw', fault)
    }
  }

  fail(phase: PluginPhase, kind: PluginFailure, fault: unknown): typeof FAILED {
    this.#counters.countFailure(phase, kind)
    this.#onFailure(this, phase, kind, fault)
    return FAILED
  }
}

export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as PromiseLike<unknown>).then === 'function'
}
