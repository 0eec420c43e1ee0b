import t from 'tap'
import { compareExplanations, explain, worldOfFile } from '../../src/control/explain.js'
import type { RuleConfig } from '../../src/core/config-rules.js'
import type { Explanation } from '../../src/core/explanation.js'
import { leastCpuMs } from '../cpu-time.js'
import { parse, SMALL } from '../unit/config/support.js'
import { startBalancer } from './support/balancer.js'
import { ChildCastor, MAIN } from './support/child-castor.js'
import { ask } from './support/operator.js'
import { RawTarget } from './support/raw-target.js'

t.test('the API tells which rule, group and target would serve a request, and why the others would not', async (t) => {
  const target = await RawTarget.start()
  t.teardown(() => target.stop())
  const group = (name: string, algorithm: string, ...weights: number[]) => ({
    ...{ name, protocol: 'http', algorithm, healthCheck: { protocol: 'off' } },
    targets: weights.map((weight, index) => ({
      address: `127.0.0.${index + 1}:${target.port}`,
      id: `${name}-${index + 1}`,
      weight,
    })),
  })
  const castor = await startBalancer(t, {
    workers: 1,
    listeners: [
      {
        ...{ name: 'web', protocol: 'http', listen: '127.0.0.1:0', targetGroup: 'app' },
        rules: [
          { name: 'beta', match: { path: '/api/*', headers: { 'x-beta': '1' } }, forward: 'api' },
          { name: 'api', match: { path: '/api/*' }, forward: 'app' },
          { name: 'old', match: { path: '/old/*' }, redirect: { status: 301, path: '/new${path}' } },
        ],
      },
      { name: 'raw', protocol: 'tcp', listen: '127.0.0.1:0', targetGroup: 'tcp' },
    ],
    targetGroups: [
      group('app', 'round-robin', 10, 0),
      group('api', 'source-ip', 10, 10),
      { ...group('tcp', 'round-robin', 1), protocol: 'tcp' },
    ],
  })
  const admin = castor.running.admin.port
  const question = async (path: string, more: Readonly<Record<string, string>> = {}, listener = 'web') => {
    const query = new URLSearchParams({ url: `http://shop.example${path}`, listener, ...more })
    return ask(admin, 'GET', `/api/v1/explain?${query}`)
  }
  const said = async (path: string, more?: Readonly<Record<string, string>>) =>
    (await question(path, more)).json as Explanation

  const plain = await said('/api/x')
  t.match(plain, { listener: 'web', rule: 'api', outcome: 'forward', groups: [{ name: 'app', picked: ['app-1'] }] })
  t.same(plain.considered[0]!.rules, [
    { name: 'beta', failed: 'header x-beta' },
    { name: 'api', failed: null },
  ])
  t.equal(plain.groups[0]!.targets[1]!.whyNot, 'weight 0')
  const beta = await said('/api/x', { header: 'X-Beta: 1', from: '192.0.2.7' })
  t.equal(beta.rule, 'beta')
  t.equal(beta.groups[0]!.picked.length, 1, 'source-ip has one target for a client')
  t.match(await said('/old/a?b'), {
    rule: 'old',
    outcome: 'redirect',
    status: 301,
    location: 'http://shop.example/new/old/a?b',
  })
  t.match(await said('/api'), { rule: null, outcome: 'slash', status: 301, location: '/api/' })
  t.match(await said('/'), { rule: null, groups: [{ name: 'app' }] })

  await ask(admin, 'PATCH', '/api/v1/target-groups/app/targets/app-1', { state: 'draining' })
  t.match(await said('/'), {
    groups: [{ picked: [], why: 'no target is available: 503', targets: [{ whyNot: 'draining' }, {}] }],
  })

  t.match(await question('/', {}, 'raw'), { code: 409, json: { error: { code: 'NOT_HTTP' } } })
  t.match(await question('/', {}, 'nobody'), {
    code: 404,
    json: { error: { code: 'NO_LISTENER', message: /there are: web, raw/ } },
  })
  t.match(await question('/', { method: 'GE T' }), { code: 400, json: { error: { code: 'BAD_REQUEST' } } })
  t.match(await question('/', { header: 'a: b\r\nc: d' }), { code: 400, json: { error: { code: 'BAD_REQUEST' } } })
  t.match(await question('/', { from: 'nowhere' }), {
    code: 400,
    json: { error: { message: /no address of a client/ } },
  })
  t.match(await question('/%00'), {
    code: 400,
    json: { error: { message: /no client can send that: it is answered 400/ } },
  })
})

async function command(...args: readonly string[]) {
  const child = new ChildCastor([MAIN, 'explain', ...args], { env: { CASTOR_TOKEN: '', NO_COLOR: '1' } })
  return { code: await child.ended(), stdout: child.stdout, stderr: child.stderr }
}

