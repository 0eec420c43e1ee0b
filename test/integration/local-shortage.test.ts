import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type ClientHttp2Session, connect, createSecureServer, type Http2SecureServer } from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { findTool } from '../tools.js'
import { type ChildCastor, startChild } from './support/child-castor.js'
import { connectTo } from './support/http2-peers.js'
import { Metrics } from './support/metrics.js'
import { newNamespace } from './support/namespace.js'
import { get, RawClient, type RawResponse, request } from './support/raw-client.js'
import { ok, RawTarget, type TargetConnection } from './support/raw-target.js'
import { authorityFor } from './support/tls.js'
import { until } from './support/until.js'

const CLIENTS = 3
const STREAMS = 128
const DESCRIPTORS = 400
const CHECK = { protocol: 'http', path: '/check', interval: '100ms', timeout: '30s' }
/** What is tried here is what is missing, not how soon targets take a connection: they are in one process with all clients. */
const PATIENT = { connect: '1m' }

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
  const group = {
    targets: targets.map((address) => ({ address })),
    timeouts: PATIENT,
    healthCheck: CHECK,
    outlierDetection: {},
  }
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
  t.test(`HTTP/2 clients with more streams than there are descriptors cannot use them up${what}`, async (t) => {
    const keepers = [await Keeper.start(t), await Keeper.start(t)]
    const castor = await startChild(t, twoListeners(keepers.map(({ target }) => target.address)), {
      openFiles: DESCRIPTORS,
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
    t.ok(held() >= DESCRIPTORS / 8, 'they get what is there')
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

/** How a connection ends that nothing is sent on: it may be reset before this process has seen that it stands. */
async function endOf(port: number, host: string): Promise<string> {
  try {
    return await (await RawClient.connect(port, host)).ending()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ECONNRESET') return 'reset'
    throw error
  }
}

const PORTS = 40

/** A TLS server for HTTP/1.1 and HTTP/2 that keeps requests for /hold until it is told otherwise. */
class SecureKeeper {
  readonly held: { end(text: string): unknown }[] = []
  holds = true
  readonly server: Http2SecureServer

  private constructor(identity: { readonly cert: Buffer; readonly key: Buffer }) {
    this.server = createSecureServer({ ...identity, allowHTTP1: true }, (request, response) => {
      if (request.url === '/hold' && this.holds) this.held.push(response)
      else response.end(request.url)
    })
  }

  static async start(t: Test, host: string): Promise<SecureKeeper> {
    const { cert, key } = authorityFor(t).issue('target')
    const keeper = new SecureKeeper({ cert: readFileSync(cert), key: readFileSync(key) })
    const { server } = keeper
    const sockets = new Set<Socket>()
    server.on('connection', (socket: Socket) => {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
    })
    server.on('sessionError', () => {}).on('tlsClientError', () => {})
    server.listen(0, host)
    await once(server, 'listening')
    t.teardown(() => {
      for (const socket of sockets) socket.destroy()
      server.close()
    })
    return keeper
  }

  get address(): string {
    const { address, port } = this.server.address() as AddressInfo
    return `${address}:${port}`
  }

  release(): void {
    this.holds = false
    for (const response of this.held.splice(0)) response.end('held')
  }
}

const UPGRADE = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  `Sec-WebSocket-Key: ${'A'.repeat(22)}==`,
]
const SWITCHING = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'

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
    const secure = await SecureKeeper.start(t, space.outside)
    const groups = [
      { name: 'in', protocol: 'http', target: keeper.target.address, check: CHECK },
      { name: 'tcp', protocol: 'tcp', target: keeper.target.address, check: { protocol: 'tcp', interval: '100ms' } },
      // What checks over TLS leave behind takes a port for a minute.
      { name: 'https', protocol: 'https', target: secure.address, check: { protocol: 'https', interval: '300ms' } },
      { name: 'h2', protocol: 'h2', target: secure.address, check: { protocol: 'h2', interval: '2s' } },
      { name: 'tls', protocol: 'tls', target: secure.address, check: { protocol: 'https', interval: '2s' } },
    ]
    const config = {
      workers: 1,
      log: { level: 'info', access: 'stdout' },
      listeners: groups.map(({ name, protocol }) => {
        const own = protocol === 'tcp' || protocol === 'tls' ? { protocol: 'tcp' } : { protocol: 'http', http2: true }
        return { name, ...own, listen: `${space.address}:0`, targetGroup: name }
      }),
      targetGroups: groups.map(({ name, protocol, target, check }) => ({
        name,
        protocol,
        targets: [{ address: target }],
        timeouts: PATIENT,
        healthCheck: { ...check, timeout: '30s' },
        outlierDetection: {},
        ...(target === secure.address ? { tls: { verify: false } } : {}),
      })),
    }
    const castor = await startChild(t, config, { within: space.enter, env })
    const ask = (listener: string, lines: readonly string[] = []): Promise<RawResponse> =>
      request(castor.port(listener), get('/', lines), undefined, space.address)
    const greedy: Greedy = { statuses: [], retryAfter: [] }
    for (const [listener, held] of [
      ['in', keeper.held],
      ['https', secure.held],
    ] as const) {
      const before = greedy.statuses.length
      const session = connect(`http://${space.address}:${castor.port(listener)}`)
      session.on('error', () => {})
      t.teardown(() => session.destroy())
      holdStreams(session, greedy, STREAMS)
      const answered = (): number => held.length + greedy.statuses.length - before
      await until('all held or answered', () => answered() === STREAMS, 10_000)
      t.comment(`${held.length} held, ${greedy.statuses.length - before} refused by ${listener}`)
      t.ok(held.length >= PORTS / 2)
    }
    t.same(new Set(greedy.statuses), new Set([503]))
    await until('a check that could not be made', () => castor.stderr.includes('health checks cannot be made'))
    const readMetrics = async (): Promise<Metrics> => {
      const [file, ...rest] = [...space.enter, findTool('curl')!, '-s', `http://127.0.0.1:${castor.adminPort}/metrics`]
      return new Metrics((await promisify(execFile)(file!, rest)).stdout)
    }
    const notMade = async (): Promise<number> => (await readMetrics()).sum('castor_health_checks_not_made_total')
    t.equal((await ask('in', UPGRADE)).status, 503, 'no WebSocket either')
    t.equal((await ask('h2')).status, 503, 'nor HTTP/2 to the target')
    for (const listener of ['tcp', 'tls']) {
      t.equal(await endOf(castor.port(listener), space.address), 'reset', `by ${listener} there is nobody to be told`)
    }
    const before = await notMade()
    await until('more checks that could not be made', async () => (await notMade()) > before + 10)
    const metrics = await readMetrics()
    t.equal(metrics.sum('castor_target_failures_total'), 0, 'no failure is counted for any target')
    t.same(new Set(metrics.all('castor_target_healthy')), new Set([1]), 'all are healthy')
    keeper.target.script = {
      answer: ({ header, target }, connection) =>
        connection.write(header('upgrade') === undefined ? ok(target) : SWITCHING),
    }
    keeper.release()
    secure.release()
    for (const [listener, status, lines] of [
      ['in', 200, []],
      ['in', 101, UPGRADE],
      ['tcp', 200, []],
      ['https', 200, []],
      ['h2', 200, []],
      ['tls', 200, []],
    ] as const) {
      // Without the addon a dial that the system refuses does not wait; it makes room for the next one.
      const served = await until(`${status} by ${listener}`, async () => {
        const answer = await ask(listener, lines)
        return answer.status === status && answer
      })
      t.equal(served.status, status, `served by ${listener} when there is room`)
    }
    t.notMatch(castor.stderr, 'target is unhealthy')
    t.match(castor.stderr, '"missing":"EADDRNOTAVAIL"')
    await until('the log', () => ['tcp', 'tls'].every((name) => castor.stdout.includes(`"listener":"${name}"`)))
    const reasons = castor.stdout.matchAll(/"reason":"([A-Z_0-9]+)"/g)
    t.same(new Set([...reasons].map(([, reason]) => reason)), new Set(['LOCAL_SHORTAGE']))
  })
}
