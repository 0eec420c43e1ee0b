import t from 'tap'
import { onePair, startBalancer } from './support/balancer.js'
import type { Test } from './support/castor.js'
import { startChild } from './support/child-castor.js'
import { get, RawClient, request } from './support/raw-client.js'
import { RawTarget } from './support/raw-target.js'
import { ask, authorityFor, handshake, secured } from './support/tls.js'
import { until } from './support/until.js'

const MOST = 24
const authority = authorityFor(t)
const shop = authority.issue('shop', { names: ['shop.example'] })

async function echoAddress(t: Test): Promise<string> {
  const target = await RawTarget.start()
  t.teardown(() => target.stop())
  return target.address
}

interface Case {
  readonly what: string
  readonly protocol: 'http' | 'tcp'
  readonly listener?: object
  /** A connection that says nothing more. */
  silent(port: number): Promise<unknown>
  served(port: number): Promise<number>
}

const plain = (port: number): Promise<unknown> => RawClient.connect(port)
const overHttp = async (port: number): Promise<number> => (await request(port, get('/'))).status
const overTls = async (port: number): Promise<number> => (await ask(port)).status

const CASES: readonly Case[] = [
  { what: 'http', protocol: 'http', silent: plain, served: overHttp },
  { what: 'http that may be HTTP/2', protocol: 'http', listener: { http2: true }, silent: plain, served: overHttp },
  { what: 'tcp', protocol: 'tcp', silent: plain, served: overHttp },
  { what: 'https before the handshake', protocol: 'http', listener: secured([shop]), silent: plain, served: overTls },
  {
    what: 'https after the handshake',
    protocol: 'http',
    listener: secured([shop]),
    silent: handshake,
    served: overTls,
  },
  {
    what: 'a PROXY header awaited',
    protocol: 'http',
    listener: { acceptProxyProtocol: ['127.0.0.1/32'] },
    silent: plain,
    served: async (port) => (await request(port, `PROXY UNKNOWN\r\n${get('/')}`)).status,
  },
]

for (const { what, protocol, listener, silent, served } of CASES) {
  t.test(`silent connections make way when the limit is near: ${what}`, async (t) => {
    const balancer = await startBalancer(t, {
      ...onePair(protocol, [await echoAddress(t)], { workers: 2, ...(listener && { listener }) }),
      protection: { maxConnections: MOST, firstByteTimeout: '1h', headerTimeout: '1h' },
    })
    const { port } = balancer
    const open = async (): Promise<number> => (await balancer.metrics()).sum('castor_connections_active')
    // More than are let in; the rest waits in the kernel, before the client that has something to say.
    const held = Array.from({ length: MOST + 6 }, () => silent(port).catch(() => {}))
    await until('as many as are let in', async () => (await open()) >= MOST - 2)
    t.equal(await served(port), 200)
    t.ok((await open()) <= MOST)
    t.ok((await balancer.metrics()).sum('castor_client_errors_total', 'reason="SHED_SILENT"') > 0)
    t.notOk(balancer.log.some((line) => line.includes('"level":"error"')))
    void Promise.all(held)
  })
}

t.test('those that have spoken stay, however long ago', async (t) => {
  const balancer = await startBalancer(t, {
    ...onePair('http', [await echoAddress(t)], { workers: 2 }),
    protection: { maxConnections: MOST, firstByteTimeout: '1h' },
  })
  const speakers = await Promise.all(Array.from({ length: MOST / 2 }, () => RawClient.connect(balancer.port)))
  for (const speaker of speakers) await speaker.exchange(get('/'))
  for (let i = 0; i < MOST; i++) void RawClient.connect(balancer.port).catch(() => {})
  const shed = async (): Promise<number> =>
    (await balancer.metrics()).sum('castor_client_errors_total', 'reason="SHED_SILENT"')
  await until('silent ones to go', async () => (await shed()) >= MOST / 4)
  for (const speaker of speakers) t.equal((await speaker.exchange(get('/again'))).status, 200)
})

t.test('without the addon silent connections make way at the limit', async (t) => {
  const config = {
    ...onePair('http', [await echoAddress(t)]),
    protection: { maxConnections: MOST, firstByteTimeout: '1h' },
  }
  const castor = await startChild(t, config, { env: { CASTOR_NATIVE: 'off' } })
  for (let i = 0; i < MOST; i++) void RawClient.connect(castor.port()).catch(() => {})
  await until('all of them', async () => (await castor.metrics()).sum('castor_connections_active') === MOST)
  await until('an answer', async () => (await overHttp(castor.port())) === 200)
})

t.test('a client that says nothing at all is closed after firstByteTimeout, without a word', async (t) => {
  const target = await echoAddress(t)
  const balancer = await startBalancer(t, {
    workers: 1,
    protection: { firstByteTimeout: '300ms' },
    listeners: [
      { name: 'http', protocol: 'http', listen: '127.0.0.1:0', targetGroup: 'web' },
      { name: 'https', ...secured([shop]), listen: '127.0.0.1:0', targetGroup: 'web' },
      { name: 'tcp', protocol: 'tcp', listen: '127.0.0.1:0', targetGroup: 'bytes' },
    ],
    targetGroups: [
      { name: 'web', protocol: 'http', targets: [{ address: target }] },
      { name: 'bytes', protocol: 'tcp', targets: [{ address: target }] },
    ],
  })
  const quietByTcp = await RawClient.connect(balancer.portOf('tcp'))
  const spoken = await RawClient.connect(balancer.portOf('http'))
  await spoken.exchange(get('/'))
  const quiet = await RawClient.connect(balancer.portOf('http'))
  t.equal(await quiet.ending(), 'end')
  t.equal(quiet.reader.total, 0)
  const secure = await handshake(balancer.portOf('https'))
  await until('the end after the handshake', () => secure.readableEnded || secure.destroyed || !secure.readable)
  t.equal((await spoken.exchange(get('/'))).status, 200, 'one that has spoken is idle, and may be')
  t.equal((await quietByTcp.exchange(get('/'))).status, 200, 'by tcp the target might have spoken first')
})
