import type { IncomingMessage } from 'node:http'
import t from 'tap'
import { readStatusReport } from '../../../src/cli/status-report.js'
import { statusView } from '../../../src/cli/status-view.js'
import { paletteFor } from '../../../src/cli/table.js'
import { castor, closedPort, RunningCommand, SMALL_CONFIG, serve } from './castor.js'

const REPORT = {
  node: 'lb-a',
  version: '1.2.3',
  uptimeMs: 3_723_000,
  state: 'running',
  health: 'healthy',
  problems: [],
  workers: [
    { id: 1, state: 'running', connections: 3, restarts: 0, loopDelayMs: { p50: 1, p99: 2, max: 3 } },
    { id: 2, state: 'restarting', connections: 0, restarts: 2, loopDelayMs: { p50: 1, p99: 2, max: 3 } },
  ],
  listeners: [
    {
      name: 'web',
      protocol: 'http',
      addresses: ['0.0.0.0:8080', '[::]:8080'],
      targetGroup: 'app',
      connections: 12,
      connectionsTotal: 345,
      requests: 1_234_567,
      receivedBytes: 1_536,
      sentBytes: 5_368_709_120,
      errors: { client: 3, server: 0, reasons: { BAD_REQUEST: 3 } },
    },
  ],
  targetGroups: [
    {
      name: 'app',
      protocol: 'http',
      algorithm: 'round-robin',
      targets: [
        {
          id: 'one',
          address: '10.0.0.1:80',
          weight: 10,
          state: 'active',
          health: 'healthy',
          reason: null,
          since: '2026-01-01T00:00:00.000Z',
          connections: 4,
          requests: 99,
          latency: { p50: 0.42, p99: 12.34 },
        },
        {
          id: 'two',
          address: '10.0.0.2:80',
          weight: 0,
          state: 'draining',
          health: 'unhealthy',
          reason: 'CONNECT_FAILED',
          since: '2026-01-01T00:00:00.000Z',
          connections: 0,
          requests: 0,
          latency: { p50: null, p99: null },
        },
      ],
    },
  ],
}

const VIEW = `castor lb-a  version 1.2.3  running  healthy  up 1h 2m  workers 1/2  2 restarts

LISTENER  PROTOCOL  ADDRESS                  GROUP  CONNECTIONS   REQUESTS       IN      OUT  CLIENT ERRORS  SERVER ERRORS
web       http      0.0.0.0:8080, [::]:8080  app             12  1,234,567  1.5 KiB  5.0 GiB              3              0

group app (http, round-robin)
TARGET  ADDRESS      WEIGHT  STATE     HEALTH                      CONNECTIONS  REQUESTS      P50      P99
one     10.0.0.1:80      10  active    healthy                               4        99  0.42 ms  12.3 ms
two     10.0.0.2:80       0  draining  unhealthy (CONNECT_FAILED)            0         0        –        –
`

/** A stand-in for the admin API: the status, for those who bring the token. */
async function admin(t: Tap, report: unknown, token = '') {
  const seen: IncomingMessage[] = []
  const { server, address } = await serve((request, response) => {
    seen.push(request)
    if (token !== '' && request.headers.authorization !== `Bearer ${token}`) response.statusCode = 401
    else if (request.url !== '/api/v1/status') response.statusCode = 404
    response.end(response.statusCode === 200 ? JSON.stringify(report) : 'no')
  })
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { address, seen }
}
type Tap = typeof t

t.test('a group with a queue shows who waits in it', async (t) => {
  const cases = [
    [{ waiting: 0, size: 0 }, 'group app (http, round-robin)\n'],
    [{ waiting: 1_234, size: 5_000 }, 'group app (http, round-robin)  waiting 1,234 of 5,000\n'],
  ] as const
  for (const [queue, title] of cases) {
    const { address } = await admin(t as Tap, { ...REPORT, targetGroups: [{ ...REPORT.targetGroups[0], queue }] })
    const { stdout } = await castor(['status', '--admin', address])
    t.ok(stdout.includes(title), stdout)
  }
})

t.test('a group that ignores ejections says so', async (t) => {
  const group = { ...REPORT.targetGroups[0], panic: true }
  const { address } = await admin(t as Tap, { ...REPORT, targetGroups: [group] })
  const { stdout } = await castor(['status', '--admin', address])
  t.match(stdout, 'group app (http, round-robin)  panic: ejections are ignored\n')
})

t.test('the status is shown as tables, without colours where nobody sees them', async (t) => {
  const { address } = await admin(t as Tap, REPORT)
  t.same(await castor(['status', '--admin', address]), { code: 0, stdout: VIEW, stderr: '' })
  t.same(await castor(['status', '--admin', `http://${address}/`]), { code: 0, stdout: VIEW, stderr: '' })
})

t.test('--json passes on what the API says, also what this version does not know', async (t) => {
  const answer = { ...REPORT, more: { to: 'come' } }
  const { address } = await admin(t as Tap, answer)
  const { code, stdout } = await castor(['status', '--json', '--admin', address])
  t.equal(code, 0)
  t.same(JSON.parse(stdout), answer)
})

t.test('degraded exits 1 and says why', async (t) => {
  const { address } = await admin(t as Tap, {
    ...REPORT,
    health: 'degraded',
    problems: ['worker 2 is being restarted'],
  })
  const { code, stdout } = await castor(['status', '--admin', address])
  t.equal(code, 1)
  t.match(stdout, /running {2}degraded/)
  t.match(stdout, /^! worker 2 is being restarted$/m)
})

