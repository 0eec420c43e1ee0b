import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import type { SecureVersion } from 'node:tls'
import t from 'tap'
import { FRAME } from '../../src/http/h2/frames.js'
import { ALERT, APPLICATION_DATA, HANDSHAKE, type RecordKeys } from '../tls-peer/record-keys.js'
import { type PeerOptions, RecordPeer } from '../tls-peer/record-peer.js'
import { frame, PREFACE, settings } from '../unit/http/h2/rig.js'
import { onePair } from './support/balancer.js'
import type { Test } from './support/castor.js'
import { type ChildCastor, startChild } from './support/child-castor.js'
import { get, RawClient, request } from './support/raw-client.js'
import { ok, RawTarget } from './support/raw-target.js'
import { authorityFor, secured } from './support/tls.js'
import { eventually, within } from './support/waiting.js'

const authority = authorityFor(t)
const front = authority.issue('front', { names: ['localhost'] })
const back = authority.issue('back', { names: ['127.0.0.1'] })
const credentials = { cert: readFileSync(back.cert), key: readFileSync(back.key) }

const VERSIONS: readonly SecureVersion[] = ['TLSv1.3', 'TLSv1.2']
const WITHOUT_ADDON = { env: { CASTOR_NATIVE: 'off' } }

/** Records that end the other side's reading in one way or another while it has data to work on. */
const ENDINGS: Readonly<Record<string, (keys: RecordKeys, data: Buffer) => Buffer[]>> = {
  'a fatal alert behind a record': (keys, data) => [
    keys.seal(APPLICATION_DATA, data),
    keys.seal(ALERT, Buffer.of(2, 40)),
  ],
  'part of a KeyUpdate, close_notify and a record': (keys, data) => [
    keys.seal(HANDSHAKE, Buffer.of(24, 0)),
    keys.seal(ALERT, Buffer.of(1, 0)),
    keys.seal(APPLICATION_DATA, data),
  ],
  'a record, part of a KeyUpdate and close_notify': (keys, data) => [
    keys.seal(APPLICATION_DATA, data),
    keys.seal(HANDSHAKE, Buffer.of(24, 0, 0, 1)),
    keys.seal(ALERT, Buffer.of(1, 0)),
  ],
  'a record and part of a KeyUpdate, then nothing': (keys, data) => [
    keys.seal(APPLICATION_DATA, data),
    keys.seal(HANDSHAKE, Buffer.of(24, 0, 0, 1)),
  ],
  'a record and close_notify, then another record': (keys, data) => [
    keys.seal(APPLICATION_DATA, data),
    keys.seal(ALERT, Buffer.of(1, 0)),
    keys.seal(APPLICATION_DATA, data),
  ],
  'a record and one that cannot be opened': (keys, data) => {
    const good = keys.seal(APPLICATION_DATA, data)
    const bad = keys.seal(APPLICATION_DATA, data)
    bad[bad.length - 1]! ^= 1
    return [good, bad]
  },
  'a record and half a record': (keys, data) => [
    keys.seal(APPLICATION_DATA, data),
    keys.seal(APPLICATION_DATA, data).subarray(0, 11),
  ],
}

/** Data that is answered at once: by a refusal, or by frames. */
const HTTP1 = Buffer.from('x\r\n\r\n')
const HTTP2 = Buffer.concat([PREFACE, settings(), frame(FRAME.PING, 0, 0, Buffer.alloc(8)), settings([2, 7])])

async function stillServes(t: Test & { pass(what: string): unknown }, castor: ChildCastor, what: string) {
  const answer = await request(castor.port('plain'), get('/'))
  if (answer.status !== 200) throw new Error(`${what}: ${answer.status}`)
  t.pass(what)
}

/** Without the addon, the records are Node's business: one version shows that the rest is right. */
const WAYS = [
  ['with the addon', {}, VERSIONS],
  ['without the addon', WITHOUT_ADDON, VERSIONS.slice(0, 1)],
] as const

for (const [how, options, versions] of WAYS) {
  t.test(`a client whose records end in disorder stops nobody else (${how})`, async (t) => {
    const target = await RawTarget.start()
    t.teardown(() => target.stop())
    const config = onePair('http', [target.address], { listener: secured([front]) })
    const listeners = config.listeners as readonly object[]
    const plain = { name: 'plain', protocol: 'http', listen: '127.0.0.1:0', targetGroup: 'out' }
    const castor = await startChild(t, { ...config, listeners: [...listeners, plain] }, options)
    for (const version of versions) {
      for (const [name, records] of Object.entries(ENDINGS)) {
        for (const [alpn, data] of [
          ['http/1.1', HTTP1],
          ['h2', HTTP2],
        ] as const) {
          const peer = await RecordPeer.connect(castor.port(), { version, alpn: [alpn] })
          t.teardown(() => peer.close())
          peer.send(...records(peer.keys, data))
          await stillServes(t, castor, `${version} ${alpn}: ${name}`)
          peer.close()
        }
      }
    }
    castor.child.kill('SIGTERM')
    t.equal(await castor.ended(), 0, 'and it stops when it is told to')
  })
}

