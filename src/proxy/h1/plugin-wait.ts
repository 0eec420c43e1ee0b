import type { PluginPhase } from '../../core/plugin.js'
import type { PluginInstance } from '../../plugin/plugin-instance.js'
import type { Http1Context } from './h1-context.js'
import type { Requester } from './requester.js'

/** Waits for a plug-in's promise, no longer than the plug-in may take. One at a time. */
export class PluginWait {
  readonly #context: Pick<Http1Context, 'clock' | 'log'>
  readonly #session: Requester
  #timer: NodeJS.Timeout | undefined
  /** Of the promise that is waited for: what another one comes to is of no interest. */
  #turn = 0

  constructor(context: Pick<Http1Context, 'clock' | 'log'>, session: Requester) {
    this.#context = context
    this.#session = session
  }

  get isUnderWay(): boolean {
    return this.#timer !== undefined
  }

  /** Calls back once, with what the promise came to, or FAILED; not where it is dropped before. */
  begin(
    plugin: PluginInstance,
    phase: PluginPhase,
    promise: PromiseLike<unknown>,
    onDone: (returned: unknown) => void,
  ): void {
    const turn = ++this.#turn
    const settle = (returned: () => unknown): void => {
      if (turn !== this.#turn) return
      this.drop()
      this.#context.clock.refresh()
      try {
        onDone(returned())
      } catch (err) {
        this.#context.log.error({ err }, 'a fault ended one request')
        this.#session.conn.abort()
      }
    }
    const late = (): unknown =>
      plugin.fail(phase, 'timeout', new Error(`it did not come to an end within ${plugin.deadlineMs} ms`))
    this.#timer = setTimeout(() => settle(late), plugin.deadlineMs)
    promise.then(
      (value) => settle(() => value),
      (fault: unknown) => settle(() => plugin.fail(phase, 'threw', fault)),
    )
  }

  /** Whatever the promise comes to, nobody wants to know any more. */
  drop(): void {
    this.#turn++
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}
