import t from 'tap'
import { startBalancer } from './support/balancer.js'
import { startTestCastor } from './support/castor.js'
import { patch, shown } from './support/operator.js'
import { get, RawClient, request } from './support/raw-client.js'
import { ok, RawTarget } from './support/raw-target.js'
import { echo, TcpTarget } from './support/tcp-peers.js'
import { until } from './support/until.js'

const CHECK = { protocol: 'http', path: '/health', interval: '100ms', timeout: '1s', healthyThreshold: 1 }

t.test('with failOpen every target that the operator has left in is tried, until one is well', async (t) => {
  const well = new Set<string>()
  const start = async (name: string): Promise<RawTarget> => {
    const target = await RawTarget.start({
      answer: (asked, connection) => {
        const answer = asked.target !== '/health' ? ok(name) : ok('', [], well.has(name) ? '200 OK' : '503 No')
        connection.write(answer)
      },
    })
    t.teardown(() => target.stop())
    return target
  }
  const [one, two, three] = [await start('one'), await start('two'), await start('three')]
  const addresses = [one, two, three].map(({ address }) => address)
  const castor = await startTestCastor(t, addresses, { group: { healthCheck: CHECK, failOpen: true } })
  const answering = async (): Promise<string[]> => {
    const answers = new Set<string>()
    for (let i = 0; i < 9; i++) {
      const { status, text } = await request(castor.port, get('/'))
      answers.add(status === 200 ? text : String(status))
    }
    return [...answers].sort()
  }
  t.same(await answering(), ['one', 'three', 'two'], 'all of them are down, and all of them are tried')
  await patch(castor, one.address, { state: 'maintenance' })
  await patch(castor, two.address, { state: 'draining' })
  t.same(await answering(), ['three'], 'none that was taken out')
  await patch(castor, three.address, { state: 'maintenance' })
  t.same(await answering(), ['503'], 'nobody is left to try')
  for (const address of addresses) await patch(castor, address, { state: 'active' })
  t.same(await answering(), ['one', 'three', 'two'])
  well.add('two')
  await until('two being well', async () => (await shown(castor, two.address)).health === 'healthy')
  t.same(await answering(), ['two'], 'the others are not tried any more')
})

t.test('a tcp group whose targets are all down turns clients away, or tries them with failOpen', async (t) => {
  // It accepts connections and does not answer HTTP, which is what is checked.
  const target = await TcpTarget.start(t, echo)
  const group = { protocol: 'tcp', targets: [{ address: target.address }] }
  const healthCheck = { ...CHECK, timeout: '200ms' }
  const castor = await startBalancer(t, {
    workers: 1,
    listeners: ['closed', 'open'].map((name) => ({
      name,
      protocol: 'tcp',
      listen: '127.0.0.1:0',
      targetGroup: name,
    })),
    targetGroups: [
      { ...group, name: 'closed', healthCheck },
      { ...group, name: 'open', healthCheck, failOpen: true },
    ],
  })
  // The reset may come before this thread has seen that it is connected.
  const turnedAway = await RawClient.connect(castor.portOf('closed')).then(
    (client) => client.ending(),
    ({ code }: NodeJS.ErrnoException) => (code === 'ECONNRESET' ? 'reset' : code),
  )
  t.equal(turnedAway, 'reset')
  const tried = await RawClient.connect(castor.portOf('open'))
  tried.send('hello\r\n')
  t.equal(await tried.reader.line(), 'hello')
  tried.close()
})
