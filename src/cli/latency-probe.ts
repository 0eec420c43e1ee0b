import { Worker } from 'node:worker_threads'

/** Latencies in milliseconds, measured in microseconds. */
export interface ProbeResult {
  readonly count: number
  readonly errors: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}

export interface ProbeOptions {
  readonly url: string
  readonly perSecond: number
}

/**
 * A gentle stream of requests on one keep-alive connection, beside the load: what a visitor meets who comes while it is
 * busy. On a thread of its own, because on the load generator's it would measure the generator's own queue.
 */
export class LatencyProbe {
  readonly #worker: Worker
  readonly #result: Promise<ProbeResult>

  constructor(options: ProbeOptions) {
    this.#worker = new Worker(new URL('../cli/latency-probe-thread.js', import.meta.url), { workerData: options })
    this.#result = new Promise((resolve, reject) => {
      this.#worker.once('message', resolve)
      this.#worker.once('error', reject)
      this.#worker.once('exit', () => reject(new Error('the latency probe ended without a result')))
    })
    // Whoever never asks for the result must not meet its failure as an unhandled one.
    this.#result.catch(() => {})
  }

  /** Ends the probe and gives what it measured. */
  async finish(): Promise<ProbeResult> {
    this.#worker.postMessage('finish')
    try {
      return await this.#result
    } finally {
      await this.#worker.terminate()
    }
  }
}
