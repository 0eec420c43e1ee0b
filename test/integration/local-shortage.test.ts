import { type ClientHttp2Session, connect } from 'node:http2'
import t, { type Test } from 'tap'
import { findTool } from '../tools.js'
import { type ChildCastor, startChild } from './support/child-castor.js'
import { connectTo } from './support/http2-peers.js'
import { newNamespace } from './support/namespace.js'
import { get, RawClient, request } from './support/raw-client.js'
import { ok, RawTarget, type TargetConnection } from './support/raw-target.js'
import { until } from './support/until.js'

const CLIENTS = 6
const STREAMS = 128
const CHECK = { protocol: 'http', path: '/check', interval: '100ms', timeout: '1s' }

/** A target that keeps requests for /hold until it is told otherwise. */
class Keeper {
  readonly held: TargetConnection[] = []
  readonly target: RawTarget

  private constructor(target: RawTarget) {
    this.target = target
  }

  static async start(t: Test, host?: string): Promise<Keeper> {
    const target = await RawTarget.start({}, host)
    t.teardown(() => target.stop())
    const keeper = new Keeper(target)
    target.script = {
      answer: ({ target: path }, connection) => {
        if (path === '/hold') keeper.held.push(connection)
        else connection.write(ok(path))
      },
    }
    return keeper
  }

  release(): void {
    for (const connection of this.held.splice(0)) connection.write(ok('held'))
  }
}

/** What became of streams that all ask for something that is held. */
interface Greedy {
  readonly statuses: number[]
  readonly retryAfter: unknown[]
}

function holdStreams(session: ClientHttp2Session, greedy: Greedy, count = STREAMS): void {
  for (let i = 0; i < count; i++) {
    const stream = session.request({ ':path': '/hold' })
    stream.on('error', () => {})
    stream.on('response', (headers) => {
      greedy.statuses.push(Number(headers[':status']))
      greedy.retryAfter.push(headers['retry-after'])
      stream.resume()
    })
  }
}

/** Through a tcp listener: whether the target answered. */
async function tcpAnswers(port: number): Promise<boolean> {
  const client = await RawClient.connect(port)
  try {
    return (await client.exchange(get('/by-tcp'))).status === 200
  } finally {
    client.close()
  }
}

function twoListeners(targets: readonly string[], protection: object = {}) {
  const group = { targets: targets.map((address) => ({ address })), healthCheck: CHECK, outlierDetection: {} }
  return {
    workers: 2,
    protection,
    log: { level: 'info', access: 'off' },
    listeners: [
      { name: 'in', protocol: 'http', listen: '127.0.0.1:0', targetGroup: 'web', http2: true },
      { name: 'tcp', protocol: 'tcp', listen: '127.0.0.1:0', targetGroup: 'bytes' },
    ],
    targetGroups: [
      { name: 'web', protocol: 'http', ...group },
      { name: 'bytes', protocol: 'tcp', ...group },
    ],
  }
}

async function nothingIsHeldAgainstTargets(t: Test, castor: ChildCastor): Promise<void> {
  const metrics = await castor.metrics()
  t.equal(metrics.sum('castor_target_failures_total'), 0, 'no failure is counted for any target')
  t.same(new Set(metrics.all('castor_target_healthy')), new Set([1]), 'all are healthy')
  t.notMatch(castor.stderr, /target is unhealthy|EMFILE.*error/)
}

