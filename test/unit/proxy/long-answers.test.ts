import { join } from 'node:path'
import t from 'tap'
import { FLAG, FRAME } from '../../../src/http/h2/frames.js'
import type { Peer } from '../../fuzz/memory-castor.js'
import { END, frame, framesOf, GET, headers, PREFACE, SETTINGS_ACK, settings, uint32 } from '../http/h2/rig.js'
import { MemoryThread } from './memory-thread.js'

/* Long answers of a rule's own, on their way to clients that take them slowly, or not. */

const BODY = 'x'.repeat(700_000)
const FILE = join(t.testdir({ body: BODY }), 'body')
const MIB = 1024 * 1024
const INITIAL_WINDOW_SIZE = 4
const IDLE_TIMEOUT_MS = 60_000
/** Streams at once. */
const STREAMS = 100

const answering = (more: object = {}): MemoryThread =>
  new MemoryThread({
    listeners: [
      {
        name: 'web',
        protocol: 'http',
        listen: '192.0.2.1:80',
        targetGroup: 'one',
        http2: { stallTimeout: '1h' },
        rules: [{ match: { path: '/long' }, respond: { status: 200, bodyFile: FILE } }],
        ...more,
      },
    ],
    targetGroups: [
      { name: 'one', protocol: 'http', healthCheck: { protocol: 'off' }, targets: [{ address: '192.0.2.11:80' }] },
    ],
  })

const GET_LONG = GET.map(([name, value]) => [name, name === ':path' ? '/long' : value] as const)
const LONG = 'GET /long HTTP/1.1\r\nHost: h\r\n\r\n'

/** What of the client's DATA came on one stream, and whether it ended. */
function taken({ received }: Peer, id: number): { bytes: number; ended: boolean } {
  const data = framesOf(Buffer.from(received, 'latin1')).filter((each) => each.type === FRAME.DATA && each.id === id)
  return {
    bytes: data.reduce((sum, { payload }) => sum + payload.length, 0),
    ended: data.some(({ flags }) => (flags & FLAG.END_STREAM) !== 0),
  }
}

t.test('an HTTP/2 client that opens no window has no more of long answers kept for it than of any other', async (t) => {
  const memory = answering()
  const before = process.memoryUsage().arrayBuffers
  const client = memory.connect(80)
  const asked = Array.from({ length: STREAMS }, (_, n) => headers(2 * n + 1, GET_LONG, END))
  await memory.send(client, Buffer.concat([PREFACE, settings([INITIAL_WINDOW_SIZE, 0]), SETTINGS_ACK, ...asked]))
  const grown = process.memoryUsage().arrayBuffers - before
  t.ok(grown < 16 * MIB, `${(grown / MIB).toFixed(1)} MiB for ${STREAMS} answers of ${BODY.length} bytes`)
  for (const id of [1, 2 * STREAMS - 1]) {
    client.send(
      Buffer.concat([frame(FRAME.WINDOW_UPDATE, 0, id, uint32(MIB)), frame(FRAME.WINDOW_UPDATE, 0, 0, uint32(MIB))]),
    )
    await memory.settle()
    t.same(taken(client, id), { bytes: BODY.length, ended: true }, 'whoever opens one gets all of it')
  }
  client.conn.abort()
  await memory.settle()
  t.equal(memory.thread.context.drainables.size, 0)
})

t.test('a long answer arrives whole, however slowly its client takes it, and the next request behind it', async (t) => {
  const memory = answering()
  const client = memory.connect(80)
  client.conn.pause()
  await memory.send(client, `${LONG}GET /next HTTP/1.1\r\nHost: h\r\n\r\n`)
  const { onData } = client
  client.onData = (conn, buffer, length) => {
    conn.pause()
    onData.call(client, conn, buffer, length)
  }
  for (let n = 0; n < 30 && !client.received.includes('192.0.2.11'); n++) {
    // Two thirds of what it may be silent for.
    await memory.elapse((IDLE_TIMEOUT_MS * 2) / 3)
    client.conn.resume()
    await memory.settle()
  }
  const head = client.received.slice(0, client.received.indexOf('\r\n\r\n') + 4)
  t.match(head, /^HTTP\/1\.1 200 OK\r\n/)
  t.equal(client.received.slice(head.length, head.length + BODY.length), BODY)
  t.match(client.received.slice(head.length + BODY.length), /^HTTP\/1\.1 200 OK\r\n.*192\.0\.2\.11$/s)
  client.conn.abort()
  await memory.settle()
})

t.test('a client that sends a body which nobody wants gets the long answer to it', async (t) => {
  const memory = answering()
  const client = memory.connect(80)
  client.conn.pause()
  await memory.send(client, 'POST /long HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n')
  for (let n = 0; n < 10; n++) await memory.send(client, Buffer.alloc(100_000))
  client.conn.resume()
  for (let n = 0; n < 20; n++) await memory.settle()
  t.ok(client.received.endsWith(BODY), `${client.received.length} bytes`)
  t.match(client.received, /\r\nconnection: close\r\n/)
  t.equal(client.ended, 'end')
  client.conn.abort()
  await memory.settle()
})

for (const [what, act] of [
  ['takes nothing', (memory: MemoryThread) => memory.elapse(IDLE_TIMEOUT_MS + 2_000)],
  [
    'takes nothing and goes on sending',
    async (memory: MemoryThread, client: Peer) => {
      for (let n = 0; n < 62; n++) {
        await memory.send(client, 'more')
        await memory.elapse(1_000)
      }
    },
  ],
  [
    'is gone',
    (memory: MemoryThread, client: Peer) => {
      client.conn.abort()
      return memory.settle()
    },
  ],
] as const) {
  t.test(`a client that ${what} does not get the rest of a long answer, and holds nobody up`, async (t) => {
    const memory = answering()
    const client = memory.connect(80)
    client.conn.pause()
    await memory.send(client, 'POST /long HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n')
    t.equal(memory.thread.context.drainables.size, 1)
    await act(memory, client)
    t.equal(memory.thread.context.drainables.size, 0)
    t.same(memory.faults, [])
  })
}
