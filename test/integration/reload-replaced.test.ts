import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import t from 'tap'
import { type ConfigFile, onePair } from './support/balancer.js'
import { FreshLoad } from './support/fresh-load.js'
import { Http2Target, sayHello } from './support/http2-peers.js'
import { ask } from './support/operator.js'
import { get, request } from './support/raw-client.js'
import { ok, RawTarget } from './support/raw-target.js'
import { freePort } from './support/redis.js'
import { startReloading, startTarget } from './support/reloading.js'
import { steadyLoad } from './support/steady-load.js'
import { until } from './support/until.js'

for (const protocol of ['off', 'tcp', 'http']) {
  t.test(`a file that replaces every target of a group costs no request; checks: ${protocol}`, async (t) => {
    const targets = [await startTarget(t), await startTarget(t)]
    const healthCheck = protocol === 'off' ? { protocol } : { protocol, interval: '1s' }
    const config = (index: number): ConfigFile =>
      onePair('http', [targets[index % 2]!.address], { workers: 2, group: { healthCheck, draining: '1s' } })
    const { castor, reload } = await startReloading(t, config(0))
    const load = steadyLoad(t, castor.port(), 4, 2)
    await until('traffic', () => load.succeeded > 20)
    for (let round = 1; round <= 4; round++) {
      const before = targets[round % 2]!.requests.length
      t.match(await reload(config(round)), { code: 200, json: { result: 'applied' } })
      await until('traffic at the new target', () => targets[round % 2]!.requests.length > before + 5)
    }
    await load.stop()
    t.same(load.failed, [])
  })
}

for (const protocol of ['off', 'tcp']) {
  t.test(
    `a file that takes the weight from the only one that has some costs no request; checks: ${protocol}`,
    async (t) => {
      const targets = [await startTarget(t), await startTarget(t)]
      const healthCheck = protocol === 'off' ? { protocol } : { protocol, interval: '1s' }
      const config = (weights: readonly number[]): ConfigFile =>
        onePair(
          'http',
          weights.map((weight, index) => ({ address: targets[index]!.address, weight })),
          { workers: 2, group: { healthCheck } },
        )
      const { castor, reload } = await startReloading(t, config([10]))
      const load = steadyLoad(t, castor.port(), 4, 2)
      await until('traffic', () => load.succeeded > 20)
      for (const weights of [
        [0, 10],
        [10, 0],
        [0, 5],
      ]) {
        const index = weights[0] === 0 ? 1 : 0
        const before = targets[index]!.requests.length
        t.match(await reload(config(weights)), { code: 200, json: { result: 'applied' } })
        await until('traffic where the weight is', () => targets[index]!.requests.length > before + 5)
      }
      await load.stop()
      t.same(load.failed, [])
    },
  )
}

const CHECKED = '/check'

/** Each round goes over to the next group and another target. */
const STEPS: readonly { what: string; renamed: boolean; groups: readonly { name: string; protocol?: string }[] }[] = [
  {
    what: 'a new group, or one by another name',
    renamed: false,
    groups: [{ name: 'one' }, { name: 'two' }, { name: 'three' }],
  },
  {
    what: 'a new group and has another name too',
    renamed: true,
    groups: [{ name: 'one' }, { name: 'two' }, { name: 'three' }],
  },
  {
    what: 'a group of another protocol',
    renamed: false,
    groups: [{ name: 'out' }, { name: 'out', protocol: 'h2c' }, { name: 'out' }],
  },
]

for (const { what, renamed, groups } of STEPS) {
  t.test(`a listener that goes over to ${what} costs no request`, async (t) => {
    // A check is answered when requests have been answered meanwhile.
    let held = async (): Promise<unknown> => undefined
    const http1 = [await startTarget(t), await startTarget(t)]
    for (const { script } of http1)
      script.answer = async (asked, connection) => {
        if (asked.target === CHECKED) await held()
        connection.write(ok())
      }
    const h2c = await Http2Target.start(t, (stream, headers) => {
      void (headers[':path'] === CHECKED ? held() : Promise.resolve()).then(() => sayHello(stream, headers))
    })
    const address = (protocol: unknown, round: number) => (protocol === 'h2c' ? h2c.address : http1[round % 2]!.address)
    const port = await freePort()
    const config = (round: number): ConfigFile => {
      const group = { protocol: 'http', ...groups[round] }
      const name = renamed ? `in-${round}` : 'in'
      return {
        workers: 2,
        listeners: [{ name, protocol: 'http', listen: `127.0.0.1:${port}`, targetGroup: group.name }],
        targetGroups: [
          {
            ...group,
            healthCheck: { protocol: group.protocol, path: CHECKED },
            targets: [{ address: address(group.protocol, round) }],
          },
        ],
      }
    }
    const { reload } = await startReloading(t, config(0))
    // The connections of a listener that goes are closed between two requests, so that one may cross with that.
    const load = renamed ? new FreshLoad(t, port) : steadyLoad(t, port, 4, 2)
    await until('traffic', () => load.succeeded > 20)
    held = () => {
      const { succeeded } = load
      return until('requests meanwhile', () => load.succeeded > succeeded + 3 || load.failed.length > 0)
    }
    for (let round = 1; round < groups.length; round++) {
      t.match(await reload(config(round)), { code: 200, json: { result: 'applied' } })
      const { succeeded } = load
      await until('more traffic', () => load.succeeded > succeeded + 20)
    }
    await load.stop()
    t.same(load.failed, [])
  })
}

t.test('a reload whose new group has nobody who passes holds all the same', async (t) => {
  const serving = await startTarget(t)
  const gone = await RawTarget.start()
  const { address } = gone
  await gone.stop()
  const config = (name: string, to: string): ConfigFile => {
    const group = { name, protocol: 'http', healthCheck: { protocol: 'tcp' }, targets: [{ address: to }] }
    const listener = { name: 'in', protocol: 'http', listen: '127.0.0.1:0', targetGroup: name }
    return { workers: 1, listeners: [listener], targetGroups: [group] }
  }
  const { castor, reload } = await startReloading(t, config('one', serving.address))
  t.match(await reload(config('two', address)), { code: 200, json: { result: 'applied' } })
  t.equal((await request(castor.port(), get('/'))).status, 503)
  t.match(await reload(config('one', serving.address)), { code: 200, json: { result: 'applied' } })
  t.equal((await request(castor.port(), get('/'))).status, 200)
})

t.test('a reload that fails has brought no group, not even for a moment', async (t) => {
  const [serving, other] = [await startTarget(t), await startTarget(t)]
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.teardown(() => taken.close())
  const config = (name: string, to: string, ...listen: string[]): ConfigFile => {
    const group = { name, protocol: 'http', healthCheck: { protocol: 'tcp' }, targets: [{ address: to }] }
    const listener = { name: 'in', protocol: 'http', listen: ['127.0.0.1:0', ...listen], targetGroup: name }
    return { workers: 1, listeners: [listener], targetGroups: [group] }
  }
  const { castor, reload } = await startReloading(t, config('one', serving.address))
  const port = (taken.address() as AddressInfo).port
  t.match(await reload(config('two', other.address, `127.0.0.1:${port}`)), {
    code: 500,
    json: { error: { code: 'RELOAD_FAILED' } },
  })
  t.equal((await request(castor.port(), get('/'))).status, 200)
  const { json } = await ask(castor.adminPort, 'GET', '/api/v1/status')
  t.match(json, { targetGroups: { length: 1, 0: { name: 'one' } } })
  t.equal(other.connections.length, 0, 'it was not even checked')
})
