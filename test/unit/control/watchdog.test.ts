import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import t from 'tap'
import { SupervisedService } from '../../../src/control/supervised-service.js'
import { Watchdog, type WatchedThread } from '../../../src/control/watchdog.js'
import { createHeartbeats, Heartbeats, probeRow } from '../../../src/shm/heartbeats.js'
import type { StuckTask } from '../../fixtures/stuck-service.js'
import { until } from '../../integration/support/until.js'

const FILE = fileURLToPath(new URL('../../fixtures/stuck-service.js', import.meta.url))
const LIMIT_MS = 300
const ROW = probeRow(1)

function lines(): { readonly log: pino.Logger; readonly said: string[] } {
  const said: string[] = []
  return { log: pino({ base: null }, { write: (line) => said.push(line) }), said }
}

t.test('a thread beside the proxy threads that is stuck is ended and replaced', async (t) => {
  const shared = createHeartbeats({ workers: 1 })
  const { log, said } = lines()
  const watchdog = new Watchdog(new Heartbeats(shared), LIMIT_MS, log, (name) => t.fail(`${name} cannot be ended`))
  let ready = 0
  let deaths = 0
  const service = new SupervisedService<never, 'ready'>(FILE, log, {
    watchdog,
    name: 'probe',
    row: ROW,
    task: (again): Omit<StuckTask, 'port'> => ({ heartbeats: shared, row: ROW, stands: !again }),
    onMessage: () => ready++,
    onDeath: () => deaths++,
  })
  t.teardown(() => watchdog.stop())
  watchdog.start()
  void service.start(0)
  await until('the second thread', () => ready === 2, 15_000)
  t.equal(deaths, 1)
  t.match(said.join(''), /"thread":"probe","silentMs":\d+,"msg":"a thread is stuck/)
  await service.stop()
  t.equal(deaths, 1)
})

t.test('a thread that has stood still for a quarter of the time is suspected until it turns', async (t) => {
  const heartbeats = new Heartbeats(createHeartbeats({ workers: 1 }))
  const watchdog = new Watchdog(heartbeats, LIMIT_MS * 10, lines().log, () => t.fail('given up'))
  const said: boolean[] = []
  const thread: WatchedThread = {
    name: 'one',
    row: 1,
    alive: true,
    suspect: (isSuspect) => said.push(isSuspect),
    end: async () => t.fail('ended'),
  }
  heartbeats.beat(1)
  watchdog.watch(thread)
  watchdog.start()
  t.teardown(() => watchdog.stop())
  await until('being suspected', () => said.length === 1)
  heartbeats.beat(1)
  await until('being trusted again', () => said.length === 2)
  t.same(said, [true, false])
})

t.test('one that cannot be ended is told of once; one that is not there is not watched', async (t) => {
  const heartbeats = new Heartbeats(createHeartbeats({ workers: 2 }))
  const unendable: string[] = []
  const watchdog = new Watchdog(heartbeats, 50, lines().log, (name) => unendable.push(name))
  const gone = { name: 'gone', row: 2, alive: false, end: async () => t.fail('ended') }
  watchdog.watch({ name: 'stuck', row: 1, alive: true, end: async () => false })
  watchdog.watch(gone)
  heartbeats.beat(1)
  heartbeats.beat(2)
  watchdog.start()
  t.teardown(() => watchdog.stop())
  await until('the news', () => unendable.length > 0)
  let looks = 0
  await until('ten more looks', () => ++looks > 10)
  t.same(unendable, ['stuck'])
})
