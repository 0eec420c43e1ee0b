import { once } from 'node:events'
import type { Socket } from 'node:net'
import t from 'tap'
import { PROXY_V2_MAX_BYTES } from '../../src/net/proxy-protocol.js'
import { ProxyProtocolReader } from '../../src/net/proxy-protocol-reader.js'
import { writeProxyV2 } from '../../src/net/proxy-protocol-writer.js'
import { type Balancer, type BalancerOptions, startBalancer } from './support/balancer.js'
import type { Test } from './support/castor.js'
import { ok, RawTarget } from './support/raw-target.js'
import { dial, echo, endingOf, readAll, TcpTarget } from './support/tcp-peers.js'
import { until } from './support/until.js'

/** The proxy in front connects from here. */
const FRONT = '127.0.0.2'
const V1 = 'PROXY TCP4 192.0.2.7 198.51.100.9 40001 443\r\n'
const V1_IPV6 = 'PROXY TCP6 2001:db8::7 2001:db8::9 40001 443\r\n'

function v2(): Buffer {
  const bytes = Buffer.alloc(PROXY_V2_MAX_BYTES)
  const end = writeProxyV2(
    bytes,
    0,
    { family: 4, address: '192.0.2.7', port: 40_001 },
    { family: 4, address: '198.51.100.9', port: 443 },
    { uniqueId: Buffer.from('abc'), checksum: true },
  )
  return bytes.subarray(0, end)
}

const V2_LOCAL = Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex')

/** An http listener whose target says what it was told of the client, and a tcp listener whose target echoes. */
async function start(t: Test, options: BalancerOptions & { readonly proxyProtocol?: string } = {}): Promise<Balancer> {
  const web = await RawTarget.start({
    answer: (request, connection) => {
      const told = ['x-forwarded-for', 'x-forwarded-port'].map((name) => request.header(name))
      connection.write(ok([...told, request.text].join(' ')))
    },
  })
  t.teardown(() => web.stop())
  const raw = await TcpTarget.start(t, echo)
  return startBalancer(
    t,
    {
      workers: 1,
      protection: { headerTimeout: '300ms' },
      listeners: [
        {
          name: 'web',
          protocol: 'http',
          listen: '127.0.0.1:0',
          targetGroup: 'web',
          acceptProxyProtocol: [`${FRONT}/32`],
        },
        {
          name: 'raw',
          protocol: 'tcp',
          listen: '127.0.0.1:0',
          targetGroup: 'raw',
          acceptProxyProtocol: [`${FRONT}/32`],
        },
      ],
      targetGroups: [
        { name: 'web', protocol: 'http', targets: [{ address: web.address }] },
        {
          name: 'raw',
          protocol: 'tcp',
          targets: [{ address: raw.address }],
          proxyProtocol: options.proxyProtocol ?? 'off',
        },
      ],
    },
    options,
  )
}

const GET = 'GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n'

/** Sends the pieces, each in a packet of its own, and gives the body of the answer. */
async function ask(castor: Balancer, pieces: readonly (string | Buffer)[]): Promise<string> {
  const client = await dial(castor.portOf('web'), { localAddress: FRONT })
  const answer = readAll(client)
  await sendApart(client, pieces)
  const text = String(await answer)
  client.destroy()
  t.match(text, /^HTTP\/1\.1 200 /)
  return text.slice(text.indexOf('\r\n\r\n') + 4)
}

async function sendApart(socket: Socket, pieces: readonly (string | Buffer)[]): Promise<void> {
  for (const piece of pieces) {
    await new Promise((resolve) => socket.write(piece, resolve))
    await new Promise((resolve) => setImmediate(resolve))
  }
}

t.test('an http target is told of the client that the header names', async (t) => {
  const castor = await start(t, { accessLog: true })
  const cases: { name: string; pieces: (string | Buffer)[]; told: string }[] = [
    { name: 'version 1', pieces: [V1, GET], told: '192.0.2.7 443 ' },
    { name: 'version 1, IPv6', pieces: [V1_IPV6, GET], told: '2001:db8::7 443 ' },
    { name: 'version 2', pieces: [v2(), GET], told: '192.0.2.7 443 ' },
    { name: 'the request right behind the header', pieces: [V1 + GET], told: '192.0.2.7 443 ' },
    { name: 'the same in version 2', pieces: [Buffer.concat([v2(), Buffer.from(GET)])], told: '192.0.2.7 443 ' },
    { name: 'byte by byte', pieces: [...(V1 + GET)], told: '192.0.2.7 443 ' },
    {
      name: 'version 2 byte by byte',
      pieces: [...v2()].map((byte) => Buffer.of(byte)).concat(Buffer.from(GET)),
      told: '192.0.2.7 443 ',
    },
    {
      name: 'who says UNKNOWN is the client itself',
      pieces: [`PROXY UNKNOWN\r\n${GET}`],
      told: `${FRONT} ${castor.portOf('web')} `,
    },
    { name: 'so is who says LOCAL', pieces: [V2_LOCAL, GET], told: `${FRONT} ${castor.portOf('web')} ` },
  ]
  for (const { name, pieces, told } of cases) t.equal(await ask(castor, pieces), told, name)
  const records = await castor.accessRecords(cases.length)
  t.match(records[0], { client_ip: '192.0.2.7', client_port: 40_001, vip: '198.51.100.9', vport: 443 })
})

