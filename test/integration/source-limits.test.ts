import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ConnectionOptions } from 'node:tls'
import t from 'tap'
import { onePair } from './support/balancer.js'
import type { Test } from './support/castor.js'
import type { ChildCastor } from './support/child-castor.js'
import { get, RawClient } from './support/raw-client.js'
import { type Reloading, startReloading, startTarget } from './support/reloading.js'
import { startWithFaults, VICTIM } from './support/stuck-threads.js'
import { ask, authorityFor, handshake, secured } from './support/tls.js'
import { until } from './support/until.js'

const GREEDY = '127.0.7.1'
const GOOD = '127.0.7.2'
/** As far as a reset may be told from an answer. */
type Outcome = number | 'refused'

interface Start {
  readonly listener?: object
  readonly protocol?: 'http' | 'tcp'
  readonly env?: NodeJS.ProcessEnv
  readonly workers?: number
}

/** Limits hold for loopback, too. */
async function start(t: Test, protection: object, more: Start = {}): Promise<Reloading> {
  const target = await startTarget(t)
  const config = {
    ...onePair(more.protocol ?? 'http', [target.address], {
      workers: more.workers ?? 2,
      ...(more.listener && { listener: more.listener }),
    }),
    protection: { allow: [], ...protection },
  }
  return startReloading(t, config, more.env === undefined ? {} : { env: more.env })
}

interface Asked {
  /** A reset may come before the connection is known to be there. */
  readonly client?: RawClient
  readonly outcome: Outcome
}

async function asked(port: number, from: string, before = ''): Promise<Asked> {
  let client: RawClient | undefined
  try {
    client = await RawClient.connect(port, '127.0.0.1', from)
    return { client, outcome: (await client.exchange(before + get('/'), 'GET')).status }
  } catch {
    return { ...(client && { client }), outcome: 'refused' }
  }
}

async function outcomes(
  port: number,
  from: string,
  count: number,
): Promise<{ clients: (RawClient | undefined)[]; all: Outcome[] }> {
  const each = await Promise.all(Array.from({ length: count }, () => asked(port, from)))
  return { clients: each.map(({ client }) => client), all: each.map(({ outcome }) => outcome) }
}

const served = (all: readonly Outcome[]): number => all.filter((each) => each === 200).length
const reasons = async (castor: ChildCastor, reason: string): Promise<number> =>
  (await castor.metrics()).sum('castor_client_errors_total', `reason="${reason}"`)

const WAYS = [
  ['', {}],
  [' (tcp)', { protocol: 'tcp' }],
  [' (without the addon)', { env: { CASTOR_NATIVE: 'off' } }],
] as const

for (const [name, more] of WAYS) {
  t.test(`a source has only so many connections open, and others are served${name}`, async (t) => {
    const { castor } = await start(t, { connectionsPerSource: 3 }, more)
    const { clients, all } = await outcomes(castor.port(), GREEDY, 8)
    t.equal(served(all), 3)
    t.equal((await asked(castor.port(), GOOD)).outcome, 200, 'somebody else')
    t.equal(await reasons(castor, 'SOURCE_CONNECTIONS'), 5)
    clients[all.indexOf(200)]!.close()
    await until('room for one more', async () => (await asked(castor.port(), GREEDY)).outcome === 200)
    const told = castor.stderr.split('\n').filter((line) => line.includes('connectionsPerSource'))
    t.equal(told.length, 1, 'the log tells of the source once')
    t.match(JSON.parse(told[0]!), {
      source: GREEDY,
      listener: 'in',
      limit: 'protection.connectionsPerSource',
      value: 3,
    })
    for (const client of clients) client?.close()
  })
}

t.test('a source opens only so many a second, and others are served', async (t) => {
  const { castor } = await start(t, { newConnectionsPerSource: '5/s' })
  const { clients, all } = await outcomes(castor.port(), GREEDY, 30)
  t.ok(served(all) >= 5 && served(all) <= 10, `${served(all)} of 30`)
  t.equal(served((await outcomes(castor.port(), GOOD, 4)).all), 4)
  t.equal(await reasons(castor, 'SOURCE_CONNECTION_RATE'), 30 - served(all))
  await until('it may again', async () => (await asked(castor.port(), GREEDY)).outcome === 200)
  for (const client of clients) client?.close()
})

