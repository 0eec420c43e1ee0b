import t from 'tap'
import type { ConfigFile } from './support/balancer.js'
import { fetchText } from './support/castor.js'
import { get, request } from './support/raw-client.js'
import { startReloading, startTarget } from './support/reloading.js'
import { until } from './support/until.js'

const WARM = 5
const ROUNDS = 20

for (const native of ['auto', 'off']) {
  t.test(`reloads with ever new names leave no descriptor and no series behind; addon: ${native}`, async (t) => {
    const targets = [await startTarget(t), await startTarget(t)]
    const config = (round: number): ConfigFile => ({
      workers: 2,
      listeners: [
        { name: 'in', protocol: 'http', listen: '127.0.0.1:0', targetGroup: `group-${round}` },
        { name: `listener-${round}`, protocol: 'http', listen: '127.0.0.1:0', targetGroup: `group-${round}` },
      ],
      targetGroups: [
        {
          name: `group-${round}`,
          protocol: 'http',
          draining: '1s',
          healthCheck: { protocol: 'tcp', interval: '10s' },
          targets: [{ address: targets[round % 2]!.address, id: `target-${round}` }],
        },
      ],
    })
    const options = native === 'off' ? { env: { CASTOR_NATIVE: native } } : {}
    const running = await startReloading(t, config(0), options)
    const { castor } = running
    const reload = async (round: number): Promise<void> => {
      t.match(await running.reload(config(round)), { code: 200, json: { result: 'applied' } })
      t.equal((await request(castor.port(), get('/'))).status, 200)
    }
    const lines = async (): Promise<number> => (await fetchText(castor.adminPort, '/metrics')).split('\n').length
    const settled = (names: string) => async (): Promise<boolean> =>
      !(await fetchText(castor.adminPort, '/metrics')).includes(names)
    for (let round = 1; round <= WARM; round++) await reload(round)
    await until('the end of the last group but one', settled(`group-${WARM - 1}"`), 10_000)
    const before = { descriptors: castor.descriptors, lines: await lines() }
    for (let round = WARM + 1; round <= WARM + ROUNDS; round++) await reload(round)
    const last = WARM + ROUNDS
    await until('the end of the last group but one', settled(`group-${last - 1}"`), 10_000)
    // Idle connections to targets and to the administration come and go.
    await until(
      `no more than ${before.descriptors} descriptors and some`,
      () => castor.descriptors <= before.descriptors + ROUNDS / 5,
      10_000,
    )
    t.equal(await lines(), before.lines)
  })
}