t.test('nothing there exits 3', async (t) => {
  const address = await closedPort()
  t.same(await castor(['status', '--admin', address]), {
    code: 3,
    stdout: '',
    stderr: `castor does not answer at http://${address}: connection refused; is it running?\n`,
  })
  // Browsers, and fetch, refuse to speak to this one.
  const barred = await castor(['status', '--admin', '127.0.0.1:1'])
  t.match(barred, { code: 3, stderr: /connection refused/ })
})

t.test('something else there exits 3', async (t) => {
  for (const answer of ['hello', { node: 5 }, []]) {
    const { address } = await admin(t as Tap, answer)
    const { code, stderr } = await castor(['status', '--admin', address])
    t.equal(code, 3)
    t.match(stderr, /answers 200, but not with the status of a castor/)
  }
})

t.test('the token comes from the option, the file or the environment', async (t) => {
  const { address } = await admin(t as Tap, REPORT, 's3cret')
  const cwd = t.testdir({ 'castor.yaml': `admin: { listen: "${address}", token: s3cret }\n${SMALL_CONFIG}` })
  const ways: { args: string[]; env?: Record<string, string>; code: number }[] = [
    { args: ['--admin', address], code: 3 },
    { args: ['--admin', address, '--token', 'wrong'], code: 3 },
    { args: ['--admin', address, '--token', 's3cret'], code: 0 },
    { args: ['--admin', address], env: { CASTOR_TOKEN: 's3cret' }, code: 0 },
    { args: ['-c', 'castor.yaml'], code: 0 },
    { args: ['-c', 'castor.yaml', '--token', 'wrong'], code: 3 },
    { args: ['-c', 'nowhere.yaml'], code: 2 },
  ]
  const outcomes = await Promise.all(ways.map(({ args, env = {} }) => castor(['status', ...args], { cwd, env })))
  for (const [index, { args, env, code }] of ways.entries()) {
    t.equal(outcomes[index]?.code, code, `${args.join(' ')} ${JSON.stringify(env)}`)
    const wanted = args.includes('wrong') ? 'another token' : 'a token'
    if (code === 3) t.match(outcomes[index]?.stderr, `wants ${wanted}; give it with --token or CASTOR_TOKEN`)
  }
})

t.test('a file that leaves the admin port to the system cannot say where it is', async (t) => {
  const cwd = t.testdir({ 'castor.yaml': `admin: { listen: 127.0.0.1:0 }\n${SMALL_CONFIG}` })
  const { code, stderr } = await castor(['status', '-c', 'castor.yaml'], { cwd })
  t.equal(code, 2)
  t.match(stderr, /name it with --admin ADDRESS/)
})

t.test('--watch shows it again until it is stopped, and exits with the last state', async (t) => {
  const { address, seen } = await admin(t as Tap, { ...REPORT, health: 'degraded' })
  const command = new RunningCommand(['status', '--watch', '--admin', address])
  await command.until(({ stdout }) => stdout.split('castor lb-a').length > 2)
  command.signal('SIGINT')
  t.equal((await command.ended()).code, 1)
  t.ok(seen.length >= 2)
})

t.test('sessions are shown where a group learns them, and a target that was removed as leaving', (t) => {
  const [group] = REPORT.targetGroups
  const [one, two] = group!.targets
  const view = (sessions: object): string =>
    statusView(
      readStatusReport({
        ...REPORT,
        sessions,
        targetGroups: [
          { ...group, sessions: 1_234, targets: [one, { ...two, leaves: '2026-01-01T00:05:00.000Z' }] },
          { ...group, name: 'plain', sessions: null },
        ],
      })!,
      paletteFor({ isTTY: false }, {}),
    )
  const shown = view({ live: 1_240, capacity: 131_076, evictions: 0 })
  t.match(shown, /workers 1\/2 {2}sessions 1,240\/131,076 {2}2 restarts/)
  t.match(shown, /^group app \(http, round-robin, 1,234 sessions\)$/m)
  t.match(shown, /^group plain \(http, round-robin\)$/m)
  t.match(shown, /^two .* leaving +unhealthy/m)
  t.match(view({ live: 1_240, capacity: 131_076, evictions: 5 }), /sessions 1,240\/131,076 {2}5 evicted/)
  t.end()
})

t.test('colours mark what is good and what is not, on a terminal only', (t) => {
  const report = readStatusReport(REPORT)
  if (report === undefined) throw new Error('the report is wrong')
  const esc = '\u001b'
  const coloured = statusView(report, paletteFor({ isTTY: true }, {}))
  t.ok(coloured.includes(`${esc}[31munhealthy (CONNECT_FAILED)${esc}[0m`))
  t.ok(coloured.includes(`${esc}[32mhealthy${esc}[0m`))
  t.equal(coloured.replace(new RegExp(`${esc}\\[\\d+m`, 'g'), ''), VIEW, 'columns stand the same with colours')
  t.equal(statusView(report, paletteFor({ isTTY: true }, { NO_COLOR: '1' })), VIEW)
  t.equal(statusView(report, paletteFor({ isTTY: true }, { TERM: 'dumb' })), VIEW)
  t.equal(statusView(report, paletteFor({ isTTY: false }, {})), VIEW)
  t.end()
})
