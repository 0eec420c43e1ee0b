import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { connect as connectTls } from 'node:tls'
import t from 'tap'
import { onePair, startBalancer } from './support/balancer.js'
import { authorityFor, handshake, secured } from './support/tls.js'
import { within } from './support/waiting.js'

const authority = authorityFor(t)
const shop = authority.issue('shop', { names: ['shop.example'] })

t.test('a tls listener carries bytes, behind a PROXY header where one is due', async (t) => {
  const echo = createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1')
  await once(echo, 'listening')
  t.teardown(() => echo.close())
  const { port: targetPort } = echo.address() as { port: number }
  const listener = secured([shop], { alpn: ['imap'] }, { protocol: 'tls' })
  const plain = await startBalancer(t, onePair('tcp', [`127.0.0.1:${targetPort}`], { listener }), { accessLog: true })
  const socket = await handshake(plain.port, { ALPNProtocols: ['imap'] })
  t.equal(socket.alpnProtocol, 'imap')
  socket.write('bytes')
  t.equal(String((await within('an echo', once(socket, 'data')))[0]), 'bytes')
  socket.end()
  await within('the end', once(socket, 'close'))
  t.match(await plain.accessRecords(1), [{ scheme: 'tls', protocol: 'TCP', tls_version: 'TLSv1.3', request_bytes: 5 }])

  const proxied = { ...listener, acceptProxyProtocol: ['127.0.0.0/8'] }
  const behind = await startBalancer(t, onePair('tcp', [`127.0.0.1:${targetPort}`], { listener: proxied }), {
    accessLog: true,
  })
  const raw = connect(behind.port, '127.0.0.1')
  await once(raw, 'connect')
  raw.write('PROXY TCP4 192.0.2.7 192.0.2.8 1111 443\r\n')
  const inside = connectTls({ socket: raw, rejectUnauthorized: false })
  await within('the handshake', once(inside, 'secureConnect'))
  inside.resume()
  inside.end('x')
  await within('the end', once(inside, 'close'))
  t.match(await behind.accessRecords(1), [{ client_ip: '192.0.2.7', vport: 443 }])
})
