import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer as createPlainServer } from 'node:http'
import { createSecureServer, type Http2SecureServer } from 'node:http2'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { Server as TlsServer } from 'node:tls'
import t from 'tap'
import { FRAME } from '../../src/http/h2/frames.js'
import { END, frame, headers, SETTINGS_ACK, settings, uint32 } from '../unit/http/h2/rig.js'
import type { Test } from './support/castor.js'
import { type CheckCase, expectVerdicts } from './support/first-verdicts.js'
import { Http2Target, sayHello } from './support/http2-peers.js'
import { refusingAddress, TcpTarget } from './support/tcp-peers.js'
import { authorityFor } from './support/tls.js'

const H2C = { protocol: 'h2c', path: '/health?x=1', codes: '200-299' }

/** A target that says these frames behind its SETTINGS as soon as it has been spoken to. */
async function saying(t: Test, ...frames: readonly Uint8Array[]): Promise<string> {
  const target = await TcpTarget.start(t, (socket) => {
    socket.once('data', () => socket.write(Buffer.concat([settings(), SETTINGS_ACK, ...frames])))
  })
  return target.address
}

async function address(t: Test, server: Http2SecureServer | ReturnType<typeof createHttpsServer>): Promise<string> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => sockets.add(socket))
  server.on('tlsClientError', () => {})
  server.on('sessionError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

const status = (code: string): Uint8Array => headers(1, [[':status', code]], END)

t.test('checks by HTTP/2 without TLS, and what they call what is wrong', async (t) => {
  const asked: object[] = []
  const good = await Http2Target.start(t, (stream, fields) => {
    asked.push({ ...fields })
    sayHello(stream, fields)
  })
  const http1 = createPlainServer((_, response) => response.end('ok')).listen(0, '127.0.0.1')
  await once(http1, 'listening')
  t.teardown(() => http1.close())
  const closing = await TcpTarget.start(t, (socket) => socket.end())
  const silent = await TcpTarget.start(t, () => {})
  const endless = await TcpTarget.start(t, (socket) => {
    const interim = headers(1, [[':status', '103']])
    const many = Buffer.concat(Array.from({ length: 1_000 }, () => interim))
    const more = (): void => {
      while (!socket.destroyed && socket.write(many));
    }
    socket.once('data', () => {
      socket.write(settings())
      socket.on('drain', more)
      more()
    })
  })
  const large = 'x'.repeat(12_000)
  await expectVerdicts(t, [
    { name: 'good', address: good.address, check: { ...H2C, host: 'app.example' }, reason: null },
    {
      name: 'as-traffic',
      address: good.address,
      protocol: 'h2c',
      check: { protocol: 'http', path: '/as-traffic' },
      reason: null,
    },
    {
      name: 'interim',
      address: await saying(t, headers(1, [[':status', '103']]), status('200')),
      check: H2C,
      reason: null,
    },
    {
      name: 'code',
      address: await saying(t, status('503')),
      check: H2C,
      reason: 'HTTP_CODE_MISMATCH',
      detail: /^status 503$/,
    },
    {
      name: 'http1',
      address: `127.0.0.1:${(http1.address() as AddressInfo).port}`,
      check: H2C,
      reason: 'RESPONSE_FORMAT_ERROR',
      detail: /answers by HTTP\/1, not by HTTP\/2/,
    },
    {
      name: 'http2-asked-by-http1',
      address: good.address,
      check: { protocol: 'http' },
      reason: 'RESPONSE_FORMAT_ERROR',
      detail: /speaks HTTP\/2; write protocol: h2c/,
    },
    {
      name: 'closing',
      address: closing.address,
      check: H2C,
      reason: 'RECEIVE_RESPONSE_FAILED',
      detail: /closed before it spoke HTTP\/2|ECONNRESET/,
    },
    {
      name: 'silent',
      address: silent.address,
      check: { ...H2C, timeout: '300ms' },
      reason: 'RECEIVE_RESPONSE_TIMEOUT',
    },
    {
      name: 'refused-stream',
      address: await saying(t, frame(FRAME.RST_STREAM, 0, 1, uint32(7))),
      check: H2C,
      reason: 'RECEIVE_RESPONSE_FAILED',
      detail: /REFUSED_STREAM/,
    },
    {
      name: 'goaway',
      address: await saying(t, frame(FRAME.GOAWAY, 0, 0, uint32(0, 11))),
      check: H2C,
      reason: 'RECEIVE_RESPONSE_FAILED',
      detail: /REFUSED_STREAM|ENHANCE_YOUR_CALM/,
    },
    {
      name: 'no-status',
      address: await saying(t, headers(1, [['server', 'x']], END)),
      check: H2C,
      reason: 'RESPONSE_FORMAT_ERROR',
      detail: /RFC 9113 8\.3\.2: no :status/,
    },
    {
      name: 'data-first',
      address: await saying(t, frame(FRAME.DATA, 0, 1, Buffer.from('x'))),
      check: H2C,
      reason: 'RECEIVE_RESPONSE_FAILED',
      detail: /PROTOCOL_ERROR/,
    },
    {
      name: 'bad-frame',
      address: await saying(t, frame(FRAME.WINDOW_UPDATE, 0, 0, Buffer.alloc(3))),
      check: H2C,
      reason: 'RESPONSE_FORMAT_ERROR',
      detail: /RFC 9113/,
    },
    {
      name: 'large-head',
      address: await saying(
        t,
        headers(1, [
          [':status', '200'],
          ['a', large],
        ]),
        ...Array.from({ length: 4 }, () => frame(FRAME.CONTINUATION, 0, 1, Buffer.alloc(12_000))),
      ),
      check: H2C,
      reason: null,
    },
    {
      name: 'too-large-head',
      address: await saying(
        t,
        frame(FRAME.HEADERS, 0, 1, Buffer.alloc(16_000)),
        frame(FRAME.CONTINUATION, 0, 1, Buffer.alloc(16_000)),
        frame(FRAME.CONTINUATION, 0, 1, Buffer.alloc(16_000)),
      ),
      check: H2C,
      reason: 'RESPONSE_FORMAT_ERROR',
    },
    {
      name: 'endless',
      address: endless.address,
      check: { ...H2C, timeout: '1m' },
      reason: 'RESPONSE_FORMAT_ERROR',
      detail: /262144 bytes and no answer/,
    },
  ])
  t.match(asked[0], { ':method': 'GET', ':path': '/health?x=1', ':scheme': 'http', ':authority': 'app.example' })
  t.match(asked[1], { ':path': '/as-traffic', ':authority': good.address })
})

t.test('checks by HTTP/2 over TLS agree on it by ALPN', async (t) => {
  const authority = authorityFor(t)
  const files = authority.issue('app', { names: ['app.example'] })
  const identity = { cert: readFileSync(files.cert), key: readFileSync(files.key) }
  const h2 = createSecureServer({ ...identity, allowHTTP1: true }, (_, response) => response.end('ok'))
  const http1 = createHttpsServer(identity, (_, response) => response.end('ok'))
  const noAlpn = createHttpsServer({ ...identity, ALPNProtocols: [] }, (_, response) => response.end('ok'))
  const strict = { protocol: 'h2', host: 'app.example', verify: true }
  const group = { tls: { ca: authority.cert } }
  const good = await address(t, h2)
  await expectVerdicts(t, [
    { name: 'good', address: good, protocol: 'h2', group, check: strict, reason: null },
    { name: 'as-traffic', address: good, protocol: 'h2', check: { protocol: 'https' }, reason: null },
    {
      name: 'http1-again',
      address: good,
      protocol: 'h2',
      check: { protocol: 'https', httpVersion: '1.1' },
      reason: null,
    },
    {
      name: 'not-trusted',
      address: good,
      check: strict,
      reason: 'CONNECT_FAILED',
      detail: /SELF_SIGNED|UNABLE_TO/,
    },
    {
      name: 'another-protocol',
      address: await address(t, http1),
      check: { protocol: 'h2' },
      reason: 'CONNECT_FAILED',
      detail: /NO_APPLICATION_PROTOCOL|no h2 by ALPN/,
    },
    {
      name: 'no-ALPN',
      address: await address(t, noAlpn),
      check: { protocol: 'h2' },
      reason: 'CONNECT_FAILED',
      detail: /NO_APPLICATION_PROTOCOL|no h2 by ALPN/,
    },
  ])
})

/** A TLS server behind a PROXY header, which it wants to see ahead of the handshake. */
async function behindHeader(t: Test, server: TlsServer, header: Buffer, seen: Buffer[]): Promise<string> {
  const target = await TcpTarget.start(t, (socket) => {
    socket.once('data', (first: Buffer) => {
      seen.push(first.subarray(0, header.length))
      if (!first.subarray(0, header.length).equals(header)) {
        socket.resetAndDestroy()
        return
      }
      socket.pause()
      socket.unshift(first.subarray(header.length))
      server.emit('connection', socket)
    })
  })
  return target.address
}

t.test('checks over TLS send the PROXY header ahead of the handshake', async (t) => {
  const files = authorityFor(t).issue('app', { names: ['app.example'] })
  const identity = { cert: readFileSync(files.cert), key: readFileSync(files.key), ALPNProtocols: ['h2', 'http/1.1'] }
  const server = createSecureServer({ ...identity, allowHTTP1: true }, (_, response) => response.end('ok'))
  server.on('tlsClientError', () => {})
  server.on('sessionError', () => {})
  const nobody = await refusingAddress()
  const cases: CheckCase[] = []
  const seen: Buffer[] = []
  const headers = { v1: Buffer.from('PROXY UNKNOWN\r\n'), v2: Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex') }
  for (const proxyProtocol of ['v1', 'v2'] as const) {
    for (const protocol of ['https', 'h2']) {
      const check = { protocol, codes: '200' }
      const address = await behindHeader(t, server, headers[proxyProtocol], seen)
      const group = { protocol: 'tls', group: { proxyProtocol } }
      cases.push({ name: `${protocol}-${proxyProtocol}`, address, ...group, check, reason: null })
    }
    const check = { protocol: 'https' }
    const refused = { reason: 'CONNECT_FAILED', detail: /ECONNREFUSED/ }
    cases.push({
      name: `refused-${proxyProtocol}`,
      address: nobody,
      protocol: 'tls',
      group: { proxyProtocol },
      check,
      ...refused,
    })
  }
  // The listener's group carries requests.
  const web = { name: 'web', address: nobody, check: {}, group: { healthCheck: { protocol: 'off' } }, reason: null }
  await expectVerdicts(t, [{ ...web, health: 'unchecked' }, ...cases])
  t.same(seen, [headers.v1, headers.v1, headers.v2, headers.v2], 'and nothing else comes first')
})
