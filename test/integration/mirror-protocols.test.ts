import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createSecureServer } from 'node:http2'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import t from 'tap'
import { FRAME } from '../../src/http/h2/frames.js'
import { END, frame, headers, OK, PREFACE, SETTINGS_ACK, settings, uint32 } from '../unit/http/h2/rig.js'
import type { Test } from './support/castor.js'
import { wholeFrames } from './support/http2-raw.js'
import type { Metrics } from './support/metrics.js'
import { RawClient } from './support/raw-client.js'
import { ok } from './support/raw-target.js'
import { startRouting } from './support/routing.js'
import { authorityFor } from './support/tls.js'
import { until } from './support/until.js'

const authority = authorityFor(t)
const back = authority.issue('back', { names: ['127.0.0.1'] })
const stranger = authority.issue('stranger', { names: ['elsewhere.internal'] })

async function listen(t: Test, server: Server, event = 'connection'): Promise<string> {
  const sockets: Socket[] = []
  server.on(event, (socket: Socket) => {
    sockets.push(socket)
    socket.on('error', () => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

type Act = (socket: Socket, received: string) => void

/** Acts on each piece that comes. */
const plain = (act: Act) => (t: Test) =>
  listen(
    t,
    createServer({ noDelay: true }, (socket) => socket.on('data', (data) => act(socket, data.toString('latin1')))),
  )

const secure =
  (act: Act, { cert, key } = back, alpn = 'http/1.1') =>
  (t: Test) =>
    listen(
      t,
      createTlsServer({ cert: readFileSync(cert), key: readFileSync(key), ALPNProtocols: [alpn] }, (socket) => {
        socket.on('error', () => {})
        socket.on('data', (data) => act(socket, data.toString('latin1')))
      }).on('tlsClientError', () => {}),
    )

/** Speaks HTTP/2, and answers each stream with these frames; then it may be cut. */
const streams =
  (answer: (id: number) => readonly Buffer[], cut = false) =>
  (t: Test) =>
    listen(
      t,
      createServer({ noDelay: true }, (socket) => {
        let received = Buffer.alloc(0)
        let seen = 0
        socket.write(Buffer.concat([settings(), SETTINGS_ACK]))
        socket.on('data', (data) => {
          received = Buffer.concat([received, data])
          const frames = wholeFrames(received.subarray(PREFACE.length))
          for (const { type, id } of frames.slice(seen)) {
            if (type !== FRAME.HEADERS) continue
            socket.write(Buffer.concat(answer(id)), () => cut && socket.resetAndDestroy())
          }
          seen = frames.length
        })
      }),
    )

async function http2Secure(t: Test): Promise<string> {
  const server = createSecureServer({ cert: readFileSync(back.cert), key: readFileSync(back.key) })
  server.on('stream', (stream) => {
    stream.on('error', () => {})
    stream.on('end', () => {
      stream.respond({ ':status': 500 })
      stream.end('nobody sees it')
    })
    stream.resume()
  })
  server.on('sessionError', () => {})
  return listen(t, server as unknown as Server, 'secureConnection')
}

const answerWhole: Act = (socket) => socket.write(ok('nobody sees it', ['Set-Cookie: a=b']))
const nothing: Act = () => undefined
const HALF = 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx'
const SAID = 'HTTP/1.1 400 Bad Request\r\n\r\n'

/** What becomes of copies; `waits`: the mirror is still at them when their clients have their answers. */
const MIRRORS: readonly [
  what: string,
  protocol: string,
  start: (t: Test) => Promise<string>,
  becomes: 'sent' | 'failed' | 'waits',
][] = [
  ['a TLS target that answers', 'https', secure(answerWhole), 'sent'],
  ['one that takes the copy and is silent', 'https', secure(nothing), 'waits'],
  ['one that never begins its handshake', 'https', plain(nothing), 'waits'],
  ['one that answers a handshake in clear', 'https', plain((socket) => socket.write(SAID)), 'failed'],
  ['one that resets the handshake', 'https', plain((socket) => socket.resetAndDestroy()), 'failed'],
  ['one that proves to be another', 'https', secure(answerWhole, stranger), 'failed'],
  [
    'one that is cut in the middle of its answer',
    'https',
    secure((socket) => socket.write(HALF, () => socket.destroy())),
    'sent',
  ],
  ['an HTTP/2 target by TLS', 'h2', http2Secure, 'sent'],
  ['one that speaks HTTP/1.1 only', 'h2', secure(answerWhole), 'failed'],
  ['one that says nothing of HTTP/2', 'h2', secure(nothing, back, 'h2'), 'waits'],
  ['one that never ends its streams', 'h2c', streams(() => []), 'waits'],
  ['one that says nothing at all', 'h2c', plain(nothing), 'waits'],
  ['one that speaks HTTP/1.1 instead', 'h2c', plain((socket) => socket.write(SAID)), 'failed'],
  ['one that resets the stream', 'h2c', streams((id) => [frame(FRAME.RST_STREAM, 0, id, uint32(2))]), 'failed'],
  [
    'one that resets it in the middle of its answer',
    'h2c',
    streams((id) => [headers(id, OK), frame(FRAME.RST_STREAM, 0, id, uint32(2))]),
    'sent',
  ],
  ['one that is cut behind its head', 'h2c', streams((id) => [headers(id, OK)], true), 'sent'],
  ['one whose head is none', 'h2c', streams((id) => [headers(id, [['server', 'x']], END)]), 'failed'],
  ['one that resets while the body comes', 'http', plain((socket) => socket.resetAndDestroy()), 'failed'],
  ['one that ends in the middle of its head', 'http', plain((socket) => socket.end('HTTP/1.1 20')), 'failed'],
]

t.test('whatever a mirror speaks and however it fails, answers neither wait for it nor change', async (t) => {
  const addresses = await Promise.all(MIRRORS.map(([, , start]) => start(t)))
  const { port, balancer } = await startRouting(t, ['main'], [], {
    listener: {
      rules: MIRRORS.map((_, index) => ({ match: { path: `/${index}` }, forward: 'main', mirror: `mirror-${index}` })),
    },
    groups: MIRRORS.map(([, protocol], index) => ({
      name: `mirror-${index}`,
      protocol,
      targets: [{ address: addresses[index] }],
      healthCheck: { protocol: 'off' },
      // Nobody gives up while the test runs.
      timeouts: { connect: '60s', response: '60s' },
      ...(protocol === 'h2' || protocol === 'https' ? { tls: { ca: authority.cert } } : {}),
    })),
    accessLog: true,
  })
  const body = 'x'.repeat(20_000)
  const head = (index: number): string => `POST /${index} HTTP/1.1\r\nHost: h\r\nContent-Length: ${body.length}\r\n\r\n`
  await Promise.all(
    MIRRORS.map(async ([what], index) => {
      const client = await RawClient.connect(port)
      t.teardown(() => client.close())
      for (let i = 0; i < 3; i++) {
        const answer = await client.exchange(head(index) + body, 'POST')
        t.match([answer.status, answer.text, answer.header('set-cookie')], [200, 'main', undefined], what)
      }
    }),
  )
  const counts = (metrics: Metrics, index: number): number[] =>
    ['sent', 'dropped', 'failed'].map((result) =>
      metrics.sum('castor_mirrored_requests_total', `target_group="mirror-${index}"`, `result="${result}"`),
    )
  for (const [index, [what, , , becomes]] of MIRRORS.entries()) {
    if (becomes === 'waits') {
      t.same(counts(await balancer.metrics(), index), [0, 0, 0], `still under way: ${what}`)
      continue
    }
    const found = await until(`every copy being over: ${what}`, async () => {
      const seen = counts(await balancer.metrics(), index)
      return seen.reduce((sum, count) => sum + count, 0) === 3 && seen
    })
    t.same(found, becomes === 'sent' ? [3, 0, 0] : [0, 0, 3], what)
  }
  const records = await balancer.accessRecords(3 * MIRRORS.length)
  t.ok(records.every(({ status, reason }) => status === 200 && reason === null))
  const metrics = await balancer.metrics()
  t.equal(metrics.sum('castor_server_errors_total'), 0)
  t.equal(metrics.sum('castor_target_failures_total', 'target_group="main"'), 0)
})
