import t from 'tap'
import { type From, NAMES, startSticky } from './support/sticky-targets.js'
import { until } from './support/until.js'

// They wait more than they work.
t.jobs = 3

/** Six clients, each with all the ways in which it may be written. */
const CLIENTS: Readonly<Record<string, readonly (readonly From[])[]>> = {
  direct: [2, 3, 4, 5, 6, 7].map((n) => [{ via: 'direct', address: `127.0.0.${n}` }]),
  'by PROXY': [
    ...[7, 8, 9, 10].map((n): From[] => [
      { via: 'v1', address: `192.0.2.${n}`, port: 40_001 },
      { via: 'v2', address: `192.0.2.${n}`, port: 40_002 },
    ]),
    [
      { via: 'v1', address: '2001:db8::7' },
      { via: 'v2', address: '2001:db8::7', port: 5 },
      { via: 'v1', address: '2001:DB8:0:0::7', port: 6 },
    ],
    [
      { via: 'v2', address: '2001:db8:0:8::8' },
      { via: 'v1', address: '2001:DB8:0:8:0::8' },
    ],
  ],
}

for (const protocol of ['http', 'tcp'] as const) {
  for (const [how, clients] of Object.entries(CLIENTS)) {
    t.test(
      `${protocol}: clients that come ${how} each stay on a target of their own, over workers`,
      { buffered: true },
      async (t) => {
        const { ask } = await startSticky(t, protocol)
        const homes: string[] = []
        for (const ways of clients) homes.push(await ask(ways[0]!))
        t.same([...homes].sort(), [...NAMES, ...NAMES].sort(), 'round robin chose')
        for (let round = 0; round < 4; round++) {
          for (const [i, ways] of clients.entries()) {
            const way = ways[round % ways.length]!
            t.equal(await ask(way), homes[i], `${way.via} ${way.address}`)
          }
        }
      },
    )
  }

  t.test(
    `${protocol}: a client whose target goes down has a new one, and stays there`,
    { buffered: true },
    async (t) => {
      const healthCheck = {
        protocol,
        interval: '100ms',
        timeout: '1s',
        healthyThreshold: 1,
        unhealthyThreshold: 1,
      }
      const { ask, targets, health } = await startSticky(t, protocol, { healthCheck })
      const isHealthy = async (name: string): Promise<boolean> => (await health(name)) === 'healthy'
      await until('the first checks', async () => (await Promise.all(NAMES.map(isHealthy))).every(Boolean))
      const client: From = { via: 'v2', address: '192.0.2.7' }
      const first = await ask(client)
      const down = targets.find(({ name }) => name === first)!
      down.goDown()
      await until('it being left out', async () => (await health(first)) === 'unhealthy')
      const next = await ask(client)
      t.not(next, first)
      for (let i = 0; i < 6; i++) t.equal(await ask(client), next, 'while it is down')
      await down.comeBack()
      await until('it being well again', async () => (await health(first)) === 'healthy')
      for (let i = 0; i < 6; i++) t.equal(await ask(client), next, 'when it is back')
      const others = new Set<string>()
      for (let n = 0; n < 9; n++) others.add(await ask({ via: 'v2', address: `198.51.100.${n}` }))
      t.ok(others.has(first), 'which new clients are sent to')
    },
  )
}

t.test('the addresses of an IPv6 network are one client with one session', { buffered: true }, async (t) => {
  for (const [prefix, one, others, other] of [
    [undefined, '2001:db8:0:1::1', ['2001:db8:0:1::2', '2001:db8:0:1:ffff:ffff:ffff:ffff'], '2001:db8:0:2::1'],
    [60, '2001:db8:0:10::1', ['2001:db8:0:1f::1', '2001:db8:0:18:1::'], '2001:db8:0:20::1'],
    [128, '2001:db8:0:1::1', ['2001:db8:0:1:0::1'], '2001:db8:0:1::2'],
  ] as const) {
    const stickiness = { type: 'source-ip', ...(prefix === undefined ? {} : { ipv6Prefix: prefix }) }
    const { ask, castor } = await startSticky(t, 'http', { stickiness })
    const sessions = async (): Promise<number> => (await castor.metrics()).sum('castor_session_entries')
    const home = await ask({ via: 'v2', address: one })
    for (const address of others) t.equal(await ask({ via: 'v1', address }), home, `${address} with ${prefix ?? 64}`)
    t.equal(await sessions(), 1)
    t.not(await ask({ via: 'v2', address: other }), home, 'round robin chose for another network')
    t.equal(await sessions(), 2)
    // As text this is as long as the first half of an IPv6 address is in bytes.
    await ask({ via: 'v2', address: '10.0.0.1' })
    await ask({ via: 'v2', address: '3130:2e30:2e30:2e31::' })
    t.equal(await sessions(), 4)
  }
})
