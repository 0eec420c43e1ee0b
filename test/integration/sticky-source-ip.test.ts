import t from 'tap'
import { type Balancer, startBalancer } from './support/balancer.js'
import type { Test } from './support/castor.js'
import { fetchText } from './support/castor.js'
import {
  askHttp,
  askTcp,
  type From,
  type NamedTarget,
  namedHttp,
  namedTcp,
  openTcp,
  type Via,
} from './support/sticky-targets.js'
import { until } from './support/until.js'
import { never } from './support/waiting.js'

// They wait more than they work.
t.jobs = 3

const NAMES = ['one', 'two', 'three']

interface Setting {
  readonly castor: Balancer
  readonly targets: readonly NamedTarget[]
  /** The same listener twice: for clients themselves, and behind a proxy that is here. */
  ask(from: From): Promise<string>
  port(via: Via): number
  health(name: string): Promise<string>
}

async function start(t: Test, protocol: 'http' | 'tcp', group: object = {}, workers = 2): Promise<Setting> {
  const targets = await Promise.all(NAMES.map((name) => (protocol === 'http' ? namedHttp : namedTcp)(t, name)))
  const castor = await startBalancer(t, {
    workers,
    listeners: [
      { name: 'direct', protocol, listen: '127.0.0.1:0', targetGroup: 'out' },
      { name: 'proxied', protocol, listen: '127.0.0.1:0', targetGroup: 'out', acceptProxyProtocol: ['127.0.0.1/32'] },
    ],
    targetGroups: [
      {
        name: 'out',
        protocol,
        targets: targets.map(({ name, address }) => ({ id: name, address })),
        stickiness: { type: 'source-ip' },
        ...group,
      },
    ],
  })
  const port = (via: Via): number => castor.portOf(via === 'direct' ? 'direct' : 'proxied')
  return {
    castor,
    targets,
    port,
    ask: (from) => (protocol === 'http' ? askHttp : askTcp)(port(from.via), from),
    health: async (name) => {
      const status = JSON.parse(await fetchText(castor.running.admin.port, '/api/v1/status')) as {
        targetGroups: { targets: { id: string; health: string }[] }[]
      }
      return status.targetGroups[0]!.targets.find(({ id }) => id === name)!.health
    },
  }
}

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
      { via: 'v2', address: '2001:db8::8' },
      { via: 'v1', address: '2001:db8:0::8' },
    ],
  ],
}

for (const protocol of ['http', 'tcp'] as const) {
  for (const [how, clients] of Object.entries(CLIENTS)) {
    t.test(
      `${protocol}: clients that come ${how} each stay on a target of their own, over workers`,
      { buffered: true },
      async (t) => {
        const { ask } = await start(t, protocol)
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

  t.test(`${protocol}: use keeps a client on its target, and idleness lets it go`, { buffered: true }, async (t) => {
    // One thread, so that round robin is in turn for whoever has no session.
    const { ask } = await start(t, protocol, { stickiness: { type: 'source-ip', timeout: '1s' } }, 1)
    const client: From = { via: 'v1', address: '192.0.2.7' }
    let strangers = 0
    const stranger = (): Promise<string> => ask({ via: 'v2', address: `198.51.100.${++strangers}` })
    const home = await ask(client)
    const begunMs = performance.now()
    while (performance.now() < begunMs + 2_500) {
      await new Promise((resolve) => setTimeout(resolve, 300))
      await stranger()
      t.equal(await ask(client), home, `after ${Math.round(performance.now() - begunMs)} ms`)
    }
    await new Promise((resolve) => setTimeout(resolve, 1_300))
    // Whoever is chosen next, it is not the one that was chosen just now.
    await until('a stranger at its old target', async () => (await stranger()) === home)
    t.not(await ask(client), home, 'forgotten')
  })

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
      const { ask, targets, health } = await start(t, protocol, { healthCheck })
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

t.test('an open connection is use: its client is not forgotten meanwhile', { buffered: true }, async (t) => {
  const { ask, port } = await start(t, 'tcp', { stickiness: { type: 'source-ip', timeout: '1s' } }, 1)
  const client: From = { via: 'v1', address: '192.0.2.7' }
  const { client: open, by: home } = await openTcp(port('v1'), client)
  await never('it being closed', () => open.reader.ended, 2_500)
  await until(
    'a stranger at its target',
    (() => {
      let strangers = 0
      return async () => (await ask({ via: 'v2', address: `198.51.100.${++strangers}` })) === home
    })(),
  )
  t.equal(await ask(client), home)
  open.close()
})
