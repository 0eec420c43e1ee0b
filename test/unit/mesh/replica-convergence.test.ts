import fc from 'fast-check'
import t from 'tap'
import { SEED, seededRandom } from '../../random.js'
import { percentile, simulate } from '../../simulation/mesh.js'
import { ReplicaRig } from './replica-rig.js'

const HOSTS = 4

/** What may happen; every list of such steps must end with all hosts knowing the same. */
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('bind' as const),
      host: fc.nat(HOSTS - 1),
      client: fc.nat(5),
      target: fc.constantFrom('one', 'two', ''),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('operate' as const),
      host: fc.nat(HOSTS - 1),
      target: fc.constantFrom('one', 'two'),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 5, max: 8_000 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('cut' as const), host: fc.nat(HOSTS - 1) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('mend' as const), host: fc.nat(HOSTS - 1) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('empty' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const), host: fc.nat(HOSTS - 1) }) },
)

t.test(
  `any order, delay, doubling, loss and break of frames ends with all hosts knowing the same (seed ${SEED})`,
  async (t) => {
    let runs = 0
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), fc.integer(), (steps, seed) => {
        runs++
        const random = seededRandom(seed)
        const rig = new ReplicaRig({
          delayMs: () => 1 + random() * 200,
          loses: () => random() < 0.05,
          doubles: () => random() < 0.2,
        })
        const hosts = Array.from({ length: HOSTS }, (_, n) => rig.host(`h${n}`, { skewMs: (n - 1) * 7_000 }))
        for (const each of steps) {
          switch (each.do) {
            case 'bind':
              hosts[each.host]!.bind(each.client, each.target)
              break
            case 'operate':
              hosts[each.host]!.operate(each.target, 'draining')
              break
            case 'pass':
              rig.pass(each.ms)
              break
            case 'cut':
              hosts[each.host]!.link.cut()
              break
            case 'mend':
              hosts[each.host]!.link.mend()
              break
            case 'empty':
              rig.hub.loseEverything()
              break
            case 'restart':
              // What it had sent lives on; what it had not goes with it.
              rig.pass(500)
              rig.kill(hosts[each.host]!)
              hosts[each.host] = rig.host(`h${each.host}`, {
                boot: `${runs} ${rig.clock.nowMs}`,
                skewMs: (each.host - 1) * 7_000,
              })
          }
        }
        for (const host of hosts) host.link.mend()
        rig.pass(5_000)
        const [first, ...others] = hosts
        return others.every((host) => JSON.stringify(host.knowledge) === JSON.stringify(first!.knowledge))
      }),
      { seed: SEED, numRuns: 60 },
    )
    t.ok(runs >= 60)
  },
)

t.test('20 hosts over a minute with two splits converge', async (t) => {
  const result = simulate({ nodes: 20, seconds: 60, sessions: 20, partitions: 2, heartbeatMs: 1_000, seed: SEED })
  const { quiet, healed } = result
  t.comment(
    `${result.written} sessions, known to all: p50 ${percentile(quiet, 0.5).toFixed(0)} ms, p99 ${percentile(quiet, 0.99).toFixed(0)} ms`,
  )
  t.comment(
    `agreed after a split: ${healed.join(' ms, ')} ms; ${result.framesReceivedPerSecondPerHost.toFixed(0)} frames a second and host`,
  )
  t.ok(result.converged)
  t.ok(quiet.length > 500)
  t.ok(percentile(quiet, 0.99) < 250)
  t.equal(healed.length, 2)
  t.ok(Math.max(...healed) < 5_000)
})
