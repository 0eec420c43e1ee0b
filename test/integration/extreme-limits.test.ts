import type { ClientHttp2Session } from 'node:http2'
import t from 'tap'
import { startBalancer } from './support/balancer.js'
import { answerOf, connectTo, Http2Target, sendBack } from './support/http2-peers.js'
import { get, RawClient } from './support/raw-client.js'
import { ok, RawTarget } from './support/raw-target.js'

/** Limits at both ends of what the configuration takes: traffic that is within them passes whole. */

const HTTP2 = {
  least: { maxConcurrentStreams: 1, initialWindow: '1KiB', connectionWindow: '64KiB', headerTableSize: '0B' },
  most: { maxConcurrentStreams: 10_000, initialWindow: '16MiB', connectionWindow: '64MiB', headerTableSize: '64KiB' },
} as const
const MORE = {
  least: { maxContinuations: 0, maxOutboundQueue: '64KiB', settingsTimeout: '1s', stallTimeout: '1s' },
  most: { maxContinuations: 1_000, maxOutboundQueue: '64MiB', settingsTimeout: '10m', stallTimeout: '1h' },
} as const
const PROTECTION = {
  least: { maxHeaderBytes: '1KiB', bodyMinRate: '0B/s' },
  most: { maxHeaderBytes: '128KiB', maxHeaders: 10_000, bodyMinRate: '500B/s', headerTimeout: '1h' },
} as const
const GROUP = {
  least: { maxConnectionsPerTarget: 1, queue: { size: 1_000_000, timeout: '1h' } },
  most: {
    maxConnectionsPerTarget: 1_000_000,
    queue: { size: 1_000_000 },
    timeouts: { connect: '10m', response: '24h' },
  },
} as const

const BODY = Buffer.alloc(200_000, 'castor')

for (const end of ['least', 'most'] as const) {
  t.test(`limits at the ${end} that the check takes: bodies pass both ways, by HTTP/1.1 and HTTP/2`, async (t) => {
    const target = await Http2Target.start(t, sendBack)
    const balancer = await startBalancer(t, {
      workers: 1,
      protection: PROTECTION[end],
      listeners: [
        {
          name: 'in',
          protocol: 'http',
          listen: '127.0.0.1:0',
          targetGroup: 'out',
          http2: { ...HTTP2[end], ...MORE[end] },
          idleTimeout: end === 'least' ? '1s' : '24h',
        },
      ],
      targetGroups: [{ name: 'out', protocol: 'h2c', targets: [{ address: target.address }], ...GROUP[end] }],
    })
    const client = await RawClient.connect(balancer.port)
    t.teardown(() => client.close())
    client.send(get('/', [`Content-Length: ${BODY.length}`], 'POST'))
    client.send(BODY)
    t.ok((await client.response('POST', 10_000)).body.equals(BODY), 'HTTP/1.1')
    const session = await connectTo(t, balancer.port)
    for (let i = 0; i < 2; i++) {
      const stream = session.request({ ':method': 'POST', ':path': '/' })
      stream.end(BODY)
      t.ok((await answerOf(stream)).body.equals(BODY), 'HTTP/2')
    }
  })
}

async function statusOf(session: ClientHttp2Session, fields: object, body = ''): Promise<number> {
  const stream = session.request({ ':path': '/', ...fields }, { endStream: body === '' })
  if (body !== '') stream.end(body)
  return (await answerOf(stream)).status
}

t.test('maxHeaders: 1 is one field of the client’s, whatever HTTP/1.1 needs beside it', async (t) => {
  const target = await RawTarget.start({ answer: (_request, connection) => connection.write(ok('')) })
  t.teardown(() => target.stop())
  const balancer = await startBalancer(t, {
    workers: 1,
    protection: { maxHeaders: 1 },
    listeners: [{ name: 'in', protocol: 'http', http2: true, listen: '127.0.0.1:0', targetGroup: 'out' }],
    targetGroups: [{ name: 'out', protocol: 'http', targets: [{ address: target.address }] }],
  })
  const session = await connectTo(t, balancer.port)
  t.equal(await statusOf(session, {}), 200)
  t.equal(await statusOf(session, { 'x-one': '1' }), 200)
  t.equal(await statusOf(session, { ':method': 'POST', 'x-one': '1' }, 'a body without a length'), 200)
  t.equal(await statusOf(session, { 'x-one': '1', 'x-two': '2' }), 431)
  const client = await RawClient.connect(balancer.port)
  t.teardown(() => client.close())
  t.equal((await client.exchange(get('/'))).status, 200, 'HTTP/1.1: Host is one')
  t.equal((await client.exchange(get('/', ['X-Two: 2']))).status, 431)
})

t.test('settingsTimeout: 100ms and headerTimeout: 10ms end a silent HTTP/2 client, and half a head', async (t) => {
  const balancer = await startBalancer(t, {
    workers: 1,
    protection: { headerTimeout: '10ms' },
    listeners: [
      { name: 'in', protocol: 'http', http2: { settingsTimeout: '100ms' }, listen: '127.0.0.1:0', targetGroup: 'out' },
    ],
    targetGroups: [{ name: 'out', protocol: 'http', targets: [] }],
  })
  const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
  const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0])
  // HEADERS without END_HEADERS, and nothing behind it.
  const halfHead = Buffer.from([0, 0, 1, 1, 0, 0, 0, 0, 1, 0x82])
  for (const bytes of [preface, Buffer.concat([preface, settings, halfHead])]) {
    const client = await RawClient.connect(balancer.port)
    t.teardown(() => client.close())
    client.send(bytes)
    t.equal(await client.ending(), 'end')
  }
})
