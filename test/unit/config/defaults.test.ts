import t from 'tap'
import { addressRanges } from '../../../src/config/address-ranges.js'
import { formatProblem } from '../../../src/config/problems.js'
import { FAILURE_CONNECT, FAILURE_GATEWAY, FAILURE_RESET, FAILURE_TIMEOUT } from '../../../src/core/failure-kinds.js'
import { MACHINE, parse, SMALL } from './support.js'

t.test('the smallest file gets every documented default', (t) => {
  t.same(parse(SMALL), {
    node: 'test-host',
    workers: 4,
    plugins: [],
    log: { level: 'info', format: 'json', access: 'stdout', audit: 'stderr' },
    admin: { listen: [{ address: '127.0.0.1', port: 9900 }], token: '', tokens: [], hosts: [] },
    shutdownTimeoutMs: 30_000,
    upgradeTimeoutMs: 60_000,
    upgradeDrainMs: 3_600_000,
    drainDelayMs: 0,
    stateDir: '/state',
    reload: 'manual',
    secret: '',
    watchdogMs: 10_000,
    listeners: [
      {
        name: 'web',
        protocol: 'http',
        listen: [{ address: '127.0.0.1', port: 8080 }],
        targetGroup: 'app',
        idleTimeoutMs: 60_000,
        keepAliveSeconds: 60,
        halfClose: 'cancel',
        upgrades: ['websocket'],
        websocketIdleTimeoutMs: 60_000,
        acceptProxyProtocol: [],
        trustForwardedFrom: [],
        limits: {
          connections: Number.POSITIVE_INFINITY,
          requestsPerSecond: Number.POSITIVE_INFINITY,
          bodyBytes: Number.POSITIVE_INFINITY,
        },
        explainFrom: [],
        rules: [],
      },
    ],
    targetGroups: [
      {
        name: 'app',
        protocol: 'http',
        algorithm: 'round-robin',
        targets: [{ id: '127.0.0.1:9001', host: '127.0.0.1', port: 9001, weight: 10 }],
        proxyProtocol: 'off',
        keepAliveSeconds: 60,
        forwarded: { proto: true, port: true, host: true, vip: false, clientPort: false, rfc7239: false, via: false },
        retries: { attempts: 1, on: ['connect-failure', 'reset-before-response'], budgetPercent: 20 },
        hashOn: { by: 'source' },
        failOpen: false,
        healthCheck: {
          protocol: 'tcp',
          path: '/',
          host: '',
          port: 0,
          intervalMs: 5_000,
          timeoutMs: 3_000,
          healthyThreshold: 3,
          unhealthyThreshold: 3,
          codes: [[200, 399]],
          httpVersion: '1.1',
          service: '',
          verify: false,
          proxyProtocol: 'off',
        },
        outlierDetection: {
          on: FAILURE_CONNECT | FAILURE_RESET | FAILURE_TIMEOUT | FAILURE_GATEWAY,
          failurePercent: 50,
          minRequests: 20,
          windowMs: 10_000,
          consecutiveFailures: 5,
          ejectForMs: 30_000,
          maxEjectedPercent: 50,
        },
        panicPercent: 50,
        tolerate: 0,
        stickiness: { type: 'off' },
        slowStartMs: 0,
        drainingMs: 300_000,
        timeouts: { connectMs: 5_000, responseMs: 60_000 },
        maxConnectionsPerTarget: 0,
        queue: { size: 0, timeoutMs: 1_000 },
      },
    ],
    protection: {
      headerTimeoutMs: 10_000,
      firstByteTimeoutMs: 10_000,
      bodyMinRateBytesPerSecond: 500,
      maxHeaderBytes: 32_768,
      maxHeaders: 128,
      maxConnections: 'auto',
      allow: { items: ['127.0.0.0/8', '::1/128'], ranges: addressRanges(['127.0.0.0/8', '::1/128']) },
      deny: { items: [], ranges: addressRanges([]) },
      connectionsPerSource: 10_000,
      newConnectionsPerSource: 1_000,
      handshakesPerSource: 100,
      requestsPerSource: Number.POSITIVE_INFINITY,
    },
    vips: [],
    sessions: { capacity: 131_072 },
    reserve: { targets: 256 },
  })
  t.end()
})