t.test(
  'the command says it for people, of the running process, of a file, and what the file would change',
  async (t) => {
    const rules = [{ name: 'api', match: { path: '/api/*', headers: { x: '1' } }, forward: 'app' }]
    const group = {
      name: 'app',
      protocol: 'http',
      targets: [{ address: '127.0.0.1:9', id: 'one' }],
      healthCheck: { protocol: 'off' },
    }
    const listener = { name: 'web', protocol: 'http', listen: '127.0.0.1:0', targetGroup: 'app' }
    const castor = await startBalancer(t, { workers: 1, listeners: [{ ...listener, rules }], targetGroups: [group] })
    const admin = `127.0.0.1:${castor.running.admin.port}`
    const url = 'http://a.example/api/x'
    const running = await command('GET', url, '--listener', 'web', '--admin', admin)
    t.equal(running.code, 0, running.stderr)
    t.match(
      running.stdout,
      /^listener {2}web\nfrom {6}127\.0\.0\.1\n\nHOST +PATH +RULE +MATCHES\nany host +\/api\/\* +api +no: header x\n/,
    )
    t.match(
      running.stdout,
      /\nrule {6}none\ngroup {5}app \(round-robin\)\nsticky {4}off\ntarget {4}one \(round-robin: any of them\)\n/,
    )
    const taken = await command('GET', url, '-H', 'x: 1', '--listener', 'web', '--admin', admin, '--json')
    t.match(JSON.parse(taken.stdout), { rule: 'api', groups: [{ picked: ['one'] }] })
    const file = `${t.testdir({ 'new.yaml': JSON.stringify({ listeners: [{ ...listener, rules: [{ name: 'all', respond: {} }] }], targetGroups: [group] }) })}/new.yaml`
    const ofFile = await command('GET', url, '--listener', 'web', '-c', file)
    t.match(ofFile, { code: 0, stdout: /rule {6}all\nanswer {4}200/ })
    const against = await command('GET', url, '--listener', 'web', '-c', file, '--admin', admin, '--against-running')
    t.match(against.stdout, /\nrule: \(none\) → all\noutcome: forward → respond 200\ngroups: app → \(none\)\n$/)
    t.match(await command('GET', 'http://a.example:1/', '--admin', admin), {
      code: 1,
      stderr: /^no listener listens on port 1; there are: web \d+\. Name one as the listener \(--listener NAME\)\n$/,
    })
    t.match(await command('GET', 'a.example', '--admin', admin), { code: 1, stderr: /is no URL of a request/ })
  },
)

const ruled = (rules: string): string =>
  SMALL.replace('    targetGroup: app\n', `    targetGroup: app\n    rules: ${rules}\n`)
const asked = {
  method: 'GET',
  url: 'http://a.example:8080/x/9999/y',
  headers: [],
  from: '127.0.0.1',
  listener: undefined,
}

t.test('a file that is not running is explained, and what it changes', async (t) => {
  const before = explain(asked, worldOfFile(parse(SMALL))) as Explanation
  const after = explain(
    asked,
    worldOfFile(parse(ruled('[{ name: x, match: { path: /x/* }, respond: {} }]'))),
  ) as Explanation
  t.match(before, { rule: null, groups: [{ name: 'app', targets: [{ health: 'unknown' }] }] })
  t.same(compareExplanations(before, after), [
    'rule: (none) → x',
    'outcome: forward → respond 200',
    'groups: app → (none)',
  ])
  t.same(compareExplanations(before, before), [])
  t.match(explain({ ...asked, url: 'http://a:81/' }, worldOfFile(parse(SMALL))), {
    code: 'NO_LISTENER',
    message: /no listener listens on port 81/,
  })
  t.match(explain({ ...asked, url: 'a.example/x' }, worldOfFile(parse(SMALL))), { code: 'BAD_URL' })
})

t.test('with 10,000 rules an explanation takes less than 20 ms, also where all are of one host and path', async (t) => {
  const [rule] = parse(ruled('[{ name: x, match: { path: /x/0/* }, respond: {} }]')).listeners[0]!.rules
  const config = parse(SMALL)
  const time = (what: string, matchOf: (index: number) => Partial<RuleConfig['match']>): void => {
    const rules = Array.from({ length: 10_000 }, (_, index) => ({
      ...rule!,
      name: String(index),
      match: { ...rule!.match, ...matchOf(index) },
    }))
    const world = worldOfFile({ ...config, listeners: [{ ...config.listeners[0]!, rules }] })
    let said: unknown
    const cpuMs = leastCpuMs(5, () => {
      said = explain({ ...asked, headers: ['x-number: 9999'] }, world)
    })
    t.match(said, { rule: '9999' })
    t.ok(cpuMs < 20, `${what}: ${cpuMs} ms`)
  }
  time('paths', (index) => ({ paths: [`/x/${index}/*`] }))
  const value = (index: number) => ({ name: 'x-number', value: String(index) })
  time('headers', (index) => ({ paths: ['/x/*'], headers: [{ ...value(index), is: 'equal' }] }))
})
