import { renameSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { type ConfigFile, onePair, withDefaults } from './support/balancer.js'
import { ChildCastor, configFile, MAIN } from './support/child-castor.js'
import { type Answer, ask } from './support/operator.js'
import { RawTarget } from './support/raw-target.js'
import { steadyLoad } from './support/steady-load.js'
import { until } from './support/until.js'

async function start(t: Test, config: ConfigFile) {
  const file = await configFile(t, config)
  const castor = new ChildCastor([MAIN, 'start', '-c', file])
  t.teardown(() => castor.kill())
  await castor.ready()
  return {
    castor,
    reload(next: ConfigFile): Promise<Answer> {
      writeFileSync(`${file}.new`, JSON.stringify(withDefaults(next)))
      renameSync(`${file}.new`, file)
      return ask(castor.adminPort, 'POST', '/api/v1/reload')
    },
  }
}

async function target(t: Test): Promise<RawTarget> {
  const started = await RawTarget.start()
  t.teardown(() => started.stop())
  return started
}

for (const protocol of ['off', 'tcp', 'http']) {
  t.test(`a file that replaces every target of a group costs no request; checks: ${protocol}`, async (t) => {
    const targets = [await target(t), await target(t)]
    const healthCheck = protocol === 'off' ? { protocol } : { protocol, interval: '1s' }
    const config = (index: number): ConfigFile =>
      onePair('http', [targets[index % 2]!.address], { workers: 2, group: { healthCheck, draining: '1s' } })
    const { castor, reload } = await start(t, config(0))
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
      const targets = [await target(t), await target(t)]
      const healthCheck = protocol === 'off' ? { protocol } : { protocol, interval: '1s' }
      const config = (weights: readonly number[]): ConfigFile =>
        onePair(
          'http',
          weights.map((weight, index) => ({ address: targets[index]!.address, weight })),
          { workers: 2, group: { healthCheck } },
        )
      const { castor, reload } = await start(t, config([10]))
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
