import t from 'tap'
import type { Conn } from '../../src/core/conn.js'
import { IMPLEMENTATIONS, type Rig } from './conn-rigs.js'
import { pattern, Recorder } from './recorder.js'
import { fill, PLENTY } from './writers.js'

// How connections come to be and to their end; what happens in between is conn.test.ts's.

for (const { name, available, traits, open } of IMPLEMENTATIONS) {
  t.test(name, { skip: !available && 'the addon is not built' }, async (t) => {
    let rig: Rig
    t.beforeEach(() => {
      rig = open()
    })
    t.afterEach(() => rig.close())

    t.test('a reset in a pause lets what came before it be read first', async (t) => {
      const right = new Recorder()
      const [dialled, accepted] = await rig.connect(new Recorder(), right)
      accepted.pause()
      dialled.write(pattern(10_000), 0, 10_000)
      await rig.settle()
      dialled.abort()
      await rig.settle()
      t.same(right.log, [], 'nothing is lost to the reset')
      accepted.resume()
      t.same(right.log, [], 'nor given from within resume')
      await right.untilLogged('close')
      t.same(right.log, ['data', 'close PEER_RESET'])
      t.ok(right.received.equals(pattern(10_000)))
    })

    t.test('a reset in a pause with nothing to read closes at once', async (t) => {
      const right = new Recorder()
      const [dialled, accepted] = await rig.connect(new Recorder(), right)
      accepted.pause()
      await rig.settle()
      dialled.abort()
      await right.untilLogged('close')
      t.same(right.log, ['close PEER_RESET'])
    })

    t.test('who was reset in a pause and writes, closes or aborts is closed once', async (t) => {
      for (const act of ['write', 'close', 'abort'] as const) {
        const right = new Recorder()
        const [dialled, accepted] = await rig.connect(new Recorder(), right)
        accepted.pause()
        dialled.write(pattern(10), 0, 10)
        await rig.settle()
        dialled.abort()
        await rig.settle()
        if (act === 'write') t.equal(accepted.write(pattern(10), 0, 10), false)
        else accepted[act]()
        await right.untilLogged('close')
        await rig.settle()
        t.equal(right.count('close'), 1, act)
      }
    })

    t.test('either side may end first, and what the other sends still arrives', async (t) => {
      for (const first of ['dialled', 'accepted'] as const) {
        const recorders = [new Recorder(), new Recorder()] as const
        const conns = await rig.connect(...recorders)
        const [early, late] = first === 'dialled' ? conns : [conns[1], conns[0]]
        const [earlyRecorder, lateRecorder] = first === 'dialled' ? recorders : [recorders[1], recorders[0]]
        early.write(pattern(1_000), 0, 1_000)
        early.end()
        t.equal(early.write(pattern(10), 0, 10), false, 'who has ended writes no more')
        await lateRecorder.untilLogged('end')
        await rig.settle()
        t.equal(lateRecorder.bytes, 1_000)
        t.equal(late.write(pattern(50_000), 0, 50_000), true)
        await earlyRecorder.untilBytes(50_000)
        t.equal(early.closed, false)
        late.end()
        t.equal(lateRecorder.closed, false, 'never from within end()')
        await Promise.all(recorders.map((recorder) => recorder.untilLogged('close')))
        for (const { cause } of recorders) t.equal(cause, undefined, `${first} first: an orderly close has no cause`)
      }
    })

    t.test('end and close come after what is queued, also where both are asked for', async (t) => {
      for (const how of [['end'], ['close'], ['end', 'close'], ['close', 'end'], ['end', 'end']] as const) {
        const bytes = pattern(PLENTY)
        const left = new Recorder()
        const right = new Recorder({ end: (conn) => conn.end() })
        const [dialled, accepted] = await rig.connect(left, right)
        accepted.pause()
        const written = fill(dialled, bytes)
        for (const act of how) dialled[act]()
        await rig.settle()
        t.equal(left.closed, false, `${how}: not yet`)
        t.equal(right.bytes, 0)
        accepted.resume()
        await Promise.all([left.untilLogged('close'), right.untilLogged('close')])
        t.ok(right.received.equals(bytes.subarray(0, written)), `${how}: all ${written} bytes`)
        t.same(right.log, ['data', 'end', 'close'])
        t.same(left.log, ['open', 'close'], 'and no room is announced to who has ended')
        t.equal(dialled.bytesWritten, written)
      }
    })

    t.test('abort is a reset for the peer, and closes before it returns', async (t) => {
      const left = new Recorder()
      const right = new Recorder()
      const [dialled, accepted] = await rig.connect(left, right)
      dialled.abort()
      t.same(left.log, ['open', 'close'])
      t.equal(dialled.closed, true)
      dialled.abort()
      dialled.close()
      dialled.end()
      dialled.pause()
      dialled.resume()
      t.equal(dialled.write(pattern(1), 0, 1), false)
      await right.untilLogged('close')
      t.same(right.log, ['close PEER_RESET'])
      t.match(right.cause?.message, /ECONNRESET/)
      t.equal(accepted.closed, true)
      await rig.settle()
      t.same(left.log, ['open', 'close'])
    })

    t.test('abort drops what is queued', async (t) => {
      const left = new Recorder()
      const right = new Recorder()
      const [dialled, accepted] = await rig.connect(left, right)
      accepted.pause()
      const written = fill(dialled, pattern(PLENTY))
      dialled.abort()
      t.same(left.log, ['open', 'close'])
      accepted.resume()
      // libuv takes a reset right behind bytes for the end; it then shows in the next write only.
      await right.until(() => right.closed || (!traits.watchesEnded && right.count('end') > 0))
      if (right.closed) t.equal(right.cause?.code, 'PEER_RESET')
      t.ok(right.bytes < written)
      t.ok(right.received.equals(pattern(right.bytes)))
    })

    t.test('a close is told exactly once, whatever leads to it and from wherever', async (t) => {
      type Act = (conn: Conn) => void
      const acts: Record<string, Act> = {
        abort: (conn) => conn.abort(),
        close: (conn) => conn.close(),
        'end, then abort': (conn) => {
          conn.end()
          conn.abort()
        },
        'write, then close': (conn) => {
          conn.write(pattern(100), 0, 100)
          conn.close()
        },
        'close, then abort': (conn) => {
          conn.close()
          conn.abort()
        },
        'abort, then everything': (conn) => {
          conn.abort()
          conn.write(pattern(1), 0, 1)
          conn.end()
          conn.close()
          conn.resume()
        },
      }
      for (const [what, act] of Object.entries(acts)) {
        const dialled = new Recorder({ open: act })
        rig.dialling.dial('127.0.0.1', await rig.sink(), dialled)
        await dialled.untilLogged('close')
        await rig.settle()
        t.same(dialled.log, ['open', 'close'], `${what} in open`)
        for (const when of ['data', 'end', 'close'] as const) {
          const left = new Recorder({ [when]: act })
          const right = new Recorder({ end: (conn) => conn.close() })
          const [, accepted] = await rig.connect(left, right)
          accepted.write(pattern(10), 0, 10)
          if (when === 'end') accepted.end()
          if (when === 'close') await left.untilBytes(10).then(() => accepted.abort())
          await Promise.all([left.untilLogged('close'), right.untilLogged('close')])
          await rig.settle()
          t.equal(left.count('close'), 1, `${what} in ${when}`)
          t.equal(right.count('close'), 1, `${what} in ${when}, the peer`)
          t.match(left.log.at(-1), /^close/, 'last of all')
        }
      }
    })

    t.test('abort from onWritable, and from the handler of another connection', async (t) => {
      const bystander = new Recorder()
      const [other] = await rig.connect(bystander, new Recorder())
      const left = new Recorder({
        writable(conn) {
          conn.abort()
          other.abort()
        },
      })
      const right = new Recorder({ end: (conn) => conn.close() })
      const [dialled, accepted] = await rig.connect(left, right)
      accepted.pause()
      fill(dialled, pattern(PLENTY))
      accepted.resume()
      await Promise.all([left.untilLogged('close'), right.untilLogged('close')])
      await rig.settle()
      t.equal(left.count('close'), 1)
      t.same(bystander.log, ['open', 'close'])
    })

    t.test('a peer that resets while it is written to closes the writer once', async (t) => {
      const left = new Recorder()
      const right = new Recorder()
      const [dialled, accepted] = await rig.connect(left, right)
      accepted.pause()
      // In one piece: of the last of many the system may take the rest before it knows of the reset, and say so.
      t.equal(dialled.write(pattern(PLENTY), 0, PLENTY), false)
      accepted.abort()
      // Not known yet, or just so: either way nothing may close from within a write.
      const before = left.log.length
      t.equal(dialled.write(pattern(100), 0, 100), false)
      t.equal(left.log.length, before)
      await left.untilLogged('close')
      await rig.settle()
      t.equal(left.count('close'), 1)
      t.equal(left.cause?.code, 'PEER_RESET')
      t.equal(left.count('writable'), 0)
    })

    t.test('both sides ending, closing or aborting at once is one close each', async (t) => {
      for (const act of ['end', 'close', 'abort'] as const) {
        const left = new Recorder()
        const right = new Recorder()
        const conns = await rig.connect(left, right)
        for (const conn of conns) conn[act]()
        await Promise.all([left.untilLogged('close'), right.untilLogged('close')])
        await rig.settle()
        t.equal(left.count('close') + right.count('close'), 2, act)
      }
    })

    t.test('a dial that is refused fails, is never open, and not before dial has returned', async (t) => {
      const port = await rig.port()
      rig.close()
      rig = open()
      const left = new Recorder()
      const conn = rig.dialling.dial('127.0.0.1', port, left)
      t.same(left.log, [])
      t.equal(rig.dialling.size, 1)
      t.equal(conn.write(pattern(10), 0, 10), false)
      await left.untilLogged('close')
      t.same(left.log, ['close CONNECT_FAILED'])
      t.match(left.cause?.message, /ECONNREFUSED/)
      t.equal(left.cause?.retryable, true)
      t.equal(conn.closed, true)
      t.equal(rig.dialling.size, 0)
    })

    t.test('what is written before the connection is open arrives after it, ends included', async (t) => {
      for (const after of ['nothing', 'end', 'close'] as const) {
        const left = new Recorder()
        const right = new Recorder({ end: (conn) => conn.end() })
        const port = await rig.port()
        const accepted = rig.expect(right)
        const conn = rig.dialling.dial('127.0.0.1', port, left)
        const lent = pattern(300)
        for (let at = 0; at < 300; at += 100) t.equal(conn.write(lent, at, at + 100), false)
        lent.fill(0)
        if (after !== 'nothing') conn[after]()
        await accepted
        await right.untilBytes(300)
        t.ok(right.received.equals(pattern(300)), after)
        if (after === 'nothing') {
          await left.untilLogged('writable')
          t.same(left.log, ['open', 'writable'])
          conn.abort()
        } else {
          await Promise.all([left.untilLogged('close'), right.untilLogged('close')])
          t.same(left.log, ['open', 'close'], after)
          t.same(right.log, ['data', 'end', 'close'], after)
        }
      }
    })

    t.test('an abort before the connection is open closes it for good', async (t) => {
      const left = new Recorder()
      const conn = rig.dialling.dial('127.0.0.1', await rig.sink(), left)
      conn.abort()
      t.same(left.log, ['close'])
      t.equal(rig.dialling.size, 0)
      await rig.settle()
      t.same(left.log, ['close'])
    })

    t.test('dispose closes whatever is open, and can be called again', async (t) => {
      const recorders: Recorder[] = []
      const record = (): Recorder => {
        const recorder = new Recorder()
        recorders.push(recorder)
        return recorder
      }
      const [, paused] = await rig.connect(record(), record())
      paused.pause()
      const [ended] = await rig.connect(record(), record())
      ended.end()
      rig.dialling.dial('127.0.0.1', await rig.sink(), record())
      // Nobody listens here: it fails while it is being disposed of.
      rig.dialling.dial('127.0.0.1', 1, record())
      rig.dialling.dispose()
      rig.accepting.dispose()
      for (const recorder of recorders) await recorder.untilLogged('close')
      t.equal(rig.dialling.size + rig.accepting.size, 0)
      rig.dialling.dispose()
      rig.accepting.dispose()
      t.same(
        recorders.map((recorder) => recorder.count('close')),
        recorders.map(() => 1),
      )
    })

    t.test('a peer that ended and then resets is noticed', { skip: !traits.watchesEnded }, async (t) => {
      for (const apart of [true, false]) {
        const right = new Recorder()
        const [dialled] = await rig.connect(new Recorder(), right)
        dialled.write(pattern(10), 0, 10)
        dialled.end()
        if (apart) await right.untilLogged('end')
        dialled.abort()
        await right.untilLogged('close')
        t.same(right.log, apart ? ['data', 'end', 'close PEER_RESET'] : ['data', 'close PEER_RESET'])
      }
    })

    t.test('who writes to a peer that closed learns that it is gone', { skip: !traits.watchesEnded }, async (t) => {
      const right = new Recorder()
      const [dialled, accepted] = await rig.connect(new Recorder(), right)
      dialled.close()
      await right.untilLogged('end')
      t.equal(accepted.write(pattern(10), 0, 10), true, 'the system takes it')
      await right.untilLogged('close')
      t.same(right.log, ['end', 'close PEER_RESET'])
    })

    t.test(
      'what a peer said before it reset is read, though writing to it fails',
      { skip: !traits.watchesEnded },
      async (t) => {
        const right = new Recorder()
        const [dialled, accepted] = await rig.connect(new Recorder(), right)
        dialled.pause()
        accepted.write(pattern(10), 0, 10)
        await rig.settle()
        dialled.write(pattern(20_000), 0, 20_000)
        // With bytes unread, this is a reset.
        dialled.close()
        t.equal(accepted.write(pattern(10), 0, 10), false)
        await right.untilLogged('close')
        t.same(right.log, ['data', 'close PEER_RESET'])
        t.ok(right.received.equals(pattern(20_000)))
      },
    )

    t.test('a handler that throws resets its own connection only', { skip: !traits.catchesFaults }, async (t) => {
      const bystander = new Recorder({ data: (conn, buffer, length) => conn.write(buffer, 0, length) })
      const reader = new Recorder()
      const [steady] = await rig.connect(reader, bystander)
      for (const [index, when] of (['open', 'data', 'end', 'close'] as const).entries()) {
        const fault = new Error(`in ${when}`)
        const left = new Recorder({
          [when]() {
            throw fault
          },
        })
        const right = new Recorder()
        const port = await rig.port()
        const accepting = rig.expect(right)
        rig.dialling.dial('127.0.0.1', port, left)
        const accepted = await accepting
        accepted.write(pattern(10), 0, 10)
        if (when === 'end' || when === 'close') accepted.end()
        // The same turn brings something to the one that did nothing wrong.
        steady.write(pattern(10), 0, 10)
        if (when === 'close') await rig.settle().then(() => accepted.abort())
        else await right.untilLogged('close')
        await reader.untilBytes((index + 1) * 10)
        await rig.settle()
        t.equal(left.count('close'), 1, when)
        t.equal(rig.faults.at(-1), fault)
        t.equal(rig.faults.length, index + 1)
        if (when !== 'close') t.equal(right.cause?.code, 'PEER_RESET')
      }
    })
  })
}
