import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { connect as connectTls } from 'node:tls'
import { promisify } from 'node:util'
import t from 'tap'
import { WebSocket } from 'ws'
import { HANDSHAKE } from '../tls-peer/record-keys.js'
import { RecordPeer } from '../tls-peer/record-peer.js'
import { toolOrSkip } from '../tools.js'
import { onePair, startBalancer } from './support/balancer.js'
import { castorBefore } from './support/castor.js'
import { ok, type Script } from './support/raw-target.js'
import { ask, authorityFor, handshake, refusedHandshake, secured } from './support/tls.js'
import { eventually, within } from './support/waiting.js'

const run = promisify(execFile)
const authority = authorityFor(t)
const shop = authority.issue('shop', { names: ['shop.example', '*.shop.example'] })
const shopRsa = authority.issue('shop-rsa', { names: ['shop.example'], type: 'rsa' })
const other = authority.issue('other', { names: ['other.example'] })
const named = (cert: { CN?: string | string[] } | undefined): unknown => cert?.CN

t.test('curl gets an answer over https and trusts what it sees', async (t) => {
  const curl = toolOrSkip(t, 'curl')
  if (curl === undefined) return
  const { port, target } = await castorBefore(t, {}, { listener: secured([shop]) })
  const url = `https://shop.example:${port}/hello`
  const args = ['-sS', '--cacert', authority.cert, '--resolve', `shop.example:${port}:127.0.0.1`, '-w', '|%{http_code}']
  const { stdout } = await run(curl, [...args, url])
  t.equal(stdout, '/hello|200')
  t.equal(target.requests[0]?.header('x-forwarded-proto'), 'https')
  t.equal(target.requests[0]?.header('x-forwarded-port'), String(port))
})

t.test('the certificate is chosen by name: exact, wildcard of one label, first', async (t) => {
  const { port } = await castorBefore(t, {}, { listener: secured([other, shop]) })
  for (const [servername, expected] of [
    ['shop.example', 'shop.example'],
    ['SHOP.example', 'shop.example'],
    ['a.shop.example', 'shop.example'],
    ['a.b.shop.example', 'other.example'],
    ['other.example', 'other.example'],
    ['unknown.example', 'other.example'],
    ['', 'other.example'],
  ] as const) {
    const socket = await handshake(port, servername === '' ? {} : { servername })
    t.equal(named(socket.getPeerCertificate().subject), expected, servername)
    socket.destroy()
  }
})

t.test('one name has a certificate of each kind, and clients get the one they can use', async (t) => {
  const { port } = await castorBefore(t, {}, { listener: secured([shop, shopRsa]) })
  const kind = async (sigalgs: string): Promise<unknown> => {
    const socket = await handshake(port, { servername: 'shop.example', sigalgs })
    const { asn1Curve } = socket.getPeerCertificate() as { asn1Curve?: string }
    socket.destroy()
    return asn1Curve === undefined ? 'RSA' : 'ECDSA'
  }
  t.equal(await kind('ecdsa_secp256r1_sha256'), 'ECDSA')
  t.equal(await kind('rsa_pss_rsae_sha256'), 'RSA')
})

t.test('policies hold', async (t) => {
  const versions = async (policy: unknown, minVersion: 'TLSv1.2' | 'TLSv1.3', maxVersion: 'TLSv1.2' | 'TLSv1.3') => {
    const { port } = await castorBefore(t, {}, { listener: secured([shop], { policy }) })
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, minVersion, maxVersion })
    const result = await within(
      'an end',
      Promise.race([
        once(socket, 'secureConnect').then(() => socket.getProtocol()),
        once(socket, 'error').then(() => 'refused'),
      ]).catch(() => 'refused'),
    )
    socket.destroy()
    return result
  }
  t.equal(await versions('intermediate', 'TLSv1.2', 'TLSv1.2'), 'TLSv1.2')
  t.equal(await versions('intermediate', 'TLSv1.2', 'TLSv1.3'), 'TLSv1.3')
  t.equal(await versions('modern', 'TLSv1.2', 'TLSv1.3'), 'TLSv1.3')
  t.equal(await versions('modern', 'TLSv1.2', 'TLSv1.2'), 'refused')
})

t.test('the policy modern serves an RSA certificate', async (t) => {
  const { port } = await castorBefore(t, {}, { listener: secured([shopRsa], { policy: 'modern' }) })
  const socket = await handshake(port, { servername: 'shop.example' })
  t.equal(socket.getProtocol(), 'TLSv1.3')
  t.equal((socket.getPeerCertificate() as { asn1Curve?: string }).asn1Curve, undefined)
  socket.destroy()
  t.match(await ask(port, { servername: 'shop.example', path: '/rsa' }), { status: 200, text: '/rsa' })
})

t.test('a client that offers http/1.0 by ALPN gets HTTP/1.0', async (t) => {
  const { port, target } = await castorBefore(t, {}, { listener: secured([shop]) })
  const socket = await handshake(port, { ALPNProtocols: ['http/1.0'] })
  t.equal(socket.alpnProtocol, 'http/1.0')
  let text = ''
  socket.on('data', (data) => (text += String(data)))
  socket.write('GET /old HTTP/1.0\r\nHost: shop.example\r\n\r\n')
  await within('the end', once(socket, 'end'))
  t.match(text, /^HTTP\/1\.1 200 /)
  t.ok(text.endsWith('\r\n\r\n/old'), text)
  t.equal(target.requests[0]?.target, '/old')
  const both = await handshake(port, { ALPNProtocols: ['http/1.0', 'http/1.1'] })
  t.equal(both.alpnProtocol, 'http/1.1', 'the newer one is preferred')
  both.destroy()
  for (const name of ['http/0.9', 'spdy/3']) {
    t.match(await refusedHandshake(port, { ALPNProtocols: [name] }), /NO_APPLICATION_PROTOCOL/, `${name} is refused`)
  }
})

