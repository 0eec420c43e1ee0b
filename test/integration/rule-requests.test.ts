import t from 'tap'
import { fetchText } from './support/castor.js'
import { ask, connectTo } from './support/http2-peers.js'
import { RawClient, request } from './support/raw-client.js'
import { startReloading, startTarget } from './support/reloading.js'
import { startRouting } from './support/routing.js'

const head = (target: string, host = 'h'): string => `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`
const FAMILY = 'castor_rule_requests_total'

t.test('requests are counted by the rule that they match, on every worker, whatever became of them', async (t) => {
  const { balancer, port } = await startRouting(
    t,
    ['default', 'a', 'b'],
    [
      {
        name: 'split',
        match: { path: '/split/*' },
        forward: [
          { targetGroup: 'a', weight: 1 },
          { targetGroup: 'b', weight: 1 },
        ],
      },
      { match: { path: '/own' }, respond: { status: 204 } },
      { name: 'never', match: { host: 'never.example' }, redirect: { host: 'x' } },
    ],
    { workers: 2 },
  )
  for (let i = 0; i < 7; i++) await request(port, head(`/split/${i}`))
  const client = await RawClient.connect(port)
  t.teardown(() => client.close())
  for (const path of ['/own', '/own', '/split', '/', '/split/x']) await client.exchange(head(path))
  const metrics = await balancer.metrics()
  const count = (rule: string): number[] => metrics.all(FAMILY, 'listener="web"', `rule="${rule}"`)
  t.same(count('split'), [8], 'the redirect to the slash is no request of the rule')
  t.same(count('2'), [2], 'by its position')
  t.same(count('never'), [0])
  t.equal(metrics.all(FAMILY).length, 3)
  const { listeners } = JSON.parse(await fetchText(balancer.running.admin.port, '/api/v1/listeners')) as {
    listeners: { rules: unknown }[]
  }
  t.same(listeners[0]!.rules, [
    { name: 'split', requests: 8 },
    { name: '2', requests: 2 },
    { name: 'never', requests: 0 },
  ])
})

t.test('HTTP/2 requests count like any', async (t) => {
  const { balancer, port } = await startRouting(t, ['default', 'a'], [{ match: { path: '/a/*' }, forward: 'a' }], {
    listener: { http2: true },
  })
  const client = await connectTo(t, port)
  await Promise.all(['/a/1', '/a/2', '/b'].map((path) => ask(client, { ':path': path })))
  t.same((await balancer.metrics()).all(FAMILY, 'rule="1"'), [2])
})

t.test('a reload keeps what a rule has counted while it stays, and a new rule begins at 0', async (t) => {
  const target = await startTarget(t)
  const config = (...names: string[]) => ({
    workers: 1,
    listeners: [
      {
        name: 'in',
        protocol: 'http',
        listen: '127.0.0.1:0',
        targetGroup: 'out',
        rules: names.map((name) => ({ name, match: { path: `/${name}` }, forward: 'out' })),
      },
    ],
    targetGroups: [{ name: 'out', protocol: 'http', targets: [{ address: target.address }] }],
  })
  const { castor, reload } = await startReloading(t, config('a', 'b'))
  const counts = async (): Promise<number[][]> => {
    const metrics = await castor.metrics()
    return ['a', 'b', 'c'].map((rule) => metrics.all(FAMILY, `rule="${rule}"`))
  }
  const client = await RawClient.connect(castor.port())
  t.teardown(() => client.close())
  for (const path of ['/a', '/b', '/b']) await client.exchange(head(path))
  t.same(await counts(), [[1], [2], []])
  t.match(await reload(config('c', 'b')), { code: 200 })
  await client.exchange(head('/b'))
  await client.exchange(head('/a'))
  t.same(await counts(), [[], [3], [0]], 'over another place in the list')
  const many = Array.from({ length: 100 }, (_, index) => `r${index}`)
  t.match(await reload(config(...many, 'b')), { code: 200 }, 'more than there was room for')
  await client.exchange(head('/b'))
  await client.exchange(head('/r99'))
  const metrics = await castor.metrics()
  t.same(metrics.all(FAMILY, 'rule="b"'), [4])
  t.same(metrics.all(FAMILY, 'rule="r99"'), [1])
  t.equal(metrics.sum(FAMILY), 5)
})
