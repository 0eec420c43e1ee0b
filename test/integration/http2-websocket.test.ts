import { once } from 'node:events'
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2'
import t from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import { startTestCastor, type Test } from './support/castor.js'
import { answerOf, connectTo, Http2Target, NGHTTP2_CANCEL } from './support/http2-peers.js'
import { RawTarget } from './support/raw-target.js'
import { authorityFor, secured } from './support/tls.js'
import { within } from './support/waiting.js'

/** A masked text frame of less than 126 bytes, its mask all zeros (RFC 6455 5.2). */
const frame = (text: string): Buffer =>
  Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)])

async function echoServer(t: Test): Promise<{ address: string; server: WebSocketServer }> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', handleProtocols: () => 'chat' })
  await once(server, 'listening')
  server.on('connection', (socket, request) => {
    socket.on('error', () => {})
    socket.on('message', (data) => socket.send(`${request.url} ${String(data)}`))
  })
  t.teardown(() => {
    for (const socket of server.clients) socket.terminate()
    server.close()
  })
  return { address: `127.0.0.1:${(server.address() as { port: number }).port}`, server }
}

async function settingsOf(session: ClientHttp2Session): Promise<void> {
  if (session.remoteSettings.enableConnectProtocol !== true) await within('settings', once(session, 'remoteSettings'))
}

function extendedConnect(session: ClientHttp2Session, path: string): ClientHttp2Stream {
  const headers = {
    ':method': 'CONNECT',
    ':protocol': 'websocket',
    ':scheme': 'http',
    ':authority': 'chat.example',
    ':path': path,
    'sec-websocket-version': '13',
    'sec-websocket-protocol': 'chat',
  }
  return session.request(headers, { endStream: false })
}

async function bytesOf(stream: ClientHttp2Stream, length: number): Promise<Buffer> {
  let bytes = Buffer.alloc(0)
  while (bytes.length < length) {
    const [data] = (await within('bytes', once(stream, 'data'))) as [Buffer]
    bytes = Buffer.concat([bytes, data])
  }
  return bytes
}

t.test('a WebSocket over a stream (RFC 8441) reaches a server of HTTP/1.1', async (t) => {
  const { address, server } = await echoServer(t)
  const castor = await startTestCastor(t, [address], { listener: { http2: true }, accessLog: true })
  const session = await connectTo(t, castor.port)
  await settingsOf(session)
  const stream = extendedConnect(session, '/chat')
  const [headers] = await within('an answer', once(stream, 'response'))
  t.equal(headers[':status'], 200)
  t.equal(headers['sec-websocket-protocol'], 'chat')
  t.notOk('sec-websocket-accept' in headers)
  t.notOk('upgrade' in headers)
  for (const text of ['one', 'two']) {
    stream.write(frame(text))
    const bytes = await bytesOf(stream, 2 + 6 + text.length)
    t.equal(bytes.subarray(2).toString(), `/chat ${text}`)
  }
  // Another stream of the connection goes on beside it.
  const second = extendedConnect(session, '/b')
  await within('a second answer', once(second, 'response'))
  t.equal(server.clients.size, 2)
  const closed = once([...server.clients][0]!, 'close')
  stream.close(NGHTTP2_CANCEL)
  await within('the server hears of the end', closed)
  second.write(frame('x'))
  t.equal((await bytesOf(second, 6)).subarray(2).toString(), '/b x')
  const [record] = await castor.accessRecords(1)
  t.match(record, { protocol: 'HTTP/2.0', method: 'GET', status: 101, uri: '/chat' })
})

t.test('a WebSocket over a stream (RFC 8441) runs through TLS', async (t) => {
  const { address } = await echoServer(t)
  const front = authorityFor(t).issue('front')
  const castor = await startTestCastor(t, [address], { listener: secured([front]), accessLog: true })
  const session = connect(`https://127.0.0.1:${castor.port}`, { rejectUnauthorized: false })
  session.on('error', () => {})
  t.teardown(() => session.destroy())
  await settingsOf(session)
  const stream = extendedConnect(session, '/secret')
  const [headers] = await within('an answer', once(stream, 'response'))
  t.equal(headers[':status'], 200)
  stream.write(frame('hush'))
  t.equal((await bytesOf(stream, 14)).subarray(2).toString(), '/secret hush')
  stream.close(NGHTTP2_CANCEL)
  const [record] = await castor.accessRecords(1)
  t.match(record, { protocol: 'HTTP/2.0', scheme: 'https', status: 101, uri: '/secret' })
})