t.test('every value that a file may give arrives in the program’s units', (t) => {
  const config = parse(`
node: lb-a
workers: 2
log: { level: debug, format: pretty, access: /var/log/castor/access.log }
admin: { listen: "[::]:9901", token: s3cret }
shutdownTimeout: 2m
drainDelay: 3s
listeners:
  - name: db
    protocol: tcp
    listen: [10.0.0.1:5432, "[::1]:0"]
    targetGroup: replicas
    acceptProxyProtocol: [10.0.0.0/8, "::1/128"]
  - name: web
    protocol: http
    listen: 0.0.0.0:80
    targetGroup: app
    idleTimeout: 5m
    websocketIdleTimeout: 24h
    halfClose: keep
    upgrades: [websocket, SPDY/3.1]
    trustForwardedFrom: [192.0.2.0/24]
targetGroups:
  - name: replicas
    protocol: tcp
    algorithm: least-connections
    proxyProtocol: v2
    retries: off
    targets: [{ address: "[2001:db8::5]:5432", id: one, weight: 0 }, { address: db:5432, weight: 100 }]
    timeouts: { connect: 250ms }
  - name: app
    protocol: http
    algorithm: random-two
    forwarded: { proto: off, vip: on, via: true, port: false }
    retries: { attempts: 3, on: [connect-failure] }
    targets: []
    timeouts: { response: 1h }
    maxConnectionsPerTarget: 100
    queue: { size: 5000, timeout: 250ms }
protection: { headerTimeout: 3s, bodyMinRate: 1KiB/s, maxHeaderBytes: 64KiB, maxHeaders: 50, maxConnections: 5000 }
`)
  t.equal(config.node, 'lb-a')
  t.equal(config.workers, 2)
  t.same(config.log, { level: 'debug', format: 'pretty', access: '/var/log/castor/access.log', audit: 'stderr' })
  t.same(config.admin, { listen: [{ address: '::', port: 9901 }], token: 's3cret', tokens: [], hosts: [] })
  t.equal(config.shutdownTimeoutMs, 120_000)
  t.equal(config.drainDelayMs, 3_000)
  const [db, web] = config.listeners
  t.same(db?.listen, [
    { address: '10.0.0.1', port: 5432 },
    { address: '::1', port: 0 },
  ])
  t.equal(db?.idleTimeoutMs, 1_800_000, 'tcp listeners wait longer by default')
  t.same(db?.acceptProxyProtocol, ['10.0.0.0/8', '::1/128'])
  t.equal(web?.idleTimeoutMs, 300_000)
  t.equal(web?.websocketIdleTimeoutMs, 86_400_000)
  t.equal(web?.halfClose, 'keep')
  t.same(web?.upgrades, ['websocket', 'SPDY/3.1'])
  t.same(web?.trustForwardedFrom, ['192.0.2.0/24'])
  const [replicas, app] = config.targetGroups
  t.equal(replicas?.proxyProtocol, 'v2')
  t.same(replicas?.retries, { attempts: 0, on: [], budgetPercent: 0 })
  t.same(replicas?.targets, [
    { id: 'one', host: '2001:db8::5', port: 5432, weight: 0 },
    { id: 'db:5432', host: 'db', port: 5432, weight: 100 },
  ])
  t.same(replicas?.timeouts, { connectMs: 250, responseMs: 60_000 })
  t.same(app?.forwarded, {
    proto: false,
    port: false,
    host: true,
    vip: true,
    clientPort: false,
    rfc7239: false,
    via: true,
  })
  t.same(app?.retries, { attempts: 3, on: ['connect-failure'], budgetPercent: 20 })
  t.same(app?.targets, [])
  t.same(app?.timeouts, { connectMs: 5_000, responseMs: 3_600_000 })
  t.equal(app?.maxConnectionsPerTarget, 100)
  t.same(app?.queue, { size: 5_000, timeoutMs: 250 })
  t.match(config.protection, {
    headerTimeoutMs: 3_000,
    firstByteTimeoutMs: 10_000,
    bodyMinRateBytesPerSecond: 1_024,
    maxHeaderBytes: 65_536,
    maxHeaders: 50,
    maxConnections: 5_000,
  })
  t.end()
})

t.test('WebSockets on a listener wait as long as its other connections unless told otherwise', (t) => {
  const config = parse(SMALL, { set: ['listeners.0.idleTimeout=7s'] })
  t.equal(config.listeners[0]?.websocketIdleTimeoutMs, 7_000)
  t.end()
})

t.test('auto takes no more threads than the limit', (t) => {
  t.equal(parse(SMALL, { machine: { ...MACHINE, cores: () => 1_000 } }).workers, 256)
  t.end()
})

t.test('a host name that is no name is made one', (t) => {
  const named = (hostName: string) => parse(SMALL, { machine: { ...MACHINE, hostName: () => hostName } }).node
  t.equal(named('lb-a.example'), 'lb-a.example')
  t.equal(named('büro pc'), 'b-ro-pc')
  t.equal(named('x'.repeat(70)).length, 64)
  t.equal(named(''), 'node')
  t.end()
})

t.test('off may be what an old YAML editor makes of it', (t) => {
  const text = SMALL.replace('targets:', 'retries: false\n    proxyProtocol: false\n    targets:')
  const group = parse(text).targetGroups[0]
  t.equal(group?.retries.attempts, 0)
  t.equal(group?.proxyProtocol, 'off')
  t.end()
})

t.test('a part that is written once may be taken over with an anchor', (t) => {
  const config = parse(`
listeners:
  - &base { name: a, protocol: http, listen: 127.0.0.1:1001, targetGroup: app, idleTimeout: 9s }
  - { <<: *base, name: b, listen: 127.0.0.1:1002 }
targetGroups:
  - { name: app, protocol: http, targets: [{ address: "app:80" }] }
`)
  t.same(
    config.listeners.map((listener) => [listener.name, listener.listen[0]?.port, listener.idleTimeoutMs]),
    [
      ['a', 1001, 9_000],
      ['b', 1002, 9_000],
    ],
  )
  t.end()
})

t.test('upgrades: any is taken in both forms, and warned of', async (t) => {
  for (const written of ['any', '[any]', '[websocket, any]']) {
    const warnings: string[] = []
    const text = SMALL.replace('protocol: http', `protocol: http\n    upgrades: ${written}`)
    const config = parse(text, { onWarning: (warning) => warnings.push(formatProblem(warning)) })
    t.ok(config.listeners[0]!.upgrades.includes('any'))
    t.equal(warnings.length, 1, written)
    t.match(warnings[0], /^test\.yaml:4:15: listeners\.0\.upgrades: lets clients talk to targets in every protocol/)
  }
})
