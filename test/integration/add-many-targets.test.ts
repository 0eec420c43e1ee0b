import t from 'tap'
import { startTestCastor } from './support/castor.js'
import { patch, post, remove, shown, shownTargets } from './support/operator.js'
import { get, RawClient } from './support/raw-client.js'
import { RawTarget } from './support/raw-target.js'
import { until } from './support/until.js'

const ADDED = 150
/** For what takes a second on a machine that has nothing else to do. */
const LONG_MS = 60_000

t.test('hundreds of targets may be added to a process that had room for none, while traffic runs', async (t) => {
  const one = await RawTarget.start({}, '0.0.0.0')
  t.teardown(() => one.stop())
  const castor = await startTestCastor(t, [`127.0.0.1:${one.port}`], {
    workers: 2,
    more: { reserve: { targets: 0 } },
  })
  const clients = await Promise.all(Array.from({ length: 2 }, () => RawClient.connect(castor.port)))
  for (const client of clients) t.teardown(() => client.close())
  let requests = 0
  const statuses = new Set<number>()
  const ask = async (client: RawClient): Promise<void> => {
    statuses.add((await client.exchange(get('/'))).status)
    requests++
  }
  // A group takes a server once, by whatever name: each has a loopback address of its own.
  const ids = Array.from({ length: ADDED }, (_, i) => `many-${i}`)
  for (const [i, id] of ids.entries()) {
    const address = `127.1.${Math.floor(i / 200)}.${1 + (i % 200)}:${one.port}`
    const [added] = await Promise.all([post(castor, { address, id, weight: 1 }), ...clients.map(ask)])
    if (added.code !== 201) t.equal(added.code, 201, added.text)
  }
  await until(
    'most of them having traffic, in whichever segment',
    async () => {
      for (let i = 0; i < 100; i++) await Promise.all(clients.map(ask))
      const targets = await shownTargets(castor)
      return targets.filter((target) => target.requests > 0).length > ADDED / 2
    },
    LONG_MS,
  )
  t.same([...statuses], [200])
  await until(
    'every request being counted, at its target and in metrics',
    async () => {
      const targets = await shownTargets(castor)
      const metrics = await castor.metrics()
      const counted = targets.reduce((sum, target) => sum + target.requests, 0)
      const measured = targets.reduce(
        (sum, { id }) => sum + (metrics.get(`castor_target_requests_total{target_group="app",target="${id}"}`) ?? 0),
        0,
      )
      return counted === requests && measured === requests
    },
    LONG_MS,
  )
  await patch(castor, ids.at(-1)!, { weight: 0 })
  t.match(await shown(castor, ids.at(-1)!), { weight: 0 })
  for (const id of ids.slice(0, 100)) t.equal((await remove(castor, id, '?now=true')).code, 200)
  await until('them being gone', async () => (await shownTargets(castor)).length === ADDED - 99, LONG_MS)
})
