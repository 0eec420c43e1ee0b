import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect as connectTcp, createServer, type Socket } from 'node:net'
import t from 'tap'
import { webSocketAccept } from '../../src/http/h2/websocket-key.js'
import { startTestCastor } from './support/castor.js'
import { answerOf, connectTo, Http2Target } from './support/http2-peers.js'
import { until } from './support/until.js'
import { within } from './support/waiting.js'

const TOGETHER = { jobs: 4 }

t.test(
  'trailers beside a Content-Length stay with their message, though another begins while they are passed on',
  { ...TOGETHER },
  async (t) => {
    const seen: string[] = []
    const target = await Http2Target.start(t, (stream, fields) => {
      let body = ''
      let trailers = 'none'
      stream.on('data', (data: Buffer) => {
        body += String(data)
      })
      stream.on('trailers', (fields) => {
        trailers = String(fields['x-of'])
      })
      stream.on('end', () => {
        seen.push(`${fields[':path']} ${body} ${trailers}`)
        stream.respond({ ':status': 200, 'content-length': '5' }, { waitForTrailers: true })
        stream.on('wantTrailers', () => stream.sendTrailers({ 'x-of': String(fields[':path']) }))
        stream.end('hello')
      })
    })
    const castor = await startTestCastor(t, [target.address], { group: { protocol: 'h2c' } })
    // A client of HTTP/1.1, which takes no such trailers, has its next request read once the answer is out.
    const client = connectTcp(castor.port, '127.0.0.1')
    t.teardown(() => client.destroy())
    let received = ''
    client.on('data', (data) => {
      received += String(data)
    })
    const post = (path: string): string => `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc`
    client.write(post('/0'))
    await until('the first answer', () => received.split('hello').length === 2)
    client.write(post('/1') + post('/2') + post('/3'))
    await until('the other answers', () => received.split('hello').length === 5)
    t.same(seen, ['/0 abc none', '/1 abc none', '/2 abc none', '/3 abc none'])
  },
)

t.test('a stream that carried a WebSocket is not used again while its other end lives', { ...TOGETHER }, async (t) => {
  const sockets: Socket[] = []
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket)
    socket.on('error', () => {})
    socket.on('data', (data) => {
      const key = /sec-websocket-key: (\S+)/i.exec(String(data))?.[1]
      if (key !== undefined) {
        socket.write(
          `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ${webSocketAccept(key)}\r\n\r\n`,
        )
      } else if (String(data).startsWith('GET /slow')) {
        setTimeout(() => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello'), 1_800)
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const castor = await startTestCastor(t, [`127.0.0.1:${(server.address() as AddressInfo).port}`], {
    listener: { http2: true, websocketIdleTimeout: '1s' },
  })
  const session = await connectTo(t, castor.port)
  if (session.remoteSettings.enableConnectProtocol !== true) await within('settings', once(session, 'remoteSettings'))
  const stream = session.request(
    {
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':scheme': 'http',
      ':authority': 'chat.example',
      ':path': '/',
      'sec-websocket-version': '13',
    },
    { endStream: false },
  )
  stream.on('error', () => {})
  stream.resume()
  await within('a handshake', once(stream, 'response'))
  // It is idle for too long: the client ends its side at once, the server does not.
  await within('the end', once(stream, 'end'))
  stream.end()
  await within('the close', once(stream, 'close'))
  const { status, body, code } = await answerOf(session.request({ ':path': '/slow' }))
  t.same([status, String(body), code], [200, 'hello', 0])
})
