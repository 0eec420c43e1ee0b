import t from 'tap'
import { BodyPace } from '../../../src/limits/body-pace.js'

const RATE = 500
const IDLE_MS = 60_000

t.test('a body at the minimum rate is fast enough, one below it is not once its grace is over', async (t) => {
  for (const [bytesPerSecond, expected] of [
    [RATE, true],
    [RATE - 100, false],
    [0, false],
  ] as const) {
    const pace = new BodyPace(RATE, IDLE_MS)
    pace.begin(1_000, 0)
    t.equal(pace.isFastEnough(21_000, 0), true, 'twenty seconds are given')
    t.equal(pace.isFastEnough(121_000, bytesPerSecond * 120), expected, `${bytesPerSecond} B/s`)
  }
})

t.test('bytes already sent pay for a pause', async (t) => {
  const pace = new BodyPace(RATE, IDLE_MS)
  pace.begin(0, 100)
  t.equal(pace.isFastEnough(5_000, 2_000_100), true)
  t.equal(pace.isFastEnough(4_019_000, 2_000_100), true)
  t.equal(pace.isFastEnough(4_021_000, 2_000_100), false)
})

t.test('time in which a body was held back does not count', async (t) => {
  const pace = new BodyPace(RATE, IDLE_MS)
  pace.begin(0, 0)
  pace.hold(10_000)
  t.equal(pace.isFastEnough(1_000_000, 0), true)
  pace.release(1_000_000)
  t.equal(pace.isFastEnough(1_009_999, 0), true)
  t.equal(pace.isFastEnough(1_010_001, 0), false)
})

t.test('bodies on one connection pay for each other, and a held one excuses the others', async (t) => {
  const pace = new BodyPace(RATE, IDLE_MS)
  pace.begin(0, 0)
  pace.begin(0, 0)
  t.equal(pace.isFastEnough(60_000, 20_000), true, 'one of them brought 20,000 bytes')
  pace.end(60_000)
  t.equal(pace.isFastEnough(60_001, 20_000), false)
  pace.begin(60_001, 20_000)
  pace.hold(60_001)
  t.equal(pace.isFastEnough(600_000, 20_500), true)
})

t.test('what earlier requests sent pays for nothing', async (t) => {
  const pace = new BodyPace(RATE, IDLE_MS)
  pace.begin(0, 0)
  pace.end(1_000)
  pace.begin(2_000, 1_000_000)
  t.equal(pace.isFastEnough(22_001, 1_000_000), false)
})

t.test('nobody gets more grace than the idle time-out', async (t) => {
  const pace = new BodyPace(RATE, 2_000)
  pace.begin(0, 0)
  t.equal(pace.isFastEnough(2_000, 0), true)
  t.equal(pace.isFastEnough(2_001, 0), false)
})

t.test('a rate of 0 demands nothing', async (t) => {
  const pace = new BodyPace(0, IDLE_MS)
  pace.begin(0, 0)
  t.equal(pace.isFastEnough(1_000_000_000, 0), true)
})