t.test('a body that begins right behind header and head is not lost', async (t) => {
  const castor = await start(t)
  const post = 'POST / HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: 10\r\n\r\n'
  t.equal(await ask(castor, [`${V1}${post}01234`, '56789']), '192.0.2.7 443 0123456789')
})

t.test('bytes right behind the header of a tcp connection are not lost', async (t) => {
  const castor = await start(t)
  for (const pieces of [
    [`${V1}hello`],
    [V1, 'hello'],
    [Buffer.concat([v2(), Buffer.from('hello')])],
    [...`${V1}hello`],
  ]) {
    const client = await dial(castor.portOf('raw'), { localAddress: FRONT })
    const answer = readAll(client)
    await sendApart(client, pieces)
    client.end()
    t.equal(String(await answer), 'hello')
  }
})

for (const version of ['v1', 'v2']) {
  t.test(`a tcp target is told of the client that the header names, by PROXY ${version}`, async (t) => {
    const castor = await start(t, { proxyProtocol: version })
    const client = await dial(castor.portOf('raw'), { localAddress: FRONT })
    const answer = readAll(client)
    client.end(`${V1}hello`)
    const all = await answer
    const reader = new ProxyProtocolReader()
    reader.feed(all, 0, all.length)
    t.same(reader.source, { family: 4, address: '192.0.2.7', port: 40_001 })
    t.same(reader.destination, { family: 4, address: '198.51.100.9', port: 443 })
    t.equal(String(all.subarray(reader.headerLength)), 'hello')
  })
}

t.test('a connection without a valid header is closed and counted', async (t) => {
  const castor = await start(t, { accessLog: true })
  const cases: { name: string; listener: string; bytes: string | Buffer; half?: true }[] = [
    { name: 'no header', listener: 'web', bytes: GET },
    { name: 'no header, tcp', listener: 'raw', bytes: 'hello' },
    { name: 'a malformed address', listener: 'web', bytes: 'PROXY TCP4 192.0.2.300 198.51.100.9 40001 443\r\n' },
    { name: 'an endless line', listener: 'web', bytes: `PROXY TCP4 ${'1'.repeat(200)}` },
    { name: 'a wrong checksum', listener: 'raw', bytes: Buffer.concat([v2().subarray(0, -1), Buffer.of(0)]) },
    { name: 'cut short by the end', listener: 'web', bytes: 'PROXY TCP4 192.0.2.7', half: true },
  ]
  for (const { name, listener, bytes, half } of cases) {
    const client = await dial(castor.portOf(listener), { localAddress: FRONT })
    const ending = endingOf(client)
    client.write(bytes)
    if (half) client.end()
    t.equal(await ending, 'reset', name)
  }
  const metrics = await castor.metrics()
  t.equal(metrics.sum('castor_rejected_total', 'reason="PROXY_PROTOCOL_INVALID"', 'listener="web"'), 4)
  t.equal(metrics.sum('castor_rejected_total', 'reason="PROXY_PROTOCOL_INVALID"', 'listener="raw"'), 2)
  t.equal(metrics.sum('castor_connections_active'), 0)
  t.equal(metrics.sum('castor_target_requests_total'), 0, 'no target heard of it')
  for (const record of await castor.accessRecords(cases.length)) {
    t.match(record, { reason: 'PROXY_PROTOCOL_INVALID', client_ip: FRONT, target: null, status: null })
  }
})

t.test('a header that does not come in time is not waited for any longer', async (t) => {
  const castor = await start(t, { accessLog: true })
  for (const begun of ['', 'PROXY TCP4']) {
    const client = await dial(castor.portOf('web'), { localAddress: FRONT })
    if (begun !== '') client.write(begun)
    t.equal(await endingOf(client), 'reset')
  }
  const metrics = await castor.metrics()
  t.equal(metrics.sum('castor_client_errors_total', 'reason="HEADER_TIMEOUT"'), 2)
  for (const record of await castor.accessRecords(2)) t.equal(record.reason, 'HEADER_TIMEOUT')
})

t.test('a proxy in front that only looks whether the port is open does no wrong', async (t) => {
  const castor = await start(t)
  const client = await dial(castor.portOf('web'), { localAddress: FRONT })
  client.end()
  t.equal(await endingOf(client), 'end')
  const metrics = await until('the connection gone', async () => {
    const now = await castor.metrics()
    return now.sum('castor_connections_active') === 0 && now
  })
  t.equal(metrics.sum('castor_client_errors_total'), 0)
})

t.test('from anybody else a header is what it looks like: bytes of no meaning', async (t) => {
  const castor = await start(t)
  const web = await dial(castor.portOf('web'))
  const refused = readAll(web)
  web.write(V1 + GET)
  t.match(String(await refused), /^HTTP\/1\.1 400 /)
  web.destroy()
  const plain = await dial(castor.portOf('web'))
  const answer = readAll(plain)
  plain.write(GET)
  t.match(String(await answer), `\r\n\r\n127.0.0.1 ${castor.portOf('web')} `)
  plain.destroy()
  const raw = await dial(castor.portOf('raw'))
  const back = readAll(raw)
  raw.end(`${V1}hello`)
  t.equal(String(await back), `${V1}hello`)
})

t.test('stopping does not wait for a header', async (t) => {
  const castor = await start(t)
  const client = await dial(castor.portOf('raw'), { localAddress: FRONT })
  await until('the connection counted', async () => (await castor.metrics()).sum('castor_connections_active') === 1)
  const closed = once(client.resume(), 'close')
  client.on('end', () => client.end())
  await castor.running.stop()
  await closed
  t.pass('it was closed')
})
