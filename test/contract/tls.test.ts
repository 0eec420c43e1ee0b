import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import { IMPLEMENTATIONS } from './conn-rigs.js'
import { pattern, Recorder } from './recorder.js'
import { echo, TlsRig } from './tls-rigs.js'
import { fill, PIECE, PLENTY, send } from './writers.js'

// Data, backpressure and ends over TLS; what a handshake decides is tls-handshake.test.ts's.

for (const { name, available, traits, open } of IMPLEMENTATIONS.filter(({ traits }) => traits.speaksTls)) {
  t.test(name, { skip: !available && 'the addon is not built' }, async (t) => {
    let rig: TlsRig
    t.beforeEach(() => {
      rig = new TlsRig(open())
    })
    t.afterEach(() => rig.close())

    t.test('bytes arrive whole and in order both ways, and lent buffers may change after the call', async (t) => {
      const server = rig.server()
      const client = rig.client()
      const cases: [totalBytes: number, pieceBytes: number][] = [
        [1, 1],
        [300, 1],
        [16_384, 16_384],
        [65_537, 65_537],
        [131_073, 131_072],
        [300_003, 997],
        [6_000_011, 250_007],
      ]
      for (const [totalBytes, pieceBytes] of cases) {
        const left = new Recorder()
        const right = new Recorder()
        const [dialled, accepted] = await rig.connect(left, right, server, client)
        const there = pattern(totalBytes)
        const back = pattern(totalBytes, 7)
        await Promise.all([
          send(dialled, left, there, pieceBytes, Buffer.alloc(pieceBytes)),
          send(accepted, right, back, pieceBytes, rig.rig.accepting.scratch),
        ])
        await Promise.all([left.untilBytes(totalBytes), right.untilBytes(totalBytes)])
        const what = `${totalBytes} bytes in pieces of ${pieceBytes}`
        t.ok(right.received.equals(there), `${what}, there`)
        t.ok(left.received.equals(back), `${what}, back from scratch`)
        t.equal(dialled.bytesWritten, totalBytes)
        t.equal(accepted.bytesRead, totalBytes)
        dialled.abort()
        await right.untilLogged('close')
      }
    })

    t.test('what was read may be written on from the borrowed buffer itself', async (t) => {
      const bytes = pattern(4_000_000)
      const left = new Recorder()
      const [dialled] = await rig.connect(left, echo())
      await send(dialled, left, bytes, PIECE, Buffer.alloc(PIECE))
      await left.untilBytes(bytes.length)
      t.ok(left.received.equals(bytes))
    })

    t.test('a slow reader holds the writer up, and pausing holds data back', async (t) => {
      const left = new Recorder()
      const right = new Recorder()
      const [dialled, accepted] = await rig.connect(left, right)
      accepted.pause()
      const bytes = pattern(PLENTY)
      for (let at = 0; at < PLENTY; at += PIECE) dialled.write(bytes, at, Math.min(at + PIECE, PLENTY))
      await rig.rig.settle()
      t.equal(right.bytes, 0, 'nothing in a pause')
      t.equal(left.count('writable'), 0)
      accepted.resume()
      t.equal(right.bytes, 0, 'nor from within resume')
      await Promise.all([right.untilBytes(PLENTY), left.untilLogged('writable')])
      t.ok(right.received.equals(bytes))
      t.equal(left.count('writable'), 1)
    })

    t.test('pausing after each piece loses nothing that TLS had decrypted already', async (t) => {
      const right = new Recorder({
        data(conn) {
          conn.pause()
          setImmediate(() => conn.resume())
        },
      })
      const left = new Recorder()
      const [dialled, accepted] = await rig.connect(left, right)
      accepted.readSize = 1_000
      const bytes = pattern(100_000)
      await send(dialled, left, bytes, 50_000, Buffer.alloc(50_000))
      await right.untilBytes(bytes.length)
      t.ok(right.received.equals(bytes))
      if (traits.limitsReads) t.ok(Math.max(...right.reads) <= 1_000)
    })

    t.test('either side may end first, and what the other sends still arrives', async (t) => {
      for (const first of ['dialled', 'accepted'] as const) {
        const recorders = [new Recorder(), new Recorder()] as const
        const conns = await rig.connect(...recorders)
        const [early, late] = first === 'dialled' ? conns : [conns[1], conns[0]]
        const [earlyRecorder, lateRecorder] = first === 'dialled' ? recorders : [recorders[1], recorders[0]]
        // Node forgets close_notify where it ends while tickets are being sent.
        await rig.rig.settle()
        early.write(pattern(1_000), 0, 1_000)
        early.end()
        t.equal(early.write(pattern(10), 0, 10), false, 'who has ended writes no more')
        await lateRecorder.untilLogged('end')
        t.equal(lateRecorder.bytes, 1_000)
        late.write(pattern(200_000), 0, 200_000)
        late.end()
        await Promise.all([earlyRecorder.untilLogged('close'), lateRecorder.untilLogged('close')])
        t.ok(earlyRecorder.received.equals(pattern(200_000)), first)
        t.equal(earlyRecorder.log.at(-1), 'close')
        t.equal(lateRecorder.log.at(-1), 'close')
      }
    })

    t.test('an end or close behind a queue comes after all of it', async (t) => {
      for (const act of ['end', 'close'] as const) {
        const left = new Recorder()
        const right = new Recorder({ end: (conn) => conn.end() })
        const [dialled, accepted] = await rig.connect(left, right)
        accepted.pause()
        // Whoever closes has read all that was sent: here, session tickets.
        await rig.rig.settle()
        const bytes = pattern(PLENTY)
        const written = fill(dialled, bytes)
        dialled[act]()
        accepted.resume()
        await Promise.all([left.untilLogged('close'), right.untilLogged('close')])
        t.ok(right.received.equals(bytes.subarray(0, written)), act)
        t.same(right.log, ['open', 'data', 'end', 'close'], act)
        t.same(left.log, ['open', 'close'], act)
      }
    })

    t.test('abort is a reset on the other side', async (t) => {
      const left = new Recorder()
      const right = new Recorder()
      const [dialled] = await rig.connect(left, right)
      // Tickets that are sent while it happens would have the error instead, and who reads sees an end.
      await rig.rig.settle()
      dialled.abort()
      t.same(left.log, ['open', 'close'])
      await right.untilLogged('close')
      t.same(right.log, ['open', 'close PEER_RESET'])
    })

    t.test('a stream that ends without close_notify is cut', { skip: !traits.seesTruncation }, async (t) => {
      for (const paused of [false, true]) {
        const right = new Recorder()
        const carrier = connect(await rig.rig.port(), '127.0.0.1')
        const [socket, accepted] = await rig.peer(rig.server(), right, { socket: carrier })
        await Promise.all([once(socket, 'secureConnect'), right.untilLogged('open')])
        if (paused) accepted.pause()
        await new Promise<unknown>((resolve) => socket.write(pattern(10_000), resolve))
        // Below TLS, so that nothing is said of it.
        carrier.end()
        if (paused) {
          await rig.rig.settle()
          accepted.resume()
        }
        await right.untilLogged('close')
        t.same(right.log, ['open', 'data', 'close TLS_TRUNCATED'])
        t.ok(right.received.equals(pattern(10_000)), 'what came before it is there')
        socket.destroy()
      }
    })

    t.test('a peer of another make ends, half-closes and reads to the end', async (t) => {
      const right = echo()
      const [socket] = await rig.peer(rig.server(), right, { allowHalfOpen: true } as object)
      const chunks: Buffer[] = []
      socket.on('data', (chunk: Buffer) => chunks.push(chunk))
      await once(socket, 'secureConnect')
      socket.end(pattern(500_000))
      await Promise.all([once(socket, 'close'), right.untilLogged('close')])
      t.ok(Buffer.concat(chunks).equals(pattern(500_000)))
      t.equal(right.cause, undefined)
      t.same(right.log.slice(0, 2), ['open', 'data'])
    })

    t.test('what is written before the connection is open arrives after it, ends included', async (t) => {
      const server = rig.server()
      const client = rig.client()
      for (const after of ['nothing', 'end', 'close'] as const) {
        const left = new Recorder()
        const right = new Recorder({ end: (conn) => conn.end() })
        const accepted = rig.expect(server, right)
        const conn = rig.rig.dialling.dial('127.0.0.1', await rig.rig.port(), left, client)
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
          t.same(right.log, ['open', 'data', 'end', 'close'], after)
        }
      }
    })

    t.test('bytes read before TLS began belong to the handshake', async (t) => {
      const server = rig.server()
      const lengths = [1, 5, 100, 10_000]
      for (const length of lengths) {
        const inner = echo()
        const gathered: Buffer[] = []
        let secured = false
        const outer = new Recorder({
          data(conn, buffer, count) {
            gathered.push(Buffer.from(buffer.subarray(0, count)))
            const early = Buffer.concat(gathered)
            if (secured || early.length < Math.min(length, 200)) return
            secured = true
            conn.handler = inner
            rig.rig.accepting.secure(conn, server, early)
            early.fill(0)
          },
        })
        const accepted = rig.rig.expect(outer, (conn) => {
          conn.readSize = Math.max(length, 16)
        })
        const left = new Recorder()
        const conn = rig.rig.dialling.dial('127.0.0.1', await rig.rig.port(), left, rig.client())
        await accepted
        await Promise.all([left.untilLogged('open'), inner.untilLogged('open')])
        conn.write(pattern(1_000), 0, 1_000)
        await left.untilBytes(1_000)
        t.ok(left.received.equals(pattern(1_000)))
        conn.abort()
        await inner.untilLogged('close')
      }
    })

    t.test('closes once, whatever is done during the handshake', async (t) => {
      for (const act of ['abort', 'close'] as const) {
        const right = new Recorder()
        const [socket, accepted] = await rig.raw(rig.server(), right)
        await rig.rig.settle()
        accepted[act]()
        await right.untilLogged('close')
        t.same(right.log, ['close'], act)
        if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve))
      }
      const left = new Recorder()
      const right = new Recorder()
      const accepting = rig.expect(rig.server(), right)
      const conn = rig.rig.dialling.dial('127.0.0.1', await rig.rig.port(), left, rig.client())
      await accepting
      conn.abort()
      t.same(left.log, ['close'])
      await right.untilLogged('close')
      t.equal(right.count('open'), 0)
    })
  })
}
