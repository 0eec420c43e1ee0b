import t from 'tap'
import { ManualClock } from '../../../src/core/clock.js'
import { REASON } from '../../../src/core/reasons.js'
import type { Listener } from '../../../src/proxy/listener.js'
import { SilentClients } from '../../../src/proxy/silent-clients.js'
import { WORKER_SILENT } from '../../../src/shm/layout.js'
import { FakeConn } from '../http/h2/rig.js'

/** A client that comes `afterMs` later than the one before. */
function setting() {
  const clock = new ManualClock()
  const words = new Float64Array(64)
  const reasons: number[] = []
  const listener = { countReason: (reason: number) => reasons.push(reason) } as unknown as Listener
  const silent = new SilentClients(clock, 10_000, words, 0)
  const come = (afterMs: number, timed = true): FakeConn => {
    clock.advance(afterMs)
    const conn = new FakeConn()
    silent.add(conn, listener, timed)
    return conn
  }
  const speak = (conn: FakeConn): void => {
    conn.silence?.over()
    conn.silence = undefined
  }
  return { clock, silent, reasons, come, speak, count: () => words[WORKER_SILENT] }
}

t.test('the oldest that has said nothing goes first, whatever it is to say', async (t) => {
  const { clock, silent, reasons, come, speak, count } = setting()
  const [first, second, third, fourth] = [come(0), come(10, false), come(10), come(10, false)]
  clock.advance(1_000)
  speak(first!)
  t.equal(count(), 3)
  t.equal(silent.shed(1), 1)
  t.same(
    [first, second, third, fourth].map(({ aborted }) => aborted),
    [false, true, false, false],
  )
  t.equal(silent.shed(5), 2, 'no more than there are')
  t.same(
    [first, second, third, fourth].map(({ aborted }) => aborted),
    [false, true, true, true],
  )
  t.same(reasons, [REASON.SHED_SILENT, REASON.SHED_SILENT, REASON.SHED_SILENT])
  t.equal(count(), 0)
})

t.test('one that has only just come is given time to speak', async (t) => {
  const { clock, silent, come } = setting()
  const [old, young] = [come(0), come(900)]
  clock.advance(200)
  t.equal(silent.shed(2), 1)
  t.ok(old.aborted)
  t.notOk(young.aborted)
})

t.test('those that their target has spoken to go last, and in a way of their own', async (t) => {
  const { clock, silent, reasons, come } = setting()
  const greeted = come(0, false)
  const quiet = come(10, false)
  let sheds = 0
  for (const conn of [greeted, quiet]) silent.own(conn, { shed: () => sheds++ })
  greeted.bytesWritten = 20
  clock.advance(1_000)
  silent.shed(1)
  t.equal(quiet.silence, undefined)
  t.not(greeted.silence, undefined)
  silent.shed(1)
  t.equal(greeted.silence, undefined)
  t.equal(sheds, 2)
  t.same(reasons, [], 'who ends them counts them')
})

t.test('firstByteTimeout ends those it is for, and begins anew with another stage', async (t) => {
  const { clock, silent, come, count } = setting()
  const [web, tcp, late] = [come(0), come(0, false), come(0)]
  clock.advance(5_000)
  silent.add(late, {} as Listener, true)
  t.equal(count(), 3, 'a client counts once')
  clock.advance(5_000)
  silent.tick()
  t.same(
    [web, tcp, late].map(({ ended }) => ended),
    [true, false, false],
  )
  clock.advance(5_000)
  silent.tick()
  t.ok(late.ended)
  t.notOk(late.aborted, 'without a reset')
  t.equal(count(), 1)
})
