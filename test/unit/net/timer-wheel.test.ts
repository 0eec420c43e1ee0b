import fc from 'fast-check'
import t from 'tap'
import { ManualClock } from '../../../src/core/clock.js'
import { type Timed, TimerWheel } from '../../../src/net/timer-wheel.js'
import { SEED } from '../../random.js'

class Probe implements Timed {
  timerNext: Timed | null = null
  timerPrevious: Timed | null = null
  timerSlot = -1
  timerDeadlineMs = 0
  readonly firedAt: number[] = []
  again: (nowMs: number) => number

  constructor(again: (nowMs: number) => number = () => 0) {
    this.again = again
  }

  onTimeout(nowMs: number): number {
    this.firedAt.push(nowMs)
    return this.again(nowMs)
  }
}

/** Moves the clock on in small steps, ticking at each, as the owner's interval does. */
function run(clock: ManualClock, wheel: TimerWheel, forMs: number, stepMs = 10): void {
  for (let passed = 0; passed < forMs; passed += stepMs) {
    clock.advance(stepMs)
    wheel.tick()
  }
}

t.test('a timer fires once, not before its time, and less than a tick after it', async (t) => {
  for (const delayMs of [0, 1, 99, 100, 101, 250, 5_119, 5_120, 5_121, 60_000]) {
    for (const startMs of [0, 7, 100, 12_345.678]) {
      const clock = new ManualClock(startMs)
      const wheel = new TimerWheel(clock, 100, 50)
      const probe = new Probe()
      wheel.schedule(probe, delayMs)
      run(clock, wheel, delayMs + 300)
      t.equal(probe.firedAt.length, 1, `${delayMs} ms from ${startMs}`)
      const lateMs = probe.firedAt[0]! - (startMs + delayMs)
      t.ok(lateMs >= 0 && lateMs <= 110, `late by ${lateMs} ms`)
      t.equal(wheel.size, 0)
    }
  }
})

t.test('a cancelled timer does not fire, and cancelling twice changes nothing', async (t) => {
  const clock = new ManualClock()
  const wheel = new TimerWheel(clock)
  const probe = new Probe()
  wheel.schedule(probe, 200)
  t.equal(wheel.size, 1)
  wheel.cancel(probe)
  wheel.cancel(probe)
  t.equal(wheel.size, 0)
  run(clock, wheel, 1_000)
  t.same(probe.firedAt, [])
})

t.test('scheduling again moves the timer instead of adding one', async (t) => {
  const clock = new ManualClock()
  const wheel = new TimerWheel(clock)
  const probe = new Probe()
  wheel.schedule(probe, 200)
  wheel.schedule(probe, 1_000)
  t.equal(wheel.size, 1)
  run(clock, wheel, 900)
  t.same(probe.firedAt, [])
  run(clock, wheel, 300)
  t.same(probe.firedAt, [1_000])
})

t.test('a timer that returns the rest of its time fires again after it', async (t) => {
  const clock = new ManualClock()
  const wheel = new TimerWheel(clock)
  let lastActiveMs = 0
  const idle = new Probe((nowMs) => Math.max(0, lastActiveMs + 1_000 - nowMs))
  wheel.schedule(idle, 1_000)
  run(clock, wheel, 700)
  lastActiveMs = clock.nowMs
  run(clock, wheel, 2_000)
  t.same(idle.firedAt, [1_000, 1_700])
  t.equal(wheel.size, 0)
})

t.test('a stall of many turns fires everything that is due, once', async (t) => {
  const clock = new ManualClock()
  const wheel = new TimerWheel(clock, 100, 8)
  const probes = [50, 150, 799, 800, 801, 5_000, 20_000].map((delayMs) => {
    const probe = new Probe()
    wheel.schedule(probe, delayMs)
    return probe
  })
  const again = new Probe(() => 1)
  wheel.schedule(again, 300)
  clock.advance(10_000)
  wheel.tick()
  t.same(
    probes.map((probe) => probe.firedAt.length),
    [1, 1, 1, 1, 1, 1, 0],
  )
  t.equal(again.firedAt.length, 1, 'what is scheduled while ticking waits for a later tick')
  t.equal(wheel.size, 2)
})

t.test('callbacks may cancel, schedule and move others that are due in the same tick', async (t) => {
  const clock = new ManualClock()
  const wheel = new TimerWheel(clock)
  const cancelled = new Probe()
  const moved = new Probe()
  const added = new Probe()
  const first = new Probe(() => {
    wheel.cancel(cancelled)
    wheel.schedule(moved, 500)
    wheel.schedule(added, 0)
    return 0
  })
  for (const probe of [first, cancelled, moved]) wheel.schedule(probe, 100)
  run(clock, wheel, 1_000)
  t.same(first.firedAt, [100])
  t.same(cancelled.firedAt, [])
  t.same(moved.firedAt, [600])
  t.same(added.firedAt, [200])
})

