import t from 'tap'
import { ManualClock } from '../../../src/core/clock.js'
import type { Conn } from '../../../src/core/conn.js'
import { pattern, Recorder } from '../../contract/recorder.js'
import { MemoryTransport } from '../../memory/memory-transport.js'

t.test('nothing happens but in turns, and nothing twice', async (t) => {
  const transport = new MemoryTransport(new ManualClock())
  const right = new Recorder()
  const port = transport.listen('127.0.0.1', 0, (records, socket) => transport.adopt(records, 0, socket, right))
  const left = new Recorder()
  const conn = transport.dial('127.0.0.1', port, left)
  conn.write(pattern(10), 0, 10)
  conn.end()
  t.same([left.log, right.log], [[], []])
  t.equal(transport.turn(), true)
  t.same([left.log, right.log], [['open'], []])
  t.equal(transport.turn(), true)
  t.same(right.log, [], 'it is sent in one turn')
  transport.turn()
  t.same(right.log, ['data'], 'and read in another')
  transport.flush()
  t.same(right.log, ['data', 'end'])
  t.equal(transport.turn(), false)
  transport.unlisten('127.0.0.1', port)
  const refused = new Recorder()
  transport.dial('127.0.0.1', port, refused)
  transport.flush()
  t.same(refused.log, ['close CONNECT_FAILED'])
})

t.test('a direction holds as many bytes as was said', async (t) => {
  for (const capacityBytes of [1, 100, 5_000]) {
    const transport = new MemoryTransport(new ManualClock(), { capacityBytes })
    const left = new Recorder()
    const right = new Recorder()
    const [a, b] = transport.pair(left, right)
    b.pause()
    t.equal(a.write(pattern(capacityBytes), 0, capacityBytes), true)
    t.equal(a.write(pattern(7, capacityBytes), 0, 7), false)
    transport.flush()
    t.equal(a.bytesWritten, capacityBytes)
    t.same(left.log, [])
    b.resume()
    transport.flush()
    t.same(left.log, ['writable'])
    t.ok(right.received.equals(pattern(capacityBytes + 7)))
  }
})

t.test('who keeps a borrowed buffer finds it overwritten', async (t) => {
  const transport = new MemoryTransport(new ManualClock())
  let kept: Uint8Array = new Uint8Array(0)
  const right = new Recorder({
    data(_conn: Conn, buffer, length) {
      kept = buffer.subarray(0, length)
    },
  })
  const [a] = transport.pair(new Recorder(), right)
  transport.scratch.set(pattern(100))
  a.write(transport.scratch, 0, 100)
  t.notOk(pattern(100).equals(transport.scratch.subarray(0, 100)), 'scratch after the write')
  transport.flush()
  t.ok(right.received.equals(pattern(100)))
  t.notOk(pattern(100).equals(kept), 'the read buffer after onData')
})

t.test('turns are asked for once each where there is somebody to ask', async (t) => {
  const asked: (() => void)[] = []
  const transport = new MemoryTransport(new ManualClock(), { schedule: (turn) => asked.push(turn) })
  const right = new Recorder({ data: (conn, buffer, length) => conn.write(buffer, 0, length) })
  const left = new Recorder()
  const [a] = transport.pair(left, right)
  for (let turn = asked.shift(); turn !== undefined; turn = asked.shift()) turn()
  a.write(pattern(10), 0, 10)
  a.write(pattern(10), 0, 10)
  t.equal(asked.length, 1)
  for (let turn = asked.shift(); turn !== undefined; turn = asked.shift()) turn()
  t.equal(left.bytes, 20)
})

t.test('connections that never come to rest are an error, not an endless loop', async (t) => {
  const transport = new MemoryTransport(new ManualClock())
  const back = (conn: Conn, buffer: Uint8Array, length: number): void => void conn.write(buffer, 0, length)
  const [a] = transport.pair(new EchoOnly(back), new EchoOnly(back))
  a.write(pattern(1), 0, 1)
  t.throws(() => transport.flush(), /never come to rest/)
})

/** Keeps nothing, since it is called a great many times. */
class EchoOnly extends Recorder {
  readonly #back: (conn: Conn, buffer: Uint8Array, length: number) => void
  constructor(back: (conn: Conn, buffer: Uint8Array, length: number) => void) {
    super()
    this.#back = back
  }
  override onData(conn: Conn, buffer: Uint8Array, length: number): void {
    this.#back(conn, buffer, length)
  }
}
