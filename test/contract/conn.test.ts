import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { AHEAD_BYTES, AHEAD_END, AHEAD_NOTHING, type Conn } from '../../src/core/conn.js'
import { HAS_IPV6, IMPLEMENTATIONS, type Rig } from './conn-rigs.js'
import { pattern, Recorder } from './recorder.js'
import { fill, fillUp, PIECE, PLENTY, send } from './writers.js'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** Bytes in buffers that somebody still holds. */
function heldBytes(): number {
  // What the first leaves to be swept in the background is gone after the second.
  collectGarbage()
  collectGarbage()
  return process.memoryUsage().arrayBuffers
}

for (const { name, available, traits, open } of IMPLEMENTATIONS) {
  t.test(name, { skip: !available && 'the addon is not built' }, async (t) => {
    let rig: Rig
    t.beforeEach(() => {
      rig = open()
    })
    t.afterEach(() => rig.close())

    t.test('bytes arrive whole and in order both ways, and lent buffers may change after the call', async (t) => {
      const cases: [totalBytes: number, pieceBytes: number][] = [
        [1, 1],
        [300, 1],
        [4_096, 63],
        [65_536, 65_536],
        [65_537, 65_537],
        [131_073, 131_072],
        [1_000_003, 997],
        [6_000_011, 250_007],
      ]
      for (const [totalBytes, pieceBytes] of cases) {
        const left = new Recorder()
        const right = new Recorder()
        const [dialled, accepted] = await rig.connect(left, right)
        const there = pattern(totalBytes)
        const back = pattern(totalBytes, 7)
        await Promise.all([
          send(dialled, left, there, pieceBytes, Buffer.alloc(pieceBytes)),
          send(accepted, right, back, pieceBytes, rig.accepting.scratch),
        ])
        await Promise.all([left.untilBytes(totalBytes), right.untilBytes(totalBytes)])
        const what = `${totalBytes} bytes in pieces of ${pieceBytes}`
        t.ok(right.received.equals(there), `${what}, there`)
        t.ok(left.received.equals(back), `${what}, back from scratch`)
        t.equal(dialled.bytesWritten, totalBytes)
        t.equal(accepted.bytesRead, totalBytes)
        dialled.abort()
      }
    })

    t.test('what was read may be written on from the borrowed buffer itself', async (t) => {
      const bytes = pattern(4_000_000)
      const left = new Recorder()
      const right = new Recorder({
        data(conn, buffer, length) {
          if (!conn.write(buffer, 0, length)) conn.pause()
        },
        writable: (conn) => conn.resume(),
      })
      const [dialled] = await rig.connect(left, right)
      await send(dialled, left, bytes, PIECE, Buffer.alloc(PIECE))
      await left.untilBytes(bytes.length)
      t.ok(left.received.equals(bytes))
    })

    t.test('a part of a buffer is written as that part, and an empty one is nothing', async (t) => {
      const right = new Recorder()
      const [dialled] = await rig.connect(new Recorder(), right)
      const bytes = pattern(100)
      t.equal(dialled.write(bytes, 50, 50), true)
      t.equal(dialled.write(bytes, 10, 20), true)
      t.equal(dialled.write(bytes.subarray(30, 60), 10, 30), true)
      await right.untilBytes(30)
      t.same(right.received, Buffer.concat([bytes.subarray(10, 20), bytes.subarray(40, 60)]))
    })

    t.test('a reader that stands still holds the writer back, who is told once when there is room', async (t) => {
      const bytes = pattern(PLENTY)
      const left = new Recorder()
      const right = new Recorder()
      const [dialled, accepted] = await rig.connect(left, right)
      await rig.settle()
      for (let round = 1; round <= 3; round++) {
        accepted.pause()
        const before = right.bytes
        const written = await fillUp(dialled, left, bytes, () => rig.settle())
        const told = left.count('writable')
        t.ok(written < PLENTY, `held back after ${written} bytes`)
        t.equal(right.bytes, before, 'nothing is read meanwhile')
        accepted.resume()
        await right.untilBytes(before + written)
        await left.until(() => left.count('writable') > told)
        await rig.settle()
        t.equal(left.count('writable'), told + 1, 'once')
        t.ok(right.received.subarray(before).equals(bytes.subarray(0, written)))
      }
    })

    t.test('a writer that obeys makes no memory grow', { skip: name === 'memory' }, async (t) => {
      const left = new Recorder()
      const bytes = pattern(PLENTY)
      const pairs: [Conn, Conn][] = []
      for (let i = 0; i < 10; i++) pairs.push(await rig.connect(left, new Recorder()))
      for (const [, accepted] of pairs) accepted.pause()
      await rig.settle()
      const before = heldBytes()
      for (const [dialled] of pairs) fill(dialled, bytes)
      await rig.settle()
      // What was refused is kept, and what Node reads ahead of a pause.
      const grown = heldBytes() - before
      t.ok(grown < pairs.length * 3 * PIECE, `${grown} bytes for ${pairs.length} connections`)
    })

    t.test('no room is announced to who was never refused', async (t) => {
      const left = new Recorder()
      const right = new Recorder()
      const [dialled] = await rig.connect(left, right)
      for (let i = 0; i < 100; i++) {
        t.equal(dialled.write(pattern(100), 0, 100), true)
        await right.untilBytes((i + 1) * 100)
      }
      t.same(left.log, ['open'])
    })

    t.test('a pause loses nothing, neither bytes nor the end', async (t) => {
      const left = new Recorder()
      const right = new Recorder()
      const [dialled, accepted] = await rig.connect(left, right)
      accepted.pause()
      dialled.write(pattern(10_000), 0, 10_000)
      await rig.settle()
      t.same(right.log, [], 'paused')
      accepted.resume()
      await right.untilBytes(10_000)
      accepted.pause()
      accepted.pause()
      dialled.write(pattern(10_000, 10_000), 0, 10_000)
      dialled.end()
      await rig.settle()
      t.same(right.log, ['data'], 'paused again')
      accepted.resume()
      accepted.resume()
      await right.untilLogged('end')
      t.same(right.log, ['data', 'end'])
      t.ok(right.received.equals(pattern(20_000)))
    })

    t.test('pausing within onData stops what would come next, resuming within it does not', async (t) => {
      let pausedAt = 0
      const right = new Recorder({
        data(conn) {
          conn.pause()
          if (right.reads.length === 1) conn.resume()
          else pausedAt = right.bytes
        },
      })
      const [dialled, accepted] = await rig.connect(new Recorder(), right)
      accepted.readSize = 1_000
      dialled.write(pattern(200_000), 0, 200_000)
      await right.until(() => right.reads.length >= 2)
      await rig.settle()
      t.equal(right.bytes, pausedAt)
      while (right.bytes < 200_000) {
        const reads = right.reads.length
        accepted.resume()
        await right.until(() => right.reads.length > reads)
      }
      t.ok(right.received.equals(pattern(200_000)))
    })

    t.test('each side knows the other’s address and its own', async (t) => {
      const cases: [dialled: string, listening: string, family: 4 | 6][] = [['127.0.0.1', '127.0.0.1', 4]]
      if (HAS_IPV6) cases.push(['::1', '::1', 6])
      for (const [address, listening, family] of cases) {
        const port = await rig.port(listening)
        const left = new Recorder()
        const accepting = rig.expect(new Recorder())
        const dialled = rig.dialling.dial(address, port, left)
        t.ok(dialled.peer, 'may be asked for before it is open')
        await left.untilLogged('open')
        const accepted = await accepting
        t.same(dialled.peer, { family, address, port })
        t.same(accepted.local, { family, address, port })
        t.same(accepted.peer, dialled.local)
        t.not(accepted.peer.port, 0)
        t.equal(dialled.peer, dialled.peer, 'the same object each time')
      }
    })

    t.test(
      'an IPv4 client of an IPv6 socket has its IPv4 address',
      { skip: !HAS_IPV6 || name === 'memory' },
      async (t) => {
        const port = await rig.port('::', false)
        const accepting = rig.expect(new Recorder())
        const left = new Recorder()
        const dialled = rig.dialling.dial('127.0.0.1', port, left)
        const accepted = await accepting
        await left.untilLogged('open')
        t.same(accepted.peer, { family: 4, address: '127.0.0.1', port: dialled.local.port })
        t.same(accepted.local, { family: 4, address: '127.0.0.1', port })
      },
    )

    t.test('the time of the last byte moves with bytes in either direction', async (t) => {
      const right = new Recorder()
      const left = new Recorder()
      const [dialled, accepted] = await rig.connect(left, right)
      const began = accepted.lastActiveMs
      await rig.settle()
      t.equal(accepted.lastActiveMs, began, 'not by itself')
      dialled.write(pattern(1), 0, 1)
      await right.untilBytes(1)
      t.ok(accepted.lastActiveMs > began, 'by reading')
      const read = dialled.lastActiveMs
      await rig.settle()
      dialled.write(pattern(1), 0, 1)
      t.ok(dialled.lastActiveMs > read, 'by writing')
    })

    t.test('handler and context belong to the owner, who may change them at any time', async (t) => {
      const first = new Recorder({
        data(conn) {
          conn.handler = second
        },
      })
      const second = new Recorder()
      const [dialled, accepted] = await rig.connect(new Recorder(), first)
      t.equal(accepted.context, undefined)
      accepted.context = first
      dialled.write(pattern(10), 0, 10)
      await first.untilBytes(10)
      dialled.write(pattern(10), 0, 10)
      await second.untilBytes(10)
      dialled.close()
      await second.untilLogged('end')
      t.same(first.log, ['data'])
      t.equal(accepted.context, first)
    })

    t.test('a hundred connections at once keep to themselves', async (t) => {
      const pairs = await Promise.all(
        Array.from({ length: 100 }, async (_, i) => {
          const right = new Recorder({ data: (conn, buffer, length) => conn.write(buffer, 0, length) })
          const left = new Recorder()
          const [dialled] = await rig.connect(left, right)
          return { dialled, left, bytes: pattern(3_000, i * 1_000) }
        }),
      )
      t.ok(rig.dialling.size >= 100)
      for (let at = 0; at < 3_000; at += 500) {
        for (const { dialled, bytes } of pairs) dialled.write(bytes, at, at + 500)
      }
      await Promise.all(pairs.map(({ left }) => left.untilBytes(3_000)))
      for (const [i, { left, bytes }] of pairs.entries()) {
        if (!left.received.equals(bytes)) t.fail(`connection ${i} got another’s bytes`)
      }
    })

    t.test('a read brings no more than was asked for', { skip: !traits.limitsReads }, async (t) => {
      for (const readSize of [1, 100, 4_096, 65_536, 10_000_000]) {
        const right = new Recorder()
        const [dialled, accepted] = await rig.connect(new Recorder(), right)
        accepted.readSize = readSize
        const bytes = pattern(readSize === 1 ? 500 : 300_000)
        dialled.write(bytes, 0, bytes.length)
        dialled.end()
        await right.untilLogged('end')
        t.ok(Math.max(...right.reads) <= readSize, `${readSize}: at most ${Math.max(...right.reads)}`)
        t.ok(right.received.equals(bytes))
      }
    })

    t.test('a connection is quiet until something has come that was not read', async (t) => {
      for (const what of ['bytes', 'end', 'reset'] as const) {
        const left = new Recorder()
        const [dialled, accepted] = await rig.connect(left, new Recorder())
        await rig.settle()
        t.equal(dialled.lookAhead(), AHEAD_NOTHING, what)
        dialled.pause()
        if (what === 'bytes') accepted.write(pattern(1), 0, 1)
        else if (what === 'end') accepted.end()
        else accepted.abort()
        // Nothing was read since: all of this is one turn, unless the implementation waits for what the loop brings.
        if (!traits.looksAhead) {
          dialled.resume()
          await left.until(() => left.log.length > 1)
          if (what === 'bytes') continue
        }
        t.equal(dialled.lookAhead(), what === 'bytes' ? AHEAD_BYTES : AHEAD_END, what)
        dialled.abort()
        t.equal(dialled.lookAhead(), AHEAD_END, 'nor is a closed one')
      }
    })

    t.test(
      'what was written behind the end of a peer that is gone was read by nobody',
      { skip: !traits.looksAhead },
      async (t) => {
        for (const how of ['close', 'abort'] as const) {
          const left = new Recorder()
          const [dialled, accepted] = await rig.connect(left, new Recorder())
          dialled.write(pattern(10), 0, 10)
          await rig.settle()
          accepted[how]()
          const before = dialled.bytesWritten
          dialled.write(pattern(100), 0, 100)
          dialled.write(pattern(7), 0, 7)
          await left.until(() => left.log.includes('end') || left.log.some((entry) => entry.startsWith('close')))
          const written = dialled.bytesWritten - before
          t.equal(dialled.unacknowledgedBytes, how === 'close' ? written : 0, how)
          dialled.abort()
        }
      },
    )
  })
}
