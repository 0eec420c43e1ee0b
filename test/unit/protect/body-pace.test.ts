import t from 'tap'
import { BodyPace } from '../../../src/protect/body-pace.js'

const RATE = 500

t.test('a body at the minimum rate is fast enough, one below it is not', async (t) => {
  for (const [bytesPerSecond, expected] of [
    [RATE, true],
    [RATE + 1, true],
    [RATE - 1, false],
    [0, false],
  ] as const) {
    const pace = new BodyPace()
    pace.begin(1000)
    t.equal(pace.isFastEnough(6000, bytesPerSecond * 5, RATE, false), expected, `${bytesPerSecond} B/s`)
  }
})

t.test('nothing is judged before a window has passed', async (t) => {
  const pace = new BodyPace()
  pace.begin(0)
  t.equal(pace.isFastEnough(4_999, 0, RATE, false), true)
  t.equal(pace.isFastEnough(5_000, 0, RATE, false), false)
})

t.test('each window is judged by itself: an early burst does not pay for a later trickle', async (t) => {
  const pace = new BodyPace()
  pace.begin(0)
  t.equal(pace.isFastEnough(5_000, 10_000_000, RATE, false), true)
  t.equal(pace.isFastEnough(10_000, 10_000_005, RATE, false), false)
})

t.test('time in which the client could not send does not count against it', async (t) => {
  const pace = new BodyPace()
  pace.begin(0)
  t.equal(pace.isFastEnough(60_000, 0, RATE, true), true, 'the target held it up')
  t.equal(pace.isFastEnough(64_000, 0, RATE, false), true, 'the window began when it was let go')
  t.equal(pace.isFastEnough(65_000, 0, RATE, false), false)
})
