import type { Test } from './castor.js'
import { get, RawClient } from './raw-client.js'

/** A request that was not answered with 200; times are `performance.now()`. */
export interface FailedRequest {
  readonly begunMs: number
  readonly what: string
}

/** Clients that ask one request after the other, with a pause between, and go on whatever becomes of one. */
export class SteadyLoad {
  readonly clients: number
  readonly failed: FailedRequest[] = []
  /** Requests that were answered with 200. */
  succeeded = 0
  readonly #port: number
  readonly #pauseMs: number
  readonly #ended: Promise<unknown>
  #stopping = false

  constructor(port: number, clients: number, pauseMs: number) {
    this.clients = clients
    this.#port = port
    this.#pauseMs = pauseMs
    this.#ended = Promise.all(Array.from({ length: clients }, () => this.#run()))
  }

  async stop(): Promise<void> {
    this.#stopping = true
    await this.#ended
  }

  async #run(): Promise<void> {
    let client: RawClient | undefined
    while (!this.#stopping) {
      const begunMs = performance.now()
      try {
        client ??= await RawClient.connect(this.#port)
        const { status } = await client.exchange(get('/'))
        if (status === 200) this.succeeded++
        else this.failed.push({ begunMs, what: String(status) })
      } catch (error) {
        this.failed.push({ begunMs, what: error instanceof Error ? error.message : String(error) })
        client?.close()
        client = undefined
      }
      await new Promise((resolve) => setTimeout(resolve, this.#pauseMs))
    }
    client?.close()
  }
}

/** Begins a load on `port` that the test's end stops. */
export function steadyLoad(t: Test, port: number, clients: number, pauseMs: number): SteadyLoad {
  const load = new SteadyLoad(port, clients, pauseMs)
  t.teardown(() => load.stop())
  return load
}
