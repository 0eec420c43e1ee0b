import t from 'tap'
import { ManualClock } from '../../../src/core/clock.js'
import type { HealthCheckConfig } from '../../../src/core/config.js'
import { Checker, CheckSlots } from '../../../src/health/checker.js'
import { TCP_DIALOGUE } from '../../../src/health/probe.js'
import { TimerWheel } from '../../../src/net/timer-wheel.js'
import type { TargetTable } from '../../../src/shm/targets.js'

const CONFIG = { intervalMs: 1_000, timeoutMs: 500, healthyThreshold: 1, unhealthyThreshold: 1 } as HealthCheckConfig

/** As much of the table as checks touch. */
const TABLE = new Proxy({}, { get: () => () => 0 }) as TargetTable

t.test('what dialling throws is that target’s failure, with its reason, and checks go on', async (t) => {
  const verdicts: unknown[] = []
  const slots = new CheckSlots(1)
  const clock = new ManualClock()
  const wheel = new TimerWheel(clock)
  const services = {
    table: TABLE,
    clock,
    wheel,
    slots,
    random: () => 0.5,
    onVerdict: (slot: number, _state: number, reason: string, detail: string) => verdicts.push([slot, reason, detail]),
    onNotMade: () => {},
  }
  let dialled = 0
  const dial = (): void => {
    dialled++
    throw new Error('key values mismatch')
  }
  const target = { slot: 3, config: CONFIG, slowStartMs: 0, dialogue: () => TCP_DIALOGUE, preface: undefined, dial }
  const checker = new Checker(target, services)
  await checker.start()
  t.same(verdicts, [[3, 'CONNECT_FAILED', 'key values mismatch']])
  t.ok(slots.tryTake(), 'its descriptor is free again')
  slots.giveBack()
  checker.onTimeout()
  t.equal(dialled, 2, 'and its next check is made')
  checker.stop()
})
