import type { Piscina } from 'piscina'
import type { Logger } from '../observe/log.js'
import { openTaskPool, SupervisedThread, type ThreadSpec } from './supervised-thread.js'
import { within } from './within.js'

/** For a thread that was told to end and does not. */
const STOP_MS = 3_000

/** One thread beside the proxy threads, which has to be told to end and without which the rest goes on. */
export class SupervisedService<To extends { readonly type: string }, From> {
  readonly #pool: Piscina
  readonly #kept: SupervisedThread<To | { readonly type: 'stop' }, From>
  #onReady: () => void = () => {}

  constructor(file: string, log: Logger, kept: Omit<ThreadSpec<To | { readonly type: 'stop' }, From>, 'pool'>) {
    this.#pool = openTaskPool(file, 1, log)
    this.#kept = new SupervisedThread({ ...kept, pool: this.#pool })
  }

  get stopping(): boolean {
    return this.#kept.stopping
  }

  /** Resolves when the thread is `ready`, or after `timeoutMs`. */
  start(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const patience = setTimeout(resolve, timeoutMs)
      this.#onReady = () => {
        clearTimeout(patience)
        resolve()
      }
      this.#kept.start()
    })
  }

  /** For whoever understands the thread's messages: it said that it is. */
  ready(): void {
    this.#onReady()
  }

  send(message: To): void {
    this.#kept.send(message)
  }

  /** Lets the thread end by itself, three seconds long at the most, then ends it. */
  async stop(): Promise<void> {
    this.#kept.stop()
    this.#kept.send({ type: 'stop' })
    await within(STOP_MS, this.#kept.ended)
    await this.#pool.destroy()
  }
}
