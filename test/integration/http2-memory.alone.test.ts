import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { FRAME } from '../../src/http/h2/frames.js'
import { END, type Field, frame, GET, headers } from '../unit/http/h2/rig.js'
import { onePair } from './support/balancer.js'
import type { Test } from './support/castor.js'
import { type ChildCastor, startChild } from './support/child-castor.js'
import { ask, connectTo, Http2Target } from './support/http2-peers.js'
import { RawHttp2Client } from './support/http2-raw.js'
import { until } from './support/until.js'

t.setTimeout(120_000)

const MIB = 1024 * 1024
const CONNECTIONS = 6
const STREAMS = 128
const FILE = Buffer.alloc(MIB, 'x')
const INITIAL_WINDOW_SIZE = 4
/** 128 shares of 16 KiB, 1 MiB of room, and what heads and bookkeeping of so many requests take. */
const BOUND_MIB = 4

async function httpTarget(t: Test): Promise<string> {
  const server = createServer((_request, response) => response.end(FILE))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function h2cTarget(t: Test): Promise<string> {
  const target = await Http2Target.start(
    t,
    (stream) => {
      stream.respond({ ':status': 200 })
      stream.end(FILE)
    },
    { maxConcurrentStreams: 1000 },
  )
  return target.address
}

/** Once it does not grow any more: MiB. */
async function settled(castor: ChildCastor): Promise<number> {
  let last = 0
  let same = 0
  await until(
    'memory that stays as it is',
    () => {
      const now = castor.residentBytes
      same = Math.abs(now - last) < MIB / 2 ? same + 1 : 0
      last = now
      return same === 10
    },
    30_000,
  )
  return last / MIB
}

async function warm(t: Test, castor: ChildCastor): Promise<void> {
  const session = await connectTo(t, castor.port(), { maxSessionMemory: 500 })
  for (let n = 0; n < 20; n++) await Promise.all(Array.from({ length: 20 }, () => ask(session)))
  session.destroy()
}

t.test('clients that read no answers make Castor hold a bounded amount of what targets say', async (t) => {
  for (const [protocol, start] of [
    ['http', httpTarget],
    ['h2c', h2cTarget],
  ] as const) {
    t.test(
      `clients that read no answers make Castor hold a bounded amount of what ${protocol} targets say`,
      async (t) => {
        const castor = await startChild(
          t,
          onePair('http', [await start(t)], { listener: { http2: true }, group: { protocol } }),
        )
        await warm(t, castor)
        const before = await settled(castor)
        const clients: RawHttp2Client[] = []
        for (let n = 0; n < CONNECTIONS; n++) {
          const client = await RawHttp2Client.openFrom(t, '127.0.0.2', castor.port(), [INITIAL_WINDOW_SIZE, 0])
          client.send(...Array.from({ length: STREAMS }, (_, i) => headers(1 + i * 2, GET, END)))
          clients.push(client)
        }
        for (const client of clients)
          await until(
            'every head',
            () => client.frames.filter(({ type }) => type === FRAME.HEADERS).length === STREAMS,
            20_000,
          )
        const grown = (await settled(castor)) - before
        t.comment(`${grown.toFixed(0)} MiB for ${CONNECTIONS} connections`)
        t.ok(grown < CONNECTIONS * BOUND_MIB, `${grown.toFixed(0)} MiB for ${CONNECTIONS} connections`)
        for (const client of clients) client.socket.destroy()
        await warm(t, castor)
        const left = (await settled(castor)) - before
        t.comment(`${left.toFixed(0)} MiB after they left`)
        t.ok(left < CONNECTIONS * BOUND_MIB * 0.6, `${left.toFixed(0)} MiB after they left`)
      },
    )
  }
})

t.test('clients whose uploads no target takes make Castor hold a bounded amount of them', async (t) => {
  const POST: readonly Field[] = GET.map(([name, value]) => [name, name === ':method' ? 'POST' : value] as const)
  const target = await Http2Target.start(
    t,
    (stream, fields) => {
      if (fields[':method'] === 'POST') stream.pause()
      else {
        stream.respond({ ':status': 200 })
        stream.end('x')
      }
    },
    { maxConcurrentStreams: 1000 },
  )
  const castor = await startChild(
    t,
    onePair('http', [target.address], { listener: { http2: true }, group: { protocol: 'h2c' } }),
  )
  await warm(t, castor)
  const before = await settled(castor)
  const clients: RawHttp2Client[] = []
  const piece = Buffer.alloc(16_000)
  for (let n = 0; n < CONNECTIONS; n++) {
    const client = await RawHttp2Client.openFrom(t, '127.0.0.2', castor.port())
    for (let i = 0; i < STREAMS; i++) client.send(headers(1 + i * 2, POST))
    await client.caughtUp()
    // As much as the windows allow: of each stream 64 KiB, of the connection as long as it is given back.
    let window = 65_535
    let seen = 0
    const granted = (): number => {
      const updates = client.frames.filter(({ type, id }) => type === FRAME.WINDOW_UPDATE && id === 0)
      for (const { payload } of updates.slice(seen)) window += payload.readUInt32BE(0)
      seen = updates.length
      return window
    }
    for (let i = 0; i < STREAMS * 4; i++) {
      if (granted() < piece.length) await client.caughtUp()
      if (granted() < piece.length) break
      window -= piece.length
      client.send(frame(FRAME.DATA, 0, 1 + (i % STREAMS) * 2, piece))
    }
    await client.caughtUp()
    t.notOk(client.closed)
    clients.push(client)
  }
  const grown = (await settled(castor)) - before
  t.comment(`${grown.toFixed(0)} MiB for ${CONNECTIONS} connections`)
  t.ok(grown < CONNECTIONS * 2 * BOUND_MIB, `${grown.toFixed(0)} MiB for ${CONNECTIONS} connections`)
  t.equal((await ask(await connectTo(t, castor.port()))).status, 200)
})