/** A target that hands each connection, after its handshake, to `serve`. */
async function hostileTarget(
  t: Test,
  options: () => PeerOptions,
  serve: (peer: RecordPeer) => void,
): Promise<{ address: string }> {
  const server = createServer((socket) => {
    t.teardown(() => socket.destroy())
    void RecordPeer.accept(socket, credentials, options()).then(serve)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}` }
}

/** More than the kernel takes for a client that does not read. */
const TUNNEL_BYTES = 3_000_000

for (const [how, options, versions] of WAYS) {
  t.test(`a target whose records end in disorder stops nobody else (${how})`, async (t) => {
    let version = versions[0]!
    let records = ENDINGS['a record and half a record']!
    const answer = Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
    // The request that waits for a place goes out on the connection within the same turn.
    const http1 = await hostileTarget(
      t,
      () => ({ version, alpn: ['http/1.1'] }),
      (peer) => {
        peer.onOpened = () => {
          if (!peer.data.includes('\r\n\r\n')) return
          peer.onOpened = () => {}
          peer.send(...records(peer.keys, answer))
        }
        peer.onOpened()
      },
    )
    // SETTINGS and PING are answered at once.
    const h2 = await hostileTarget(
      t,
      () => ({ version, alpn: ['h2'] }),
      (peer) => peer.send(...records(peer.keys, HTTP2.subarray(PREFACE.length))),
    )
    const tunnels: RecordPeer[] = []
    const tls = await hostileTarget(
      t,
      () => ({ version }),
      (peer) => tunnels.push(peer),
    )
    const well = await RawTarget.start({ answer: (_, connection) => void connection.write(ok('well')) })
    t.teardown(() => well.stop())
    const secure = { tls: { ca: authority.cert }, healthCheck: { protocol: 'off' }, outlierDetection: 'off' }
    const queued = { maxConnectionsPerTarget: 1, queue: { size: 100, timeout: '20s' } }
    const groups = [
      { name: 'http1', protocol: 'https', targets: [http1], ...secure, ...queued },
      { name: 'h2', protocol: 'h2', targets: [h2], ...secure },
      { name: 'tunnel', protocol: 'tls', targets: [tls], ...secure },
      { name: 'plain', protocol: 'http', targets: [{ address: well.address }] },
    ]
    const listeners = groups.map(({ name, protocol }) => ({
      name,
      protocol: protocol === 'tls' ? 'tcp' : 'http',
      listen: '127.0.0.1:0',
      targetGroup: name,
    }))
    const castor = await startChild(t, { workers: 1, listeners, targetGroups: groups }, options)

    for (version of versions) {
      for (const [name, ending] of Object.entries(ENDINGS)) {
        records = ending
        const clients: RawClient[] = []
        for (const listener of ['http1', 'h2']) {
          for (let i = 0; i < 3; i++) {
            const client = await RawClient.connect(castor.port(listener))
            t.teardown(() => client.close())
            clients.push(client)
            client.send(get('/'))
          }
          await stillServes(t, castor, `${version} ${listener}: ${name}`)
        }
        const [client] = clients
        const answered = client!.response('GET', 60_000).catch(() => {})
        await within('an answer, or the end', Promise.race([answered, client!.ending(60_000)]))
        // Its reader does not read, so that the last of it was looked at and not acted on when the client's data comes.
        const reader = await RawClient.connect(castor.port('tunnel'))
        t.teardown(() => reader.close())
        reader.socket.pause()
        const count = tunnels.length
        await eventually('a tunnel', () => tunnels.length > count)
        const peer = tunnels.at(-1)!
        for (let sent = 0; sent < TUNNEL_BYTES; sent += 16_000) {
          peer.send(peer.keys.seal(APPLICATION_DATA, Buffer.alloc(16_000)))
        }
        peer.send(...records(peer.keys, Buffer.alloc(1_000)))
        reader.send(Buffer.alloc(100_000))
        await stillServes(t, castor, `${version} in a tunnel: ${name}`)
        reader.send(Buffer.alloc(100_000))
        reader.socket.resume()
        await stillServes(t, castor, `${version} in a tunnel that is read: ${name}`)
        for (const each of [...clients, reader]) each.reset()
        peer.close()
      }
    }
    castor.child.kill('SIGTERM')
    t.equal(await castor.ended(), 0, 'and it stops when it is told to')
  })
}
