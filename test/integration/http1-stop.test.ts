import { once } from 'node:events'
import t from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import { castorBefore, startTestCastor } from './support/castor.js'
import { get, RawClient } from './support/raw-client.js'
import { answer, ok, type TargetConnection } from './support/raw-target.js'
import { eventually, timed } from './support/waiting.js'

/** Resolves once nobody takes connections there any more. */
async function refused(port: number): Promise<void> {
  await eventually('new connections are refused', async () => {
    try {
      const client = await RawClient.connect(port)
      client.close()
      return false
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'ECONNREFUSED'
    }
  })
}

t.test('a stop lets requests in flight finish, closes idle connections at once and takes no new ones', async (t) => {
  const held: TargetConnection[] = []
  let heads = 0
  const { castor, target, port } = await castorBefore(
    t,
    {
      onHead: () => {
        heads++
      },
      answer: (request, connection) => {
        if (request.target === '/idle') connection.write(ok())
        else held.push(connection)
        if (request.target === '/streaming') connection.write(answer('200 OK', ['Content-Length: 10'], 'first'))
      },
    },
    { shutdownTimeout: '20s', workers: 2 },
  )
  const idle = await RawClient.connect(port)
  await idle.exchange(get('/idle'))
  const fresh = await RawClient.connect(port)
  const waiting = await RawClient.connect(port)
  waiting.send(get('/waiting'))
  const streaming = await RawClient.connect(port)
  streaming.send(get('/streaming'))
  const half = await RawClient.connect(port)
  half.send('GET /half HTTP/1.1\r\n')
  const uploading = await RawClient.connect(port)
  uploading.send(`${get('/upload', ['Content-Length: 10'], 'POST')}first`)
  await eventually('all are at the target, one half', () => heads === 4 && target.requests.length === 3)

  const stopping = timed(castor.running.stop())
  const idleEnd = await timed(Promise.all([idle.ending(), fresh.ending()]))
  t.ok(idleEnd.ms < 1_000, `idle ones closed after ${Math.round(idleEnd.ms)} ms`)
  await refused(port)

  for (const connection of held)
    connection.write(connection.requests.at(-1)!.target === '/streaming' ? 'other' : ok('done'))
  const waited = await waiting.response()
  t.equal(waited.text, 'done')
  t.equal(waited.header('connection'), 'close', 'the client is told that it was the last')
  t.equal(await waiting.ending(), 'end')

  const streamed = await streaming.response()
  t.equal(streamed.text, 'firstother')
  t.equal(await streaming.ending(), 'end', 'one whose head went out before is closed all the same')

  uploading.send('other')
  await target.received(4)
  held.at(-1)!.write(ok('uploaded'))
  t.equal((await uploading.response('POST')).text, 'uploaded', 'a request that had begun is finished')

  half.send('Host: test\r\n\r\n')
  await target.received(5)
  held.at(-1)!.write(ok('half'))
  const finished = await half.response()
  t.match([finished.text, finished.header('connection')], ['half', 'close'], 'so is one whose head had begun')

  const { ms } = await stopping
  t.ok(ms < 5_000, `stopped after ${Math.round(ms)} ms, long before shutdownTimeout`)
  for (const { ended } of target.connections) t.ok(ended, 'no connection to the target is left')
})

t.test('what is not finished after shutdownTimeout is cut', async (t) => {
  const { castor, target, port } = await castorBefore(
    t,
    { answer: () => {} },
    { shutdownTimeout: '500ms', accessLog: true },
  )
  const client = await RawClient.connect(port)
  client.send(get())
  await target.received(1)
  const { ms } = await timed(castor.running.stop())
  t.ok(ms > 450 && ms < 3_000, `stopped after ${Math.round(ms)} ms`)
  const response = await client.response()
  t.equal(response.status, 503, 'whoever still waits is told')
  t.equal(response.header('connection'), 'close')
  await target.connections[0]!.ending()
  t.match(await castor.accessRecords(1), [{ status: 503, reason: 'SHUTTING_DOWN' }])
})

t.test('a WebSocket lives until shutdownTimeout', async (t) => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of server.clients) socket.terminate()
    server.close()
  })
  server.on('connection', (socket) => socket.on('message', (data) => socket.send(data)))
  const { port: targetPort } = server.address() as { port: number }
  const castor = await startTestCastor(t, [`127.0.0.1:${targetPort}`], { shutdownTimeout: '1s', accessLog: true })
  const socket = new WebSocket(`ws://127.0.0.1:${castor.port}/`)
  socket.on('error', () => {})
  await once(socket, 'open')
  const stopping = timed(castor.running.stop())
  await refused(castor.port)
  socket.send('still here')
  t.equal(String((await once(socket, 'message'))[0]), 'still here')
  await once(socket, 'close')
  const { ms } = await stopping
  t.ok(ms > 900 && ms < 4_000, `stopped after ${Math.round(ms)} ms`)
  t.match(await castor.accessRecords(1), [{ status: 101, reason: 'SHUTTING_DOWN' }])
})

t.test('a stop with nothing to finish is quick, and a second stop is the same one', async (t) => {
  const { castor } = await castorBefore(t, {}, { shutdownTimeout: '20s', workers: 2 })
  const { ms } = await timed(Promise.all([castor.running.stop(), castor.running.stop()]))
  t.ok(ms < 2_000, `${Math.round(ms)} ms`)
  await castor.running.finished
})
