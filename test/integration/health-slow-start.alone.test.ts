import t, { type Test as TapTest } from 'tap'
import { rampedWeight } from '../../src/health/slow-start.js'
import { startTestCastor, type Test } from './support/castor.js'
import { shown } from './support/operator.js'
import { get, RawClient } from './support/raw-client.js'
import { ok, RawTarget, type Script } from './support/raw-target.js'
import { until } from './support/until.js'

const SLOW_START_MS = 4_000
/** Weights are worked out anew this often at least, and the probe thread begins the ramp before anybody sees it. */
const STEP_MS = 900
const WINDOW_MS = 500
const WEIGHT = 10
const CLIENTS = 4
/** What a busy machine may add to or take from a share, beside chance. */
const LEEWAY = 0.05

const CHECK = {
  protocol: 'http',
  path: '/health',
  interval: '200ms',
  timeout: '1s',
  healthyThreshold: 1,
  unhealthyThreshold: 2,
}
const OK = ok('')

/** A target that says in its answers who it is, and that is well or not. */
interface Named {
  readonly target: RawTarget
  well: boolean
}

async function named(t: Test, name: string, well: boolean): Promise<Named> {
  const state = { well }
  const script: Script = {
    answer: (asked, connection) => {
      if (asked.target !== '/health') connection.write(ok(name))
      else if (state.well) connection.write(OK)
      else connection.end('HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n')
    },
  }
  const target = await RawTarget.start(script)
  t.teardown(() => target.stop())
  return Object.assign(state, { target })
}

interface Answered {
  readonly atMs: number
  readonly by: string
}

/** Clients that ask one request after the other until told to stop; who answered when. */
function ask(t: Test, port: number): { readonly answers: Answered[]; stop(): Promise<void> } {
  const answers: Answered[] = []
  let stopping = false
  const run = async (): Promise<void> => {
    const client = await RawClient.connect(port)
    while (!stopping) {
      const { text } = await client.exchange(get('/'))
      answers.push({ atMs: performance.now(), by: text })
      await new Promise((resolve) => setTimeout(resolve, 4))
    }
    client.close()
  }
  const ended = Promise.all(Array.from({ length: CLIENTS }, run))
  const stop = async (): Promise<void> => {
    stopping = true
    await ended
  }
  t.teardown(stop)
  return { answers, stop }
}

/** The share of new traffic of a target so long after it came into service, beside one of the same weight. */
function shareAt(sinceMs: number): number {
  const weight = rampedWeight(WEIGHT * 10, 1, SLOW_START_MS, 1 + Math.max(0, sinceMs))
  return weight / (weight + WEIGHT * 10)
}

/** Answers in a span of time, and which share of them is the fresh one's. */
function within(answers: readonly Answered[], fromMs: number, toMs: number): { count: number; share: number } {
  const all = answers.filter(({ atMs }) => atMs >= fromMs && atMs < toMs)
  return { count: all.length, share: all.filter(({ by }) => by === 'fresh').length / all.length }
}

/** Compares what the fresh one got with what the ramp promises, window by window, from its first answer on. */
function followsRamp(t: TapTest, name: string, answers: readonly Answered[]): void {
  const firstMs = answers.find(({ by }) => by === 'fresh')!.atMs
  const seen: string[] = []
  for (let fromMs = 0; fromMs < SLOW_START_MS + 2 * WINDOW_MS; fromMs += WINDOW_MS) {
    const { count, share } = within(answers, firstMs + fromMs, firstMs + fromMs + WINDOW_MS)
    seen.push(`${share.toFixed(2)}(${count})`)
    // Two and a half standard deviations of the least even choice there is.
    const leeway = LEEWAY + 2.5 * Math.sqrt(0.25 / count)
    const [least, most] = [shareAt(fromMs - STEP_MS) - leeway, shareAt(fromMs + WINDOW_MS + STEP_MS) + leeway]
    const promised = `promised ${least.toFixed(2)} to ${most.toFixed(2)}`
    t.ok(share >= least && share <= most, `${name}: ${share.toFixed(2)} of ${count} from ${fromMs} ms on, ${promised}`)
  }
  t.comment(`${name}: shares of ${WINDOW_MS} ms each, ramp of ${SLOW_START_MS} ms: ${seen.join(' ')}`)
}

/** Where the load of the moment counts beside the weight, the share rises all the same. */
function rises(t: TapTest, name: string, answers: readonly Answered[]): void {
  const firstMs = answers.find(({ by }) => by === 'fresh')!.atMs
  const begun = within(answers, firstMs, firstMs + 1_000).share
  const grown = within(answers, firstMs + SLOW_START_MS, Number.POSITIVE_INFINITY).share
  t.comment(`${name}: ${begun.toFixed(2)} in the first second, ${grown.toFixed(2)} when grown`)
  t.ok(begun < 0.4, `${name} begins with ${begun.toFixed(2)}`)
  t.ok(Math.abs(grown - 0.5) < 0.08, `${name} ends with ${grown.toFixed(2)}`)
}

const ALGORITHMS = ['round-robin', 'random-two', 'least-connections']

t.test('the share of a new and of a recovered target rises with its ramp', async (t) => {
  const courses = ALGORITHMS.flatMap((algorithm) => [false, true].map((wellBefore) => ({ algorithm, wellBefore })))
  const runs = courses.map(async ({ algorithm, wellBefore }) => {
    const settled = await named(t, 'settled', true)
    const fresh = await named(t, 'fresh', wellBefore)
    const castor = await startTestCastor(t, [settled.target.address, fresh.target.address], {
      workers: 2,
      group: { algorithm, healthCheck: CHECK, slowStart: `${SLOW_START_MS}ms` },
    })
    const health = async (): Promise<string> => (await shown(castor, fresh.target.address)).health
    if (wellBefore) {
      await until('it being in service', async () => (await health()) === 'healthy')
      fresh.well = false
      await until('it being left out', async () => (await health()) === 'unhealthy')
    }
    // The settled one began with the balancer, and is past its own ramp when the other comes.
    await new Promise((resolve) => setTimeout(resolve, SLOW_START_MS))
    const { answers, stop } = ask(t, castor.port)
    await until('traffic', () => answers.length > 20)
    t.notOk(
      answers.some(({ by }) => by === 'fresh'),
      'nothing before it is well',
    )
    fresh.well = true
    await until('it being used', () => answers.some(({ by }) => by === 'fresh'))
    await new Promise((resolve) => setTimeout(resolve, SLOW_START_MS + 3 * WINDOW_MS))
    await stop()
    return { algorithm, name: `${algorithm}, ${wellBefore ? 'recovered' : 'new'}`, answers }
  })
  for (const { algorithm, name, answers } of await Promise.all(runs)) {
    if (algorithm === 'round-robin') followsRamp(t, name, answers)
    else rises(t, name, answers)
  }
})
