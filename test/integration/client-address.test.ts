import t from 'tap'
import { startTestCastor, type Test } from './support/castor.js'
import { connectTo, ask as http2Ask } from './support/http2-peers.js'
import { get, RawClient } from './support/raw-client.js'
import { ok, RawTarget } from './support/raw-target.js'

const TRUSTED = { listener: { trustForwardedFrom: ['127.0.0.1/32', '10.0.0.0/8'], http2: true }, accessLog: true }
const CLIENTS = Array.from({ length: 12 }, (_, i) => (i % 2 === 0 ? `203.0.113.${i}` : `2001:db8:${i}::1`))

async function namedTargets(t: Test): Promise<string[]> {
  const targets = await Promise.all(
    [0, 1, 2].map((name) => RawTarget.start({ answer: (_, connection) => connection.write(ok(`target ${name}`)) })),
  )
  for (const target of targets) t.teardown(() => target.stop())
  return targets.map(({ address }) => address)
}

for (const [name, group] of [
  ['source-ip balancing', { algorithm: 'source-ip' }],
  ['maglev by source', { algorithm: 'maglev' }],
  ['source-ip stickiness', { stickiness: { type: 'source-ip', timeout: '60s' } }],
] as const) {
  t.test(`${name} goes by whom a trusted proxy names, over HTTP/1.1 and HTTP/2`, async (t) => {
    const castor = await startTestCastor(t, await namedTargets(t), { ...TRUSTED, group })
    const proxy = await RawClient.connect(castor.port)
    t.teardown(() => proxy.close())
    const by = async (list: string): Promise<string> =>
      (await proxy.exchange(get('/', [`X-Forwarded-For: ${list}`]))).text
    const first = new Map<string, string>()
    // All on one connection, turn by turn.
    for (const client of CLIENTS) first.set(client, await by(client))
    t.ok(new Set(first.values()).size > 1, 'clients are told apart')
    const h2 = await connectTo(t, castor.port)
    for (const client of CLIENTS) {
      t.equal(await by(`198.51.100.1, ${client}, 10.0.0.3`), first.get(client), `${client} behind two proxies`)
      const { body } = await http2Ask(h2, { ':path': '/', 'x-forwarded-for': client })
      t.equal(String(body), first.get(client), `${client} by HTTP/2`)
    }
    t.equal(await by('::ffff:203.0.113.0'), first.get('203.0.113.0'), 'as IPv4 in IPv6')
    const stranger = await RawClient.connect(castor.port, '127.0.0.1', '127.0.0.2')
    t.teardown(() => stranger.close())
    const own = (await stranger.exchange(get('/', ['X-Forwarded-For: 203.0.113.0']))).text
    for (const client of CLIENTS) {
      const acquired = (await stranger.exchange(get('/', [`X-Forwarded-For: ${client}`]))).text
      t.equal(acquired, own, 'nobody else is believed')
    }
    const records = await castor.accessRecords(CLIENTS.length)
    t.same(
      records.slice(0, CLIENTS.length).map((record) => record.client_ip),
      CLIENTS,
      'and so does the log',
    )
  })
}

t.test('behind a PROXY header the client it names is believed only where that is trusted', async (t) => {
  const castor = await startTestCastor(t, await namedTargets(t), {
    accessLog: true,
    listener: { trustForwardedFrom: ['127.0.0.1/32', '10.0.0.0/8'], acceptProxyProtocol: ['127.0.0.1/32'] },
  })
  const ask = async (source: string, list: string): Promise<void> => {
    const client = await RawClient.connect(castor.port)
    const family = source.includes(':') ? 'TCP6' : 'TCP4'
    const destination = family === 'TCP6' ? '2001:db8::80' : '192.0.2.80'
    client.send(`PROXY ${family} ${source} ${destination} 4711 80\r\n`)
    await client.exchange(get('/', list === '' ? [] : [`X-Forwarded-For: ${list}`]))
    client.close()
  }
  await ask('203.0.113.7', '198.51.100.1')
  await ask('10.0.0.9', '198.51.100.1')
  await ask('::ffff:203.0.113.8', '')
  const records = await castor.accessRecords(3)
  t.same(
    records.map((record) => record.client_ip),
    ['203.0.113.7', '198.51.100.1', '203.0.113.8'],
  )
})