for (const [what, env] of [
  ['', {}],
  [' (without the addon)', { CASTOR_NATIVE: 'off' }],
] as const) {
  t.test(`six HTTP/2 clients of 128 streams cannot use up 700 descriptors${what}`, async (t) => {
    const keepers = [await Keeper.start(t), await Keeper.start(t)]
    const castor = await startChild(t, twoListeners(keepers.map(({ target }) => target.address)), {
      openFiles: 700,
      env,
    })
    const greedy: Greedy = { statuses: [], retryAfter: [] }
    const sessions: ClientHttp2Session[] = []
    for (let i = 0; i < CLIENTS; i++) sessions.push(await connectTo(t, castor.port()))
    for (const session of sessions) holdStreams(session, greedy)
    const held = (): number => keepers.reduce((sum, keeper) => sum + keeper.held.length, 0)
    // Those that got no socket are answered, the others held.
    await until('all streams held or answered', () => held() + greedy.statuses.length === CLIENTS * STREAMS, 10_000)
    t.comment(`${held()} held, ${greedy.statuses.length} refused`)
    t.ok(held() >= 100, 'they get what is there')
    t.same(new Set(greedy.statuses), new Set([503]))
    t.notOk(greedy.retryAfter.includes(undefined), 'with Retry-After')
    for (let i = 0; i < 10; i++) t.equal((await request(castor.port(), get('/'))).status, 200, 'others are served')
    t.ok(await tcpAnswers(castor.port('tcp')), 'by tcp as well')
    await nothingIsHeldAgainstTargets(t, castor)
    const metrics = await castor.metrics()
    t.equal(metrics.sum('castor_server_errors_total', 'reason="LOCAL_SHORTAGE"'), greedy.statuses.length)
    t.equal(metrics.sum('castor_health_checks_not_made_total'), 0, 'checks have descriptors of their own')
    t.match(castor.stderr, /no sockets left for connections to targets/)
    // Requests that wait are served by the connections that become free.
    const before = held()
    const more: Greedy = { statuses: [], retryAfter: [] }
    holdStreams(sessions[0]!, more, 30)
    await until('dials that wait', async () => (await castor.metrics()).sum('castor_worker_dials_waiting') > 0)
    for (const keeper of keepers) keeper.target.script = {}
    for (const keeper of keepers) keeper.release()
    await until('all answers', () => greedy.statuses.length + more.statuses.length === CLIENTS * STREAMS + 30)
    t.equal(greedy.statuses.filter((status) => status === 200).length, before)
    t.same(new Set(more.statuses), new Set([200]))
  })
}

const PORTS = 60

for (const [what, env] of [
  ['', {}],
  [' (without the addon)', { CASTOR_NATIVE: 'off' }],
] as const) {
  t.test(`out of ports, targets keep their good name${what}`, async (t) => {
    const ip = findTool('ip')
    let space: ReturnType<typeof newNamespace>
    try {
      space = newNamespace(t, { ip: ip!, iptables: findTool('iptables') ?? '' })
      space.limitPorts(41_000, 41_000 + PORTS - 1)
    } catch (cause) {
      t.plan(0, `no network namespace: ${String(cause)}`)
      return
    }
    const keeper = await Keeper.start(t, space.outside)
    const config = {
      workers: 1,
      log: { level: 'info', access: 'stdout' },
      listeners: [
        { name: 'in', protocol: 'http', listen: `${space.address}:0`, targetGroup: 'web', http2: true },
        { name: 'tcp', protocol: 'tcp', listen: `${space.address}:0`, targetGroup: 'bytes' },
      ],
      targetGroups: ['web', 'bytes'].map((name) => ({
        name,
        protocol: name === 'web' ? 'http' : 'tcp',
        targets: [{ address: keeper.target.address }],
        healthCheck: name === 'web' ? CHECK : { protocol: 'tcp', interval: '100ms', timeout: '1s' },
        outlierDetection: {},
      })),
    }
    const castor = await startChild(t, config, { within: space.enter, env })
    const session = connect(`http://${space.address}:${castor.port()}`)
    session.on('error', () => {})
    t.teardown(() => session.destroy())
    const greedy: Greedy = { statuses: [], retryAfter: [] }
    holdStreams(session, greedy, STREAMS)
    await until('all held or answered', () => keeper.held.length + greedy.statuses.length === STREAMS, 10_000)
    t.comment(`${keeper.held.length} held, ${greedy.statuses.length} refused`)
    t.ok(keeper.held.length >= PORTS / 2)
    t.same(new Set(greedy.statuses), new Set([503]))
    await until('a check that could not be made', () => castor.stderr.includes('health checks cannot be made'))
    const client = await RawClient.connect(castor.port('tcp'), space.address)
    t.equal(await client.ending(), 'reset', 'by tcp there is nobody to be told')
    keeper.target.script = {}
    keeper.release()
    for (const listener of ['in', 'tcp']) {
      // Without the addon a dial that the system refuses does not wait; it makes room for the next one.
      const served = await until(`an answer by ${listener}`, () =>
        request(castor.port(listener), get('/'), undefined, space.address),
      )
      t.equal(served.status, 200, `served by ${listener} when there is room`)
    }
    t.notMatch(castor.stderr, 'target is unhealthy')
    t.match(castor.stderr, '"missing":"EADDRNOTAVAIL"')
    await until('the log', () => castor.stdout.includes('"listener":"tcp"'))
    const reasons = castor.stdout.matchAll(/"reason":"([A-Z_]+)"/g)
    t.same(new Set([...reasons].map(([, reason]) => reason)), new Set(['LOCAL_SHORTAGE']))
  })
}
