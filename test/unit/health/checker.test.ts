import t from 'tap'
import { ManualClock } from '../../../src/core/clock.js'
import type { HealthCheckConfig } from '../../../src/core/config.js'
import type { Conn } from '../../../src/core/conn.js'
import { Checker, CheckSlots } from '../../../src/health/checker.js'
import { type Probe, TCP_DIALOGUE } from '../../../src/health/probe.js'
import { StalledTime } from '../../../src/health/stalled-time.js'
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
    stalled: new StalledTime(20),
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

t.test('time that the thread has lost is not the target’s: its answer is read first', async (t) => {
  const verdicts: unknown[] = []
  const clock = new ManualClock()
  const wheel = new TimerWheel(clock, 10)
  const stalled = new StalledTime(20)
  const services = {
    table: TABLE,
    clock,
    wheel,
    slots: new CheckSlots(1),
    stalled,
    random: () => 0.5,
    onVerdict: (_slot: number, _state: number, reason: string) => verdicts.push(reason),
    onNotMade: () => {},
  }
  const dial = (probe: Probe): void => probe.attach({ dialledMs: 0, abort: () => {} } as unknown as Conn)
  const target = { slot: 3, config: CONFIG, slowStartMs: 0, dialogue: () => TCP_DIALOGUE, preface: undefined, dial }
  const checker = new Checker(target, services)
  void checker.start()
  const elapse = (ms: number, everyMs = 20): void => {
    for (let left = ms; left > 0; left -= everyMs) {
      clock.advance(everyMs)
      stalled.tick(clock.nowMs)
      wheel.tick()
    }
  }
  elapse(400)
  elapse(200, 200)
  t.same(verdicts, [], 'it was due, and has what was lost')
  elapse(160)
  t.same(verdicts, [])
  elapse(60)
  t.same(verdicts, ['CONNECT_TIMEOUT'], 'and no more than that')
  elapse(1_100)
  elapse(10_000, 10_000)
  t.equal(verdicts.length, 1)
  elapse(540)
  t.equal(services.slots.tryTake(), true, 'a stall of hours gives a check no more than its whole time again')
  checker.stop()
})

t.test('only turns that are late by far count as lost', async (t) => {
  const stalled = new StalledTime(20)
  for (const nowMs of [1_000, 1_020, 1_060, 1_080, 1_200, 1_220]) stalled.tick(nowMs)
  t.equal(stalled.totalMs, 100)
})
