import t from 'tap'
import { startTestCastor } from './support/castor.js'
import { shown, shownTargets } from './support/operator.js'
import { get, RawClient, request } from './support/raw-client.js'
import { RawTarget } from './support/raw-target.js'
import { refusingAddress } from './support/tcp-peers.js'
import { until } from './support/until.js'

t.test('a refusing target costs clients nothing', async (t) => {
  const sound = await RawTarget.start()
  t.teardown(() => sound.stop())
  const refusing = await refusingAddress()
  const outlierDetection = { consecutiveFailures: 3, ejectFor: '60s' }
  const castor = await startTestCastor(t, [sound.address, refusing], { workers: 2, group: { outlierDetection } })
  const failed: number[] = []
  const clients = Array.from({ length: 8 }, async () => {
    const client = await RawClient.connect(castor.port)
    for (let i = 0; i < 250; i++) {
      const { status } = await client.exchange(get('/'))
      if (status !== 200) failed.push(status)
    }
    client.close()
  })
  await Promise.all(clients)
  t.same(failed, [], 'none of 2,000 requests failed')
  t.equal((await shown(castor, refusing)).health, 'ejected')
})

t.test('never more than the share that may be ejected, and a 5xx streak counts', async (t) => {
  const targets = await Promise.all(
    Array.from({ length: 4 }, () =>
      RawTarget.start({
        answer: (_, connection) => connection.write('HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n'),
      }),
    ),
  )
  for (const target of targets) t.teardown(() => target.stop())
  const outlierDetection = { consecutiveFailures: 2, ejectFor: '60s', maxEjectedPercent: 50 }
  const addresses = targets.map(({ address }) => address)
  const castor = await startTestCastor(t, addresses, { group: { outlierDetection } })
  for (let i = 0; i < 60; i++) await request(castor.port, get('/'))
  t.equal((await shownTargets(castor)).filter(({ health }) => health === 'ejected').length, 2)
})

t.test('an ejection ends, and the next in a row lasts longer', async (t) => {
  const sound = await RawTarget.start()
  t.teardown(() => sound.stop())
  const refusing = await refusingAddress()
  const outlierDetection = { consecutiveFailures: 1, ejectFor: '300ms' }
  const castor = await startTestCastor(t, [sound.address, refusing], { group: { outlierDetection } })
  const lasted: number[] = []
  for (let ejection = 0; ejection < 2; ejection++) {
    await until('an ejection', async () => {
      await request(castor.port, get('/'))
      return (await shown(castor, refusing)).health === 'ejected'
    })
    const begunMs = performance.now()
    await until('its end', async () => (await shown(castor, refusing)).health !== 'ejected')
    lasted.push(performance.now() - begunMs)
  }
  t.ok(lasted[0]! > 150 && lasted[0]! < 550, `${lasted[0]} ms`)
  t.ok(lasted[1]! > 450, `${lasted[1]} ms`)
})
