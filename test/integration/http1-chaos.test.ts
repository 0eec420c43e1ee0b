import t from 'tap'
import type { Columns } from '../../src/shm/columns.js'
import { SEED, seededRandom } from '../random.js'
import { startTestCastor, UNWATCHED } from './support/castor.js'
import { get, RawClient, request } from './support/raw-client.js'
import { answer, ok, RawTarget, type TargetConnection, type TargetRequest } from './support/raw-target.js'
import { eventually } from './support/waiting.js'

const CLIENTS = 160

/** Ways for a target to answer, by the request target. */
const TARGETS: Readonly<Record<string, (request: TargetRequest, connection: TargetConnection) => unknown>> = {
  '/length': ({ text }, connection) => connection.write(ok(`${text}!`)),
  '/chunks': (_, connection) =>
    connection.write(answer('200 OK', ['Transfer-Encoding: chunked'], '2\r\nok\r\n0\r\n\r\n')),
  '/until-close': (_, connection) => connection.end(answer('200 OK', [], 'until close')),
  '/close': (_, connection) => connection.end(ok('bye', ['Connection: close'])),
  '/interim': (_, connection) => connection.write(`${answer('102 Processing')}${ok('late')}`),
  '/silent': () => {},
  '/end': (_, connection) => connection.end(),
  '/reset': (_, connection) => connection.reset(),
  '/half-head': (_, connection) => connection.write('HTTP/1.1 200 O'),
  '/half-body': (_, connection) => connection.write(answer('200 OK', ['Content-Length: 100'], 'half')),
  '/cut': (_, connection) => connection.end(answer('200 OK', ['Content-Length: 100'], 'half')),
  '/cut-hard': (_, connection) => {
    connection.write(answer('200 OK', ['Transfer-Encoding: chunked'], '64\r\nhalf'))
    setImmediate(() => connection.reset())
  },
  '/nonsense': (_, connection) => connection.write('what?\r\n\r\n'),
  '/extra': (_, connection) => connection.write(ok('right') + ok('wrong')),
  '/large': (_, connection) => {
    connection.write(answer('200 OK', ['Content-Length: 3000000']))
    connection.write(Buffer.alloc(3_000_000))
  },
  // Has answered before the body was there, see below.
  '/early': () => {},
}
const PATHS = Object.keys(TARGETS)

t.test('whatever clients and targets do to each other, nothing is left behind and nobody else suffers', async (t) => {
  t.comment(`seed ${SEED}`)
  const random = seededRandom(SEED)
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!
  const target = await RawTarget.start({
    onHead: (head, connection) => {
      if (head.startLine.includes('/early')) connection.write(ok('early', [], '413 Too Large'))
    },
    answer: (request, connection) => TARGETS[request.target]!(request, connection),
  })
  t.teardown(() => target.stop())
  const pair = (name: string, response: string, more: object = {}) => ({
    listener: { name, protocol: 'http', listen: '127.0.0.1:0', targetGroup: name, ...more },
    group: { name, protocol: 'http', targets: [{ address: target.address }], timeouts: { response }, ...UNWATCHED },
  })
  const wild = pair('wild', '1500ms', { idleTimeout: '1s' })
  // The target is in this process, which is as busy as its clients are: being served does not mean within 1.5 s.
  const calm = pair('calm', '60s')
  const castor = await startTestCastor(t, [], {
    workers: 2,
    protection: { headerTimeout: '1s' },
    more: { listeners: [wild.listener, calm.listener], targetGroups: [wild.group, calm.group] },
  })
  const portOf = (listener: string): number => castor.running.listeners.find(({ name }) => name === listener)!.port
  const [port, calmPort] = [portOf('wild'), portOf('calm')]

  /** One client's life: some requests, and one of many ends at a moment of its own. */
  const live = async (): Promise<void> => {
    const client = await RawClient.connect(port)
    client.socket.on('error', () => {})
    const parts: string[] = []
    for (let i = 0, count = 1 + Math.floor(random() * 3); i < count; i++) {
      const path = pick(PATHS)
      const body = 'x'.repeat(Math.floor(random() * 50_000))
      if (random() < 0.5) parts.push(get(path))
      else parts.push(`${get(path, [`Content-Length: ${body.length}`], pick(['POST', 'PUT']))}${body}`)
    }
    let bytes = parts.join('')
    if (random() < 0.1) bytes += 'nonsense\r\n\r\n'
    if (random() < 0.3) bytes = bytes.slice(0, Math.floor(random() * bytes.length))
    const cut = Math.floor(random() * bytes.length)
    client.send(bytes.slice(0, cut))
    await new Promise((resolve) => setTimeout(resolve, random() * 20))
    client.send(bytes.slice(cut))
    const end = pick(['close', 'reset', 'half', 'wait', 'stop reading'] as const)
    if (end === 'stop reading') client.socket.pause()
    await new Promise((resolve) => setTimeout(resolve, random() * 100))
    if (end === 'half') client.half()
    // Those that wait are ended by the balancer, at the latest by its idle time-out.
    if (end === 'half' || end === 'wait') await client.ending(10_000)
    if (end === 'reset') client.reset()
    else client.close()
  }

  let running = true
  const lives = Promise.all(
    Array.from({ length: 40 }, async () => {
      for (let i = 0; i < CLIENTS / 40; i++) await live()
    }),
  ).finally(() => {
    running = false
  })
  // Meanwhile somebody well-behaved is served as if alone.
  let served = 0
  while (running) {
    const body = `well-behaved ${served}`
    const response = await request(calmPort, `${get('/length', [`Content-Length: ${body.length}`], 'PUT')}${body}`)
    if (response.status !== 200 || response.text !== `${body}!`) {
      t.fail(`a well-behaved client got ${response.status} ${response.text.slice(0, 100)}`)
      break
    }
    served++
  }
  await lives
  t.ok(served > 10, `${served} requests of the well-behaved client`)

  /** Summed over both listeners or groups; NaN where a series is missing. */
  const gauge = async (series: (name: string) => string): Promise<number> => {
    const metrics = await castor.metrics()
    return ['wild', 'calm'].reduce((sum, name) => sum + (metrics.get(series(name)) ?? Number.NaN), 0)
  }
  await eventually(
    'no client connection is left',
    async () => (await gauge((name) => `castor_connections_active{listener="${name}"}`)) === 0,
  )
  const connections = (group: string): string =>
    `castor_target_connections_active{target_group="${group}",target="${target.address}"}`
  const open = (): number =>
    target.connections.filter(({ socket, ended }) => !socket.destroyed && ended === undefined).length
  await eventually(
    'the connections counted are those that the target sees',
    async () => (await gauge(connections)) === open(),
  )
  const { columns } = (castor.running as unknown as { readonly facts: { readonly columns: Columns } }).facts
  t.same(
    [0, 1].map((slot) => columns.inFlight(slot)),
    [0, 0],
    'no request is counted as in flight',
  )
  t.same(
    castor.log.filter((line) => line.includes('"level":"error"')),
    [],
    'no fault was met',
  )
  for (let i = 0; i < 20; i++) t.equal((await request(port, get('/length'))).text, '!')
})
