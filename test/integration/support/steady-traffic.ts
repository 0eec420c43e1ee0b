import { requestFrom } from './mesh-pair.js'
import { get, RawClient } from './raw-client.js'

export interface TrafficFigures {
  readonly requests: number
  readonly failed: readonly string[]
  readonly p50Ms: number
  readonly p99Ms: number
}

/**
 * Clients that ask at a steady rate through two hosts: on connections that stay, and on new ones from ever new addresses,
 * each of which makes a session.
 */
export class SteadyTraffic {
  #times: number[] = []
  #requests = 0
  #failed: string[] = []
  #client = 0
  #stopping = false
  readonly #running: Promise<unknown>

  /** `staying`: clients of each host whose connections stay. */
  constructor(ports: readonly number[], staying = 1) {
    const clients = ports.flatMap((port) => [
      ...Array.from({ length: staying }, () => this.#staying(port)),
      this.#coming(port),
    ])
    this.#running = Promise.all(clients)
  }

  /** Since figures were last taken. */
  get requests(): number {
    return this.#requests
  }

  /** Addresses that have asked so far, and the host they asked, by its place. */
  get clients(): number {
    return this.#client
  }

  /** What was measured since it was last asked. */
  take(): TrafficFigures {
    const times = this.#times.sort((a, b) => a - b)
    const at = (share: number): number => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0
    const figures = { requests: this.#requests, failed: this.#failed, p50Ms: at(0.5), p99Ms: at(0.99) }
    this.#times = []
    this.#failed = []
    this.#requests = 0
    return figures
  }

  async stop(): Promise<void> {
    this.#stopping = true
    await this.#running
  }

  async #staying(port: number): Promise<void> {
    const client = await RawClient.connect(port)
    client.send('PROXY TCP4 198.51.100.1 127.0.0.1 40001 80\r\n')
    while (!this.#stopping) {
      await this.#measure(async () => (await client.exchange(get('/'))).status)
      await new Promise((resolve) => setTimeout(resolve, 8))
    }
    client.close()
  }

  async #coming(port: number): Promise<void> {
    while (!this.#stopping) {
      const n = ++this.#client
      const address = `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`
      await this.#measure(async () => (await requestFrom(address, port, get('/'))).status)
      await new Promise((resolve) => setTimeout(resolve, 8))
    }
  }

  async #measure(ask: () => Promise<number>): Promise<void> {
    this.#requests++
    const beganMs = performance.now()
    try {
      const status = await ask()
      if (status !== 200) this.#failed.push(`answered ${status}`)
    } catch (error) {
      this.#failed.push(String(error))
      // A connection that is gone fails each time: the rest need not be counted.
      if (this.#failed.length > 100) this.#stopping = true
    }
    this.#times.push(performance.now() - beganMs)
  }
}

export function inWords({ requests, failed, p50Ms, p99Ms }: TrafficFigures): string {
  return `${requests} requests, ${failed.length} failed, p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms`
}
