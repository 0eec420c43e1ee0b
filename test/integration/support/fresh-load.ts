import type { Test } from './castor.js'
import { get, request } from './raw-client.js'

/** One client that makes a connection for each request, until the test's end or `stop`. */
export class FreshLoad {
  /** Requests that were answered with 200, and what became of the others. */
  succeeded = 0
  readonly failed: string[] = []
  readonly #ended: Promise<void>
  #stopping = false

  constructor(t: Test, port: number) {
    this.#ended = this.#run(port)
    t.teardown(() => this.stop())
  }

  /** Returns what failed. */
  async stop(): Promise<readonly string[]> {
    this.#stopping = true
    await this.#ended
    return this.failed
  }

  async #run(port: number): Promise<void> {
    while (!this.#stopping) {
      const status = await request(port, get('/')).then((answer) => answer.status, String)
      if (status === 200) this.succeeded++
      else this.failed.push(String(status))
    }
  }
}