t.test('a source begins only so many handshakes a second, on as many connections as it has', async (t) => {
  const shop = authorityFor(t).issue('shop', { names: ['shop.example'] })
  const { castor } = await start(t, { handshakesPerSource: '4/s' }, { listener: secured([shop]) })
  const port = castor.port()
  const tries = await Promise.allSettled(
    Array.from({ length: 20 }, () => handshake(port, { localAddress: GREEDY } as ConnectionOptions)),
  )
  const done = tries.filter(({ status }) => status === 'fulfilled').length
  t.ok(done >= 4 && done <= 12, `${done} of 20`)
  t.equal((await ask(port)).status, 200, 'somebody else')
  t.equal(await reasons(castor, 'SOURCE_HANDSHAKE_RATE'), 20 - done)
  for (const each of tries) if (each.status === 'fulfilled') each.value.destroy()
})

t.test('who is denied is reset, by lists and files, from the next reload on; allow is past the limits', async (t) => {
  const folder = t.testdir()
  const list = join(folder, 'denied.txt')
  writeFileSync(list, '# bad people\n127.0.7.1   # this one\n\n127.0.8.0/24\n')
  const { castor, reload } = await start(t, {
    deny: [`file:${list}`, '127.0.9.9/32'],
    allow: ['127.0.7.3/32'],
    connectionsPerSource: 1,
  })
  const port = castor.port()
  for (const from of [GREEDY, '127.0.8.200', '127.0.9.9']) t.equal((await asked(port, from)).outcome, 'refused', from)
  t.equal(served((await outcomes(port, '127.0.7.3', 5)).all), 5, 'as many as it likes')
  t.equal(await reasons(castor, 'SOURCE_DENIED'), 3)
  writeFileSync(list, '127.0.7.2\n')
  t.equal((await reload()).code, 200)
  const again = await asked(port, GREEDY)
  t.equal(again.outcome, 200)
  again.client?.close()
  t.equal((await asked(port, GOOD)).outcome, 'refused')
  writeFileSync(list, '127.0.7.2\n10.0.0.0/33\nnobody\n')
  const refused = await reload()
  t.equal(refused.code, 422)
  t.match(JSON.stringify(refused.json), /denied\.txt:2: .*denied\.txt:3: /s, 'what is wrong, where')
  await until('all is as before', async () => (await asked(port, GREEDY)).outcome === 200)
})

t.test('behind a proxy that says who the client is, limits hold for the client', async (t) => {
  const { castor } = await start(
    t,
    { connectionsPerSource: 2, deny: ['198.51.100.66/32'] },
    { listener: { acceptProxyProtocol: ['127.0.0.2/32'] } },
  )
  const named = (address: string) => asked(castor.port(), '127.0.0.2', `PROXY TCP4 ${address} 198.51.100.9 4001 80\r\n`)
  const first = await Promise.all(Array.from({ length: 5 }, () => named('192.0.2.7')))
  t.equal(served(first.map(({ outcome }) => outcome)), 2)
  t.equal((await named('192.0.2.8')).outcome, 200, 'another client of the same proxy')
  t.equal((await named('198.51.100.66')).outcome, 'refused', 'one that is denied')
  for (const { client } of first) client?.close()
  await until('it may again', async () => (await named('192.0.2.7')).outcome === 200)
})

t.test('connections of a worker that dies are counted out', async (t) => {
  const { castor, order } = await startWithFaults(t, { protection: { allow: [], connectionsPerSource: 4 } })
  const { all } = await outcomes(castor.port('web'), GREEDY, 4)
  t.equal(served(all), 4)
  t.equal((await asked(castor.port('web'), GREEDY)).outcome, 'refused')
  order({ column: VICTIM, fault: 'throw' })
  const more = await until('room where the dead thread had some', async () => {
    const { outcome } = await asked(castor.port('web'), GREEDY)
    return outcome === 200
  })
  t.ok(more)
})