t.test('what a callback schedules for itself stands when it returns 0', async (t) => {
  const clock = new ManualClock()
  const wheel = new TimerWheel(clock)
  const probe: Probe = new Probe(() => {
    if (probe.firedAt.length === 1) wheel.schedule(probe, 300)
    return 0
  })
  wheel.schedule(probe, 100)
  run(clock, wheel, 1_000)
  t.same(probe.firedAt, [100, 400])
})

t.test('a callback that throws keeps no other timer from firing', async (t) => {
  const clock = new ManualClock()
  const wheel = new TimerWheel(clock)
  const bad = new Probe(() => {
    throw new Error('bad callback')
  })
  const sameSlot = new Probe()
  const laterSlot = new Probe()
  wheel.schedule(bad, 100)
  wheel.schedule(sameSlot, 100)
  wheel.schedule(laterSlot, 200)
  clock.advance(250)
  t.throws(() => wheel.tick(), /bad callback/)
  wheel.tick()
  t.same([sameSlot.firedAt, laterSlot.firedAt, wheel.size], [[250], [250], 0])
})

t.test('a fault is told to the owner, who says when the timer has another try, and concerns no other', async (t) => {
  const clock = new ManualClock()
  const told: [unknown, unknown][] = []
  const wheel = new TimerWheel(clock, 100, 512, (fault, timed) => {
    told.push([fault, timed])
    return told.length === 1 ? 300 : 0
  })
  const fault = new Error('bad callback')
  const bad = new Probe(() => {
    throw fault
  })
  const good = new Probe()
  wheel.schedule(bad, 100)
  wheel.schedule(good, 100)
  clock.advance(150)
  wheel.tick()
  t.same([told.length, good.firedAt, wheel.size], [1, [150], 1])
  t.equal(told[0]![0], fault)
  t.equal(told[0]![1], bad)
  clock.advance(400)
  wheel.tick()
  t.same([told.length, wheel.size], [2, 0])
})

type Step =
  | { do: 'schedule'; timer: number; delayMs: number }
  | { do: 'cancel'; timer: number }
  | { do: 'advance'; byMs: number }

t.test('any course of events fires the timers that a plain list of deadlines says', async (t) => {
  t.comment(`seed ${SEED}`)
  const timer = fc.nat(11)
  const step: fc.Arbitrary<Step> = fc.oneof(
    fc.record({ do: fc.constant('schedule' as const), timer, delayMs: fc.integer({ min: 1, max: 3_000 }) }),
    fc.record({ do: fc.constant('cancel' as const), timer }),
    fc.record({ do: fc.constant('advance' as const), byMs: fc.integer({ min: 1, max: 2_500 }) }),
  )
  const rearms = fc.array(fc.integer({ min: 0, max: 1_500 }), { minLength: 12, maxLength: 12 })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), rearms, (steps, rearmMs) => {
      const tickMs = 100
      const clock = new ManualClock(33)
      const wheel = new TimerWheel(clock, tickMs, 16)
      let fired: number[] = []
      const rearms = (id: number, nowMs: number): number => (nowMs % 3 === 0 ? rearmMs[id]! : 0)
      const fire = (id: number, nowMs: number): number => {
        fired.push(id)
        return rearms(id, nowMs)
      }
      const probes = rearmMs.map((_, id) => new Probe((nowMs) => fire(id, nowMs)))
      /** The model: nothing but deadlines. */
      const deadlines = new Map<number, number>()
      for (const step of steps) {
        if (step.do === 'schedule') {
          wheel.schedule(probes[step.timer]!, step.delayMs)
          deadlines.set(step.timer, clock.nowMs + step.delayMs)
        } else if (step.do === 'cancel') {
          wheel.cancel(probes[step.timer]!)
          deadlines.delete(step.timer)
        } else {
          clock.advance(step.byMs)
          fired = []
          wheel.tick()
          const { nowMs } = clock
          const tick = Math.floor(nowMs / tickMs) * tickMs
          // A deadline between the tick and now may be met already or by the next tick.
          if (new Set(fired).size !== fired.length || fired.some((id) => !(deadlines.get(id)! <= nowMs))) return false
          for (const id of fired) deadlines.delete(id)
          if ([...deadlines.values()].some((deadlineMs) => deadlineMs <= tick)) return false
          for (const id of fired) if (rearms(id, nowMs) > 0) deadlines.set(id, nowMs + rearms(id, nowMs))
        }
        if (wheel.size !== deadlines.size) return false
      }
      return probes.every((probe, id) => probe.timerSlot < 0 === !deadlines.has(id))
    }),
    { seed: SEED, numRuns: 500 },
  )
})