t.test('a written list of protocols is what clients get, and no more', async (t) => {
  for (const [alpn, agreed, refused] of [
    [['http/1.1'], 'http/1.1', ['h2', 'http/1.0']],
    [['http/1.0'], 'http/1.0', ['h2', 'http/1.1']],
    [['http/1.0', 'h2'], 'http/1.0', ['http/1.1']],
  ] as const) {
    const { port } = await castorBefore(t, {}, { listener: secured([shop], { alpn }) })
    const socket = await handshake(port, { ALPNProtocols: ['h2', 'http/1.1', 'http/1.0'] })
    t.equal(socket.alpnProtocol, agreed, `of ${alpn}, by its own order`)
    socket.destroy()
    for (const name of refused) {
      t.match(await refusedHandshake(port, { ALPNProtocols: [name] }), /NO_APPLICATION_PROTOCOL/, `${alpn}: ${name}`)
    }
  }
})

t.test('no ticket allows early data', async (t) => {
  const { port } = await castorBefore(t, {}, { listener: secured([shop]) })
  const peer = await RecordPeer.connect(port, { version: 'TLSv1.3' })
  const tickets = (): Buffer[] => peer.opened.filter(({ type }) => type === HANDSHAKE).map(({ content }) => content)
  await eventually('tickets', () => tickets().length > 0)
  peer.close()
  for (const ticket of tickets()) t.equal(ticket.readUInt16BE(ticket.length - 2), 0, 'a ticket without extensions')
})

t.test('HSTS goes with every answer of an https listener, once', async (t) => {
  const hsts = { maxAge: 600, includeSubDomains: true }
  const script: Script = {
    answer: ({ target }, connection) =>
      connection.write(target === '/own' ? ok('x', ['Strict-Transport-Security: max-age=1']) : ok('x')),
  }
  const { port, castor, target } = await castorBefore(t, script, { listener: secured([shop], { hsts }) })
  const line = 'max-age=600; includeSubDomains'
  t.equal((await ask(port)).headers['strict-transport-security'], line)
  t.equal((await ask(port, { path: '/own' })).headers['strict-transport-security'], line, 'in place of the target’s')
  await target.stop()
  const failed = await ask(castor.port)
  t.equal(failed.status, 502)
  t.equal(failed.headers['strict-transport-security'], line, 'Castor’s own answers have it too')
  const socket = await handshake(port)
  socket.write('nonsense\r\n\r\n')
  const [bytes] = await within('a refusal', once(socket, 'data'))
  t.match(String(bytes), /^HTTP\/1\.1 400 .*\r\nstrict-transport-security: max-age=600; includeSubDomains\r\n/s)
  socket.destroy()
})

t.test('the sticky cookie is Secure over https, and the log says how the client spoke', async (t) => {
  const { port, castor } = await castorBefore(
    t,
    {},
    { listener: secured([shop]), group: { stickiness: { type: 'cookie' } }, accessLog: true },
  )
  const answer = await ask(port, { maxVersion: 'TLSv1.2' })
  t.match(answer.headers['set-cookie']?.[0], /; Secure$/)
  await ask(port)
  const [first, second] = await castor.accessRecords(2)
  t.match(first, { scheme: 'https', tls_version: 'TLSv1.2', tls_cipher: 'ECDHE-ECDSA-AES128-GCM-SHA256' })
  t.match(second, { scheme: 'https', tls_version: 'TLSv1.3', tls_cipher: /^TLS_/ })
})

t.test('large bodies go both ways unharmed, and connections are used again', async (t) => {
  const size = 3 * 1024 * 1024
  const { port, target } = await castorBefore(
    t,
    { answer: ({ body }, connection) => connection.write(ok(body.toString('latin1'))) },
    { listener: secured([shop]) },
  )
  const body = 'x0123456789abcde'.repeat(size / 16)
  const answer = await ask(port, { method: 'POST', body, headers: { 'content-length': size } })
  t.ok(answer.text === body, 'the same bytes came back')
  const socket = await handshake(port)
  for (let i = 0; i < 3; i++) {
    socket.write(`GET /${i} HTTP/1.1\r\nHost: a\r\n\r\n`)
    t.match(String((await within('an answer', once(socket, 'data')))[0]), /^HTTP\/1\.1 200/)
  }
  socket.destroy()
  t.equal(target.requests.length, 4)
})

t.test('a WebSocket runs over https', async (t) => {
  const { WebSocketServer } = await import('ws')
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  t.teardown(() => server.close())
  server.on('connection', (peer) => peer.on('message', (data) => peer.send(data)))
  const { port: targetPort } = server.address() as { port: number }
  const config = onePair('http', [`127.0.0.1:${targetPort}`], { listener: secured([shop]) })
  const { port } = await startBalancer(t, config)
  const socket = new WebSocket(`wss://127.0.0.1:${port}/chat`, { rejectUnauthorized: false })
  await within('open', once(socket, 'open'))
  socket.send('hello')
  t.equal(String((await within('an echo', once(socket, 'message')))[0]), 'hello')
  socket.close()
  await within('close', once(socket, 'close'))
})
