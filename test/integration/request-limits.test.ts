import { connect as connectHttp2, constants } from 'node:http2'
import t from 'tap'
import { onePair, startBalancer } from './support/balancer.js'
import type { Test } from './support/castor.js'
import { get, RawClient, type RawResponse } from './support/raw-client.js'
import { startTarget } from './support/reloading.js'
import { until } from './support/until.js'
import { within } from './support/waiting.js'

const GREEDY = '127.0.7.1'
const GOOD = '127.0.7.2'

async function start(t: Test, listener: object, protection: object = {}, workers = 1) {
  const target = await startTarget(t)
  return startBalancer(
    t,
    {
      ...onePair('http', [target.address], { workers, listener }),
      protection: { allow: [], newConnectionsPerSource: 'unlimited', ...protection },
    },
    { accessLog: true },
  )
}

/** As many requests on one connection, each behind the answer to the one before. */
async function ask(port: number, from: string, count: number, more: readonly string[] = []): Promise<RawResponse[]> {
  const client = await RawClient.connect(port, '127.0.0.1', from)
  const answers: RawResponse[] = []
  for (let i = 0; i < count; i++) answers.push(await client.exchange(get('/', more)))
  client.close()
  return answers
}

const statuses = (answers: readonly { readonly status: number }[]): string =>
  answers.map(({ status }) => status).join(' ')
const refused = (answers: readonly { readonly status: number }[]): number =>
  answers.filter(({ status }) => status === 429).length

t.test('a source asks only so often, on one connection or many, and others are served', async (t) => {
  const castor = await start(t, {}, { requestsPerSource: '5/s' }, 2)
  const first = await ask(castor.port, GREEDY, 8)
  t.match(statuses(first), /^(200 ){5}.*429/, statuses(first))
  const last = first.findLast(({ status }) => status === 429)
  t.equal(last?.header('retry-after'), '1')
  t.equal(refused(await ask(castor.port, GOOD, 5)), 0, 'somebody else')
  const many = (await Promise.all(Array.from({ length: 6 }, () => ask(castor.port, GREEDY, 1)))).flat()
  t.ok(refused(many) >= 4, statuses(many))
  const told = castor.log.filter((line) => line.includes('requestsPerSource'))
  t.equal(told.length, 1)
  t.match(JSON.parse(told[0]!), { source: GREEDY, listener: 'in', value: 5 })
  t.ok((await castor.metrics()).sum('castor_client_errors_total', 'reason="SOURCE_REQUEST_RATE"') >= 4)
  const records = await castor.accessRecords(19)
  t.ok(records.some(({ status, reason }) => status === 429 && reason === 'SOURCE_REQUEST_RATE'))
  await until('it may again', async () => refused(await ask(castor.port, GREEDY, 1)) === 0)
})

t.test('by HTTP/2 each stream counts', async (t) => {
  const castor = await start(t, { http2: true }, { requestsPerSource: '5/s' })
  const session = connectHttp2(`http://127.0.0.1:${castor.port}`, { localAddress: GREEDY } as object)
  t.teardown(() => session.destroy())
  const all = await Promise.all(
    Array.from({ length: 12 }, () => {
      const stream = session.request({ ':path': '/' })
      stream.resume()
      return within(
        'an answer',
        new Promise<number>((resolve) =>
          stream.on('response', (head) => resolve(Number(head[constants.HTTP2_HEADER_STATUS]))),
        ),
      )
    }),
  )
  const ok = all.filter((status) => status === 200).length
  t.ok(ok >= 5 && ok < 12, all.join(' '))
  t.equal(all.filter((status) => status === 429).length, 12 - ok)
})

t.test('behind a proxy that is trusted, whom it names is limited, and not the proxy', async (t) => {
  const castor = await start(t, { trustForwardedFrom: ['127.0.0.3/32'] }, { requestsPerSource: '5/s' })
  const named = (client: string, count: number) => ask(castor.port, '127.0.0.3', count, [`X-Forwarded-For: ${client}`])
  t.ok(refused(await named('192.0.2.7', 9)) > 0)
  t.equal(refused(await named('192.0.2.8', 5)), 0)
  t.equal(refused(await named('2001:db8::1', 5)), 0)
  t.ok(refused(await named('2001:db8::2', 3)) > 0, 'of one /64')
  t.equal(refused(await ask(castor.port, '127.0.0.3', 9)), 0, 'the proxy itself')
})

t.test('a listener takes only so many requests, over all threads', async (t) => {
  const castor = await start(t, { limits: { requestsPerSecond: 6 } }, {}, 2)
  const all = (await Promise.all(Array.from({ length: 10 }, (_, i) => ask(castor.port, `127.0.7.${10 + i}`, 2)))).flat()
  const ok = all.filter(({ status }) => status === 200).length
  // On a busy machine they take more than a second.
  t.ok(ok >= 6 && ok < 20, statuses(all))
  t.equal(refused(all), 20 - ok)
  t.equal((await castor.metrics()).sum('castor_server_errors_total', 'reason="LISTENER_REQUEST_RATE"'), 20 - ok)
})

t.test(
  'a body that is too large gets 413, with a length before it is asked for, in chunks once that shows',
  async (t) => {
    const castor = await start(t, { limits: { bodyBytes: '1KiB' } })
    const post = async (fields: string, body: string): Promise<RawResponse> => {
      const client = await RawClient.connect(castor.port)
      t.teardown(() => client.close())
      return client.exchange(`POST / HTTP/1.1\r\nHost: test\r\n${fields}\r\n\r\n${body}`)
    }
    const chunk = (bytes: number): string => `${bytes.toString(16)}\r\n${'x'.repeat(bytes)}\r\n`
    const chunked = 'Transfer-Encoding: chunked'
    t.equal((await post('Content-Length: 1024', 'x'.repeat(1024))).status, 200)
    t.equal((await post('Content-Length: 1025', '')).status, 413)
    t.equal((await post(chunked, `${chunk(1000)}${chunk(24)}0\r\n\r\n`)).status, 200)
    t.equal((await post(chunked, `${chunk(1000)}${chunk(25)}`)).status, 413)
    t.equal((await castor.metrics()).sum('castor_client_errors_total', 'reason="BODY_TOO_LARGE"'), 2)
  },
)

t.test('a listener has only so many connections open, over all threads', async (t) => {
  const castor = await start(t, { limits: { connections: 3 } }, {}, 2)
  const open = await Promise.all(
    Array.from({ length: 6 }, async (_, i) => {
      try {
        const client = await RawClient.connect(castor.port, '127.0.0.1', `127.0.7.${20 + i}`)
        return { client, status: (await client.exchange(get('/'))).status }
      } catch {
        return { client: undefined, status: 0 }
      }
    }),
  )
  t.equal(open.filter(({ status }) => status === 200).length, 3, statuses(open))
  t.equal((await castor.metrics()).sum('castor_server_errors_total', 'reason="LISTENER_CONNECTIONS"'), 3)
  open.find(({ status }) => status === 200)!.client!.close()
  await until('room for one', async () => {
    try {
      return (await ask(castor.port, GOOD, 1))[0]?.status === 200
    } catch {
      return false
    }
  })
  for (const { client } of open) client?.close()
})