t.test('both sides of a WebSocket end in order', async (t) => {
  const { address, server } = await echoServer(t)
  const castor = await startTestCastor(t, [address], { listener: { http2: true } })
  const session = await connectTo(t, castor.port)
  await settingsOf(session)
  const stream = extendedConnect(session, '/')
  await within('an answer', once(stream, 'response'))
  const ended = answerOf(stream)
  for (const socket of server.clients) socket.close(1000)
  await bytesOf(stream, 4)
  stream.end(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]))
  t.equal((await ended).code, 0)
})

t.test('a handshake that is refused is an answer like others', async (t) => {
  const CASES: readonly (readonly [what: string, answer: string, status: number])[] = [
    ['403', 'HTTP/1.1 403 Forbidden\r\ncontent-length: 4\r\n\r\nnope', 403],
    ['a 200 that switches nothing', 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnope', 502],
    [
      'a 101 to another key',
      'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: x\r\n\r\n',
      502,
    ],
  ]
  for (const [what, answer, status] of CASES) {
    const target = await RawTarget.start({ answer: (_, connection) => void connection.write(answer) })
    t.teardown(() => target.stop())
    const castor = await startTestCastor(t, [target.address], { listener: { http2: true } })
    const session = await connectTo(t, castor.port)
    await settingsOf(session)
    const stream = extendedConnect(session, '/')
    const [headers] = await within(what, once(stream, 'response'))
    t.equal(headers[':status'], status, what)
    stream.close()
  }
})

t.test('another protocol than websocket is not implemented', async (t) => {
  const { address } = await echoServer(t)
  const castor = await startTestCastor(t, [address], { listener: { http2: true } })
  const session = await connectTo(t, castor.port)
  await settingsOf(session)
  const stream = session.request(
    { ':method': 'CONNECT', ':protocol': 'connect-udp', ':scheme': 'http', ':authority': 'a', ':path': '/' },
    { endStream: false },
  )
  const [headers] = await within('an answer', once(stream, 'response'))
  t.equal(headers[':status'], 501)
  stream.close()
})

t.test('a WebSocket of HTTP/1.1 reaches a target of HTTP/2 as an extended CONNECT', async (t) => {
  const target = await Http2Target.start(t, (stream, headers) => {
    if (headers[':protocol'] !== 'websocket') {
      stream.respond({ ':status': 426 }, { endStream: true })
      return
    }
    stream.respond({ ':status': 200, 'sec-websocket-protocol': 'chat' })
    // A text frame "hi", then whatever comes is thrown away until the client closes.
    stream.write(Buffer.from([0x81, 2, 0x68, 0x69]))
    stream.on('end', () => stream.end())
    stream.resume()
  })
  const castor = await startTestCastor(t, [target.address], { group: { protocol: 'h2c' } })
  const socket = new WebSocket(`ws://127.0.0.1:${castor.port}/chat`, 'chat')
  t.teardown(() => socket.terminate())
  const [data] = await within('a message', once(socket, 'message'))
  t.equal(String(data), 'hi')
  t.equal(socket.protocol, 'chat')
  socket.terminate()
})

t.test('a target of HTTP/2 that takes no extended CONNECT is asked by a plain GET', async (t) => {
  const target = await Http2Target.start(
    t,
    (stream, headers) => {
      stream.respond({ ':status': headers[':method'] === 'GET' ? 426 : 500 }, { endStream: true })
    },
    { enableConnectProtocol: false },
  )
  const castor = await startTestCastor(t, [target.address], { group: { protocol: 'h2c' } })
  const socket = new WebSocket(`ws://127.0.0.1:${castor.port}/`)
  socket.on('error', () => {})
  const [, response] = await within('an answer', once(socket, 'unexpected-response'))
  t.equal(response.statusCode, 426)
  socket.terminate()
})
