import fc from 'fast-check'
import t from 'tap'
import { isEarlier, LocalHybridClock, nodeBits, stampAt, stampMs } from '../../src/core/hybrid-clock.js'
import type { HybridClock } from '../../src/core/mesh.js'
import { HYBRID_CLOCK_BYTES, SharedHybridClock } from '../../src/shm/shared-hybrid-clock.js'

const NOW_MS = Date.UTC(2026, 5, 1)
/** Less than what makes a clock begin anew. */
const SWAY_MS = 50_000

const IMPLEMENTATIONS: Readonly<Record<string, (wallMs: () => number) => HybridClock>> = {
  local: (wallMs) => new LocalHybridClock('lb-a', wallMs),
  shared: (wallMs) => new SharedHybridClock(new SharedArrayBuffer(HYBRID_CLOCK_BYTES), 'lb-a', wallMs),
}

for (const [name, make] of Object.entries(IMPLEMENTATIONS)) {
  t.test(`${name}: stamps only grow, however the wall clock sways and whatever comes from elsewhere`, async (t) => {
    const step = fc.oneof(
      fc.record({ type: fc.constant('time' as const), byMs: fc.integer({ min: -5_000, max: 5_000 }) }),
      fc.record({ type: fc.constant('next' as const) }),
      fc.record({ type: fc.constant('witness' as const), aheadMs: fc.integer({ min: -10_000, max: 10_000 }) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        let nowMs = NOW_MS
        const clock = make(() => nowMs)
        const last = { high: 0, low: 0 }
        const stamp = { high: 0, low: 0 }
        for (const step of steps) {
          if (step.type === 'time') nowMs = NOW_MS + Math.max(-SWAY_MS, Math.min(SWAY_MS, nowMs + step.byMs - NOW_MS))
          else if (step.type === 'witness') {
            stampAt(nowMs + step.aheadMs, stamp)
            clock.witness(stamp.high, stamp.low)
            if (isEarlier(last.high, last.low, stamp.high, stamp.low)) Object.assign(last, stamp)
          } else {
            clock.next(stamp)
            t.ok(isEarlier(last.high, last.low, stamp.high, stamp.low), 'later than all before')
            t.equal(stamp.low & 1023, nodeBits('lb-a'), 'and marked with the host')
            Object.assign(last, stamp)
          }
        }
      }),
      { numRuns: 200 },
    )
  })

  t.test(`${name}: after a day ahead that was a mistake, stamps are the wall clock's again`, async (t) => {
    let nowMs = NOW_MS + 24 * 3_600_000
    const clock = make(() => nowMs)
    const stamp = { high: 0, low: 0 }
    clock.next(stamp)
    nowMs = NOW_MS
    clock.next(stamp)
    t.equal(stampMs(stamp.high, stamp.low), NOW_MS)
    const last = { ...stamp }
    nowMs -= SWAY_MS
    clock.next(stamp)
    t.ok(isEarlier(last.high, last.low, stamp.high, stamp.low), 'while a minute is only swaying')
  })

  t.test(`${name}: a stamp is close to the wall clock, and more than fit a millisecond run on`, async (t) => {
    const clock = make(() => NOW_MS)
    const stamp = { high: 0, low: 0 }
    clock.next(stamp)
    t.equal(stampMs(stamp.high, stamp.low), NOW_MS)
    for (let i = 0; i < 5_000; i++) clock.next(stamp)
    t.equal(stampMs(stamp.high, stamp.low), NOW_MS + 1)
  })
}

t.test('threads that share a clock never get one stamp twice', async (t) => {
  const shared = new SharedArrayBuffer(HYBRID_CLOCK_BYTES)
  const clocks = [0, 1, 2].map(() => new SharedHybridClock(shared, 'lb-a', () => NOW_MS))
  const seen = new Set<string>()
  const stamp = { high: 0, low: 0 }
  for (let i = 0; i < 3_000; i++) {
    clocks[i % 3]!.next(stamp)
    seen.add(`${stamp.high}.${stamp.low}`)
  }
  t.equal(seen.size, 3_000)
})
