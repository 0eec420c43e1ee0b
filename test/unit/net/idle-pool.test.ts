import t from 'tap'
import { ManualClock } from '../../../src/core/clock.js'
import type { Conn } from '../../../src/core/conn.js'
import { IdlePool } from '../../../src/net/idle-pool.js'
import { TimerWheel } from '../../../src/net/timer-wheel.js'
import { Recorder } from '../../contract/recorder.js'
import { MemoryTransport } from '../../memory/memory-transport.js'

/** The wheel looks this often; nothing expires earlier than it should, nor later than this. */
const TICK_MS = 100

function setUp() {
  const clock = new ManualClock()
  const transport = new MemoryTransport(clock)
  const wheel = new TimerWheel(clock, TICK_MS)
  const gone: number[] = []
  const pool = new IdlePool(clock, wheel, () => gone.push(clock.nowMs))
  /** A connection and its target's side of it. */
  const connect = (): { conn: Conn; target: Conn; user: Recorder; far: Recorder } => {
    const user = new Recorder()
    const far = new Recorder()
    const [conn, target] = transport.pair(user, far)
    return { conn, target, user, far }
  }
  const pass = (ms: number): void => {
    for (let passed = 0; passed < ms; passed += 10) {
      clock.advance(10)
      wheel.tick()
    }
    transport.flush()
  }
  return { clock, transport, wheel, pool, gone, connect, pass }
}

t.test('the last put is the first taken', async (t) => {
  const { pool, connect } = setUp()
  t.equal(pool.take(), undefined)
  const [a, b, c] = [connect().conn, connect().conn, connect().conn]
  a.context = 'of its last user'
  for (const conn of [a, b, c]) pool.put(conn, -1)
  t.equal(pool.size, 3)
  t.equal(a.context, undefined, 'nothing of its last user is left')
  t.equal(pool.take(), c)
  pool.put(c, -1)
  t.equal(pool.take(), c)
  t.equal(pool.take(), b)
  t.equal(pool.take(), a)
  t.equal(pool.take(), undefined)
  t.equal(pool.size, 0)
})

t.test('a connection is kept as long as its target says, less a second, and 30 seconds at the most', async (t) => {
  const cases: [keepSeconds: number, keptMs: number][] = [
    [-1, 30_000],
    [2, 1_000],
    [5, 4_000],
    [31, 30_000],
    [3_600, 30_000],
  ]
  for (const [keepSeconds, keptMs] of cases) {
    const { pool, gone, connect, pass } = setUp()
    const { conn, far } = connect()
    pool.put(conn, keepSeconds)
    pass(keptMs - 10)
    t.equal(pool.size, 1, `timeout=${keepSeconds}: still there after ${keptMs - 10} ms`)
    pass(TICK_MS + 10)
    t.equal(pool.size, 0)
    t.equal(conn.closed, true)
    t.same(far.log, ['end'], 'closed in good order')
    t.equal(gone.length, 1)
  }
})

t.test('a target that keeps a connection for a second or less gets it back at once', async (t) => {
  for (const keepSeconds of [0, 1]) {
    const { pool, gone, connect, transport } = setUp()
    const { conn, user, far } = connect()
    pool.put(conn, keepSeconds)
    transport.flush()
    t.equal(pool.size, 0)
    t.same(far.log, ['end'])
    t.equal(gone.length, 1)
    t.same(user.log, [], 'its last user has nothing to do with it any more')
  }
})

t.test('each connection has its own time, also when a later one has less', async (t) => {
  const { pool, connect, pass } = setUp()
  const [patient, hasty, middling] = [connect().conn, connect().conn, connect().conn]
  pool.put(patient, -1)
  pass(500)
  pool.put(hasty, 3)
  pool.put(middling, 11)
  pass(2_000 + TICK_MS)
  t.same([patient.closed, hasty.closed, middling.closed], [false, true, false])
  pass(8_000)
  t.same([patient.closed, hasty.closed, middling.closed], [false, true, true])
  t.equal(pool.size, 1)
  pass(20_000)
  t.equal(patient.closed, true)
  t.equal(pool.size, 0)
})

t.test('to be taken and put back begins the time anew', async (t) => {
  const { pool, connect, pass, gone } = setUp()
  const { conn } = connect()
  for (let round = 0; round < 5; round++) {
    pool.put(conn, -1)
    pass(20_000)
    t.equal(pool.take(), conn)
  }
  pass(60_000)
  t.equal(conn.closed, false, 'what is taken does not expire')
  t.equal(gone.length, 0)
})

t.test('bytes that nobody asked for spoil a connection', async (t) => {
  const { pool, connect, transport, gone } = setUp()
  const spoilt = connect()
  const good = connect()
  pool.put(spoilt.conn, -1)
  pool.put(good.conn, -1)
  spoilt.target.write(Buffer.from('HTTP/1.1 408 Request Timeout\r\n'), 0, 30)
  transport.flush()
  t.equal(spoilt.conn.closed, true)
  t.same(spoilt.far.log, ['close PEER_RESET'])
  t.equal(gone.length, 1)
  t.equal(pool.take(), good.conn)
  t.equal(pool.take(), undefined)
})

t.test('a target that ends or resets takes its connection out of the pool', async (t) => {
  for (const act of ['end', 'close', 'abort'] as const) {
    const { pool, connect, transport, gone } = setUp()
    const [below, leaving, above] = [connect(), connect(), connect()]
    for (const { conn } of [below, leaving, above]) pool.put(conn, -1)
    leaving.target[act]()
    transport.flush()
    t.equal(leaving.conn.closed, true, act)
    t.equal(gone.length, 1)
    t.equal(pool.size, 2)
    t.equal(pool.take(), above.conn)
    t.equal(pool.take(), below.conn)
  }
})

t.test(
  'a burst that comes back finds its connections; beyond 1024, half of those that nobody needs go at a time',
  async (t) => {
    const { pool, connect, gone, pass } = setUp()
    const all = Array.from({ length: 1_624 }, () => connect().conn)
    const burst = (count: number): void => {
      const taken = Array.from({ length: count }, () => pool.take()!)
      for (const conn of taken) pool.put(conn, -1)
    }
    for (const conn of all) pool.put(conn, -1)
    t.equal(pool.size, 1_624)
    for (let second = 0; second < 20; second++) {
      burst(1_624)
      pass(1_000)
    }
    t.equal(gone.length, 0, 'each was needed')
    for (let second = 0; second < 20; second++) {
      burst(1_224)
      pass(1_000)
    }
    t.equal(pool.size, 1_624 - 200 - 100 - 50 - 25, 'of 400 that nobody needed')
    t.ok(
      all.slice(0, 375).every((conn) => conn.closed),
      'those that were idle for longest went',
    )
    pass(9_000)
    t.ok(pool.size >= 1_024 && pool.size < 1_249, 'with no burst at all')
    pass(31_000)
    t.equal(pool.size, 0)
  },
)

t.test('closeAll closes them all and leaves no timer', async (t) => {
  const { pool, connect, transport, wheel, gone } = setUp()
  const all = [connect(), connect(), connect()]
  for (const { conn } of all) pool.put(conn, -1)
  t.equal(wheel.size, 1)
  pool.closeAll()
  transport.flush()
  t.equal(wheel.size, 0)
  t.equal(pool.size, 0)
  t.equal(gone.length, 3)
  for (const { far } of all) t.same(far.log, ['end'])
  pool.closeAll()
  t.equal(gone.length, 3)
  const { conn } = connect()
  pool.put(conn, -1)
  t.equal(pool.take(), conn, 'it can be used again')
})
