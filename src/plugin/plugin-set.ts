import type { PluginInstance } from './plugin-instance.js'

/** The plug-ins of one version of the configuration, in their order, and how many requests go by them. */
export class PluginSet {
  readonly plugins: readonly PluginInstance[]
  #users = 0
  #onIdle: (() => void) | undefined

  constructor(plugins: readonly PluginInstance[]) {
    this.plugins = plugins
  }

  enter(): void {
    this.#users++
  }

  leave(): void {
    if (--this.#users === 0) this.#onIdle?.()
  }

  /** No new request goes by them; calls back once the last is over. */
  retire(onIdle: () => void): void {
    if (this.#users === 0) onIdle()
    else this.#onIdle = onIdle
  }
}
