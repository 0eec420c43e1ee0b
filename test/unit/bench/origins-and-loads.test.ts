import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { fixedRate } from '../../../bench/load/http.js'
import type { HttpLoadOptions, LoadResult } from '../../../bench/load/load.js'
import type { PingPongOptions } from '../../../bench/load/ping-pong.js'
import { order, orderOnce } from '../../../bench/order.js'
import { LARGE_BYTES, LARGE_PATH, SINK_PATH, SMALL_BYTES, SMALL_PATH } from '../../../bench/origin/content.js'
import { type OriginKind, startOrigin } from '../../../bench/origin/origin.js'

const onLinux = process.platform === 'linux' ? {} : { skip: 'reads /proc' }
const small = { path: SMALL_PATH, bodyBytes: 0, closeEach: false }

async function origin(t: Test, kind: OriginKind): Promise<number> {
  const started = await startOrigin(kind, 'own')
  t.teardown(() => started.process.stop())
  return started.port
}

async function exchange(port: number, path: string, body?: Buffer, chunked = false): Promise<[number, number]> {
  const headers = body === undefined || chunked ? {} : { 'content-length': body.length }
  const sent = request({ port, host: '127.0.0.1', path, method: body === undefined ? 'GET' : 'POST', headers })
  if (body !== undefined && chunked) {
    for (let at = 0; at < body.length; at += 50_000) sent.write(body.subarray(at, at + 50_000))
    sent.end()
  } else {
    sent.end(body)
  }
  const [answer] = (await once(sent, 'response')) as [IncomingMessage]
  let bytes = 0
  for await (const chunk of answer) bytes += (chunk as Buffer).length
  return [answer.statusCode ?? 0, bytes]
}

t.test('the own HTTP origin serves small and large bodies and takes them', onLinux, async (t) => {
  const port = await origin(t, 'http')
  const body = Buffer.alloc(LARGE_BYTES, 'x')
  t.same(await exchange(port, SMALL_PATH), [200, SMALL_BYTES])
  t.same(await exchange(port, LARGE_PATH), [200, LARGE_BYTES])
  t.same(await exchange(port, SINK_PATH, body), [200, SMALL_BYTES])
  t.same(await exchange(port, SINK_PATH, body, true), [200, SMALL_BYTES])
})

t.test('the WebSocket origin echoes what another client sends, of every length form', onLinux, async (t) => {
  const port = await origin(t, 'websocket')
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`)
  await once(socket, 'open')
  for (const length of [0, 1, 125, 126, 65_535, 65_536, 300_000]) {
    const message = Buffer.from(Uint8Array.from({ length }, (_, index) => index % 251))
    socket.send(message)
    const [echo] = (await once(socket, 'message')) as [Buffer]
    t.ok(message.equals(echo), `${length} bytes come back as sent`)
  }
  socket.close()
  await once(socket, 'close')
})

for (const [load, bytes] of [
  ['tcp', 125],
  ['websocket', 125],
  ['websocket', 65_536],
] as const) {
  t.test(`the ${load} load of ${bytes} bytes counts round trips and finds no fault in an echo`, onLinux, async (t) => {
    const port = await origin(t, load)
    const options: PingPongOptions = { port, connections: 4, seconds: 1, bytes }
    const result = await orderOnce<PingPongOptions, LoadResult>(`load/${load}`, options, 1, 10_000)
    t.equal(result.errors, 0)
    t.ok(result.requests > 4, `${result.requests} round trips`)
    t.equal(result.latency?.samples, result.requests)
  })
}

t.test('the WebSocket load sees that what it talks to is no WebSocket server', onLinux, async (t) => {
  const port = await origin(t, 'http')
  const options: PingPongOptions = { port, connections: 1, seconds: 1, bytes: 125 }
  await t.rejects(orderOnce('load/websocket', options, 1, 10_000), { message: /unexpected answer: HTTP\/1.1 200/ })
})

t.test('the fixed rate is kept, and every request counts once', onLinux, async (t) => {
  const port = await origin(t, 'http')
  const result = await fixedRate({ port, connections: 8, seconds: 1, request: small }, 400)
  t.equal(result.errors, 0)
  t.equal(result.latency?.samples, result.requests)
  // A Poisson count of mean 400: six standard deviations either way.
  t.ok(result.requests > 280 && result.requests < 520, `${result.requests} requests`)
})

t.test('a new connection for each request ends with the server closing it', onLinux, async (t) => {
  const port = await origin(t, 'http')
  const options: HttpLoadOptions = { port, connections: 2, seconds: 1, request: { ...small, closeEach: true } }
  const result = await orderOnce<HttpLoadOptions, LoadResult>('load/connect-each', options, 1, 10_000)
  t.equal(result.errors, 0)
  t.ok(result.requests > 2, `${result.requests} connections`)
})

t.test('idle connections are opened, one request each, and held', onLinux, async (t) => {
  const port = await origin(t, 'http')
  const { process: holder, answer } = await order(
    'load/idle',
    { port, connections: 50, path: SMALL_PATH, secure: false },
    1,
    10_000,
  )
  t.same(answer, { opened: 50, errors: 0 })
  await holder.stop()
})
