import t from 'tap'
import { reconnectMs } from '../../../src/mesh/redis-clients.js'

t.test('a Redis that is away is asked each second, one that refuses this user every ten', async (t) => {
  const pauses = (isRefused: boolean): number[] =>
    Array.from({ length: 12 }, (_, tries) => reconnectMs(tries, isRefused))
  t.same(pauses(false), [50, 100, 200, 400, 800, ...Array<number>(7).fill(1_000)])
  t.same(pauses(true), [50, 100, 200, 400, 800, 1_600, 3_200, 6_400, ...Array<number>(4).fill(10_000)])
  t.equal(reconnectMs(1e9, true), 10_000)
})
