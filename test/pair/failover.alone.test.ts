import t from 'tap'
import { until } from '../integration/support/until.js'
import { whyNoNetwork } from './support/namespaces.js'
import { Pair, type Series, SOURCES, VIP_A, VIP_B } from './support/pair.js'

const reason = whyNoNetwork(['ip', 'keepalived', 'redis-server'])
if (reason !== undefined) {
  t.pass('two hosts that stand in for each other', { skip: reason })
  process.exit(0)
}

interface Scenario {
  readonly name: string
  readonly advertInterval: string
  readonly act: (pair: Pair) => Promise<void> | void
  /** Longest time without an answer on new connections to the address of the host that fails, in milliseconds. */
  readonly gapMs: number
  /** An orderly stop fails nothing at all. */
  readonly none?: boolean
  /** When it is over; if not given, once the other host has the address. */
  readonly over?: (pair: Pair) => Promise<unknown>
}

/** What the product promises, and as much again: machines that are shared are late with everything. */
const SLACK = 2
const SCENARIOS: readonly Scenario[] = [
  { name: 'a balancer is killed', advertInterval: '1s', act: (pair) => pair.signal('a', 'SIGKILL'), gapMs: 3_500 },
  { name: 'a balancer freezes', advertInterval: '1s', act: (pair) => pair.signal('a', 'SIGSTOP'), gapMs: 6_000 },
  { name: 'a link is cut', advertInterval: '1s', act: (pair) => pair.network.setLink('a', 'down'), gapMs: 4_500 },
  { name: 'a host is gone', advertInterval: '1s', act: (pair) => pair.destroyHost('a'), gapMs: 4_500 },
  { name: 'a host is gone, at 200 ms', advertInterval: '200ms', act: (pair) => pair.destroyHost('a'), gapMs: 1_500 },
  {
    name: 'a balancer is stopped in order',
    advertInterval: '1s',
    act: async (pair) => {
      pair.signal('a', 'SIGTERM')
      await pair.ended('a')
    },
    gapMs: 4_000,
    none: true,
  },
  {
    name: 'the two lose sight of each other',
    advertInterval: '1s',
    act: (pair) => pair.network.setApart(['a', 'b'], true),
    // Both have both addresses then, and either serves; once they see each other, each goes back to its own.
    over: async (pair) => {
      await until('both having it', () => pair.network.holds('a', VIP_A) && pair.network.holds('b', VIP_A), 15_000)
      pair.network.setApart(['a', 'b'], false)
      await until('one having it', () => pair.network.holds('a', VIP_A) && !pair.network.holds('b', VIP_A), 15_000)
    },
    gapMs: 4_000,
  },
]

const words = ({ sent, failed, gapMs, errors }: Series): string =>
  `${sent} requests sent, ${failed} failed ${failed > 0 ? JSON.stringify(errors) : ''}, longest gap ${gapMs.toFixed(0)} ms`

// Each has hosts of its own, and mostly waits.
t.jobs = 4
const atTheOther = (pair: Pair) => until('the address moving', () => pair.network.holds('b', VIP_A), 15_000)

for (const { name, advertInterval, act, gapMs, none, over = atTheOther } of SCENARIOS) {
  t.test(name, { timeout: 90_000, buffered: true }, async (t) => {
    const pair = new Pair(advertInterval)
    t.teardown(() => pair.stop())
    try {
      await pair.start()
      const before = await pair.bound(VIP_A, SOURCES)
      t.same(
        before.filter((answer) => answer.startsWith('failed')),
        [],
        'everybody is served',
      )
      await Promise.all([
        pair.begin('new', VIP_A, false),
        pair.begin('kept', VIP_A, true),
        pair.begin('other', VIP_B, false),
      ])
      // Some traffic while all is well, which also gives sessions their time to travel.
      await new Promise((resolve) => setTimeout(resolve, 1_000))
      await act(pair)
      await over(pair)
      const after = await pair.bound(VIP_A, SOURCES)
      const [fresh, kept, other] = [await pair.end('new'), await pair.end('kept'), await pair.end('other')]
      const stayed = after.filter((target, i) => target === before[i]).length
      t.comment(`new connections: ${words(fresh)}`)
      t.comment(`kept connection: ${words(kept)}`)
      t.comment(`the other address: ${words(other)}`)
      t.comment(`sessions kept: ${stayed} of ${SOURCES.length}`)
      t.equal(stayed, SOURCES.length, 'every session is on the target it was on')
      if (over === atTheOther) t.equal(other.failed, 0, 'the other address saw nothing of it')
      t.ok(fresh.gapMs < gapMs * SLACK, `longest gap ${fresh.gapMs.toFixed(0)} ms`)
      if (none === true) {
        t.equal(fresh.failed, 0, `new connections: ${words(fresh)}`)
        t.equal(kept.failed, 0, `kept connection: ${words(kept)}`)
      }
    } catch (error) {
      t.comment(pair.log.slice(-6_000))
      throw error
    }
  })
}
