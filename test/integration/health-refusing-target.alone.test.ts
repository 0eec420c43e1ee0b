import t from 'tap'
import { toolOrSkip } from '../tools.js'
import { startTestCastor } from './support/castor.js'
import { newNginx } from './support/nginx.js'
import { shown } from './support/operator.js'
import { pipelinedLoad } from './support/pipelined-load.js'
import { refusingAddress } from './support/tcp-peers.js'

const REQUESTS = 100_000
const CONNECTIONS = 32
const DEPTH = 16
const SERVER = 'keepalive_requests 1000000; location / { return 200 "ok"; }'
const ALL_WELL = [['HTTP/1.1 200 OK', REQUESTS]]

t.test('a target that refuses costs none of a hundred thousand requests', async (t) => {
  const nginx = toolOrSkip(t, 'nginx')
  if (nginx === undefined) return
  const sound = await newNginx(t, nginx)
  await sound.start(SERVER)
  const refusing = await refusingAddress()
  // Out for a second at a time, so that it is tried again and again; no check ever says what it is.
  const outlierDetection = { consecutiveFailures: 5, ejectFor: '1s' }
  const castor = await startTestCastor(t, [sound.address, refusing], { workers: 2, group: { outlierDetection } })
  const begunMs = performance.now()
  const { counts, lost } = await pipelinedLoad(castor.port, REQUESTS, CONNECTIONS, DEPTH)
  const seconds = (performance.now() - begunMs) / 1_000
  const { requests } = await shown(castor, refusing)
  t.comment(`${Math.round(REQUESTS / seconds)} requests a second, ${requests} of them tried the refusing target first`)
  t.same([...counts], ALL_WELL)
  t.equal(lost, 0)
  t.ok(requests > 5, 'it was tried')
  t.ok(requests < REQUESTS / 10, 'and mostly left alone')
})

t.test('nor does one that is killed and comes back in the middle of them', async (t) => {
  const nginx = toolOrSkip(t, 'nginx')
  if (nginx === undefined) return
  const [sound, killed] = [await newNginx(t, nginx), await newNginx(t, nginx)]
  for (const each of [sound, killed]) await each.start(SERVER)
  const healthCheck = { protocol: 'http', interval: '200ms', timeout: '200ms', healthyThreshold: 1 }
  const castor = await startTestCastor(t, [sound.address, killed.address], {
    workers: 2,
    group: { healthCheck, outlierDetection: { consecutiveFailures: 5, ejectFor: '1s' } },
  })
  let changed: Promise<void> = Promise.resolve()
  let requestsWhenBack = 0
  const { counts, lost } = await pipelinedLoad(castor.port, REQUESTS, CONNECTIONS, DEPTH, (answered) => {
    if (answered === REQUESTS / 4) changed = killed.kill()
    if (answered === REQUESTS / 2) {
      changed = changed.then(async () => {
        requestsWhenBack = (await shown(castor, killed.address)).requests
        await killed.start(SERVER)
      })
    }
  })
  await changed
  t.same([...counts], ALL_WELL)
  t.equal(lost, 0)
  t.ok((await shown(castor, killed.address)).requests > requestsWhenBack, 'it was used again')
})
