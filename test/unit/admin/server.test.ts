import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { MAX_STREAMS, MAX_STREAMS_PER_SOURCE } from '../../../src/admin/events.js'
import { type Admin, startAdmin } from '../../../src/admin/server.js'
import type { Status } from '../../../src/admin/status-shape.js'
import { readExposition } from '../observe/prometheus-reader.js'
import { FakeFacts, SECRET } from './fake-facts.js'

interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

interface Question {
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly localAddress?: string
}

function open(
  admin: Admin,
  path: string,
  { method = 'GET', headers = {}, ...from }: Question = {},
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request({ host: admin.address, port: admin.port, path, method, headers, ...from, agent: false }, resolve)
      .on('error', reject)
      .end()
  })
}

async function ask(admin: Admin, path: string, question?: Question): Promise<Answer> {
  const response = await open(admin, path, question)
  let body = ''
  for await (const chunk of response.setEncoding('utf8')) body += chunk
  return { status: response.statusCode!, headers: response.headers, body }
}

async function start(
  t: { teardown(end: () => unknown): unknown },
  facts = new FakeFacts(),
  dashboardFolder?: string,
): Promise<Admin> {
  const options = dashboardFolder === undefined ? {} : { dashboardFolder }
  const admin = await startAdmin({ config: facts.config.admin, facts, ...options })
  t.teardown(() => admin.close())
  return admin
}

const error = ({ body }: Answer): string => (JSON.parse(body) as { error: { code: string } }).error.code

t.test('what there is to read is answered in its form', async (t) => {
  const facts = new FakeFacts()
  facts.traffic(50, () => 0.5)
  const admin = await start(t, facts)
  t.match(await ask(admin, '/healthz'), { status: 200, body: 'ok\n' })
  t.match(await ask(admin, '/readyz'), { status: 200, body: 'running\n' })

  const metrics = await ask(admin, '/metrics?x=1')
  t.equal(metrics.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
  t.ok(readExposition(metrics.body).has('castor_requests_total'))

  const status = JSON.parse((await ask(admin, '/api/v1/status')).body) as Status
  t.equal(status.listeners[0]!.requests, 50)
  const { listeners } = JSON.parse((await ask(admin, '/api/v1/listeners')).body)
  t.same(listeners, status.listeners)
  const { targetGroups } = JSON.parse((await ask(admin, '/api/v1/target-groups')).body)
  t.same(targetGroups, status.targetGroups)
  t.same(JSON.parse((await ask(admin, '/api/v1/target-groups/%61pp')).body), status.targetGroups[0])
})

t.test('what there is not, is answered as an error', async (t) => {
  const admin = await start(t)
  const cases: [string, string, number, string][] = [
    ['GET', '/nothing', 404, 'NOT_FOUND'],
    ['GET', '/api/v1/target-groups/nope', 404, 'UNKNOWN_TARGET_GROUP'],
    ['GET', '/api/v1/target-groups/%zz', 404, 'UNKNOWN_TARGET_GROUP'],
    ['GET', '/../package.json', 404, 'NOT_FOUND'],
    ['GET', '/%2e%2e/package.json', 404, 'NOT_FOUND'],
    ['POST', '/api/v1/status', 405, 'METHOD_NOT_ALLOWED'],
    ['DELETE', '/healthz', 405, 'METHOD_NOT_ALLOWED'],
  ]
  for (const [method, path, status, code] of cases) {
    const answer = await ask(admin, path, { method })
    t.equal(answer.status, status, `${method} ${path}`)
    t.equal(error(answer), code, `${method} ${path}`)
    if (status === 405) t.equal(answer.headers.allow, 'GET, HEAD, OPTIONS')
  }
})

t.test('a path that is not there is answered with the one that was probably meant', async (t) => {
  const admin = await start(t)
  const cases: [string, string | undefined][] = [
    ['/api/v1/stats', '/api/v1/status'],
    ['/api/v1/targetgroups', '/api/v1/target-groups'],
    ['/api/v1/target-group/app', '/api/v1/target-groups/{group}'],
    ['/api/v1/target-groups/app/target/10.0.0.11%3A9001', '/api/v1/target-groups/{group}/targets/{id}'],
    ['/metric', '/metrics'],
    ['/something/else/altogether', undefined],
    [`/${'a'.repeat(9_000)}`, undefined],
  ]
  for (const [path, meant] of cases) {
    const { status, body } = await ask(admin, path)
    t.equal(status, 404, path)
    if (meant === undefined) t.notMatch(body, /did you mean/, path.slice(0, 40))
    else t.ok(JSON.parse(body).error.message.includes(`(did you mean "${meant}"?)`), `${path}: ${body}`)
  }
})

t.test('OPTIONS says which methods a path has', async (t) => {
  const admin = await start(t)
  const cases: [string, string][] = [
    ['/api/v1/status', 'GET, HEAD, OPTIONS'],
    ['/api/v1/reload', 'POST, OPTIONS'],
    ['/api/v1/target-groups/app/targets/10.0.0.11%3A9001', 'PATCH, DELETE, OPTIONS'],
    ['/healthz', 'GET, HEAD, OPTIONS'],
  ]
  for (const [path, allow] of cases) {
    const answer = await ask(admin, path, { method: 'OPTIONS' })
    t.match(answer, { status: 204, headers: { allow }, body: '' }, path)
    t.equal(answer.headers['access-control-allow-origin'], undefined)
  }
  t.equal((await ask(admin, '/nothing', { method: 'OPTIONS' })).status, 404)
})

/** A change with a body, over a connection that is closed behind it. */
async function send(admin: Admin, method: string, path: string, body: string): Promise<Answer> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const headers = { 'content-type': 'application/json' }
    request({ host: admin.address, port: admin.port, path, method, headers, agent: false }, resolve)
      .on('error', reject)
      .end(body)
  })
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) text += chunk
  return { status: response.statusCode!, headers: response.headers, body: text }
}

t.test('what is wrong with the input is said with its place, and what was meant', async (t) => {
  const admin = await start(t)
  const target = '/api/v1/target-groups/app/targets/10.0.0.11%3A9001'
  const cases: [string, string, string, number, string, RegExp][] = [
    ['PATCH', target, '{"weight":101}', 400, 'body.weight', /at most 100, not 101/],
    ['PATCH', target, '{"wieght":1}', 400, 'body.wieght', /did you mean "weight"/],
    ['PATCH', target, '{"state":"drain"}', 400, 'body.state', /must be one of active, draining, maintenance/],
    ['PATCH', target, '{"weight"', 400, 'body', /is no JSON/],
    ['PATCH', target, '', 400, 'body', /is missing; send JSON/],
    ['PATCH', target, '[]', 400, 'body', /must be a map/],
    ['PATCH', `${target}?weight=1`, '{"weight":1}', 400, 'query', /unknown parameter "weight"/],
    ['DELETE', `${target}?now=perhaps`, '', 400, 'query.now', /must be one of true, false, not "perhaps"/],
    ['DELETE', `${target}?nwo=true`, '', 400, 'query', /did you mean "now"/],
    ['GET', '/api/v1/sessions?limit=0', '', 400, 'query.limit', /from 1 to 1000/],
    ['GET', '/api/v1/sessions?cursor=999', '', 400, 'query.cursor', /what next said/],
    ['POST', '/api/v1/drain-host', '{"now":true}', 400, 'body.now', /unknown key/],
    ['POST', '/api/v1/reload', `{"dryRun":${' '.repeat(5_000)}true}`, 413, 'body', /too long/],
  ]
  for (const [method, path, body, status, where, message] of cases) {
    const answer = await send(admin, method, path, body)
    t.equal(answer.status, status, `${method} ${path} ${body.slice(0, 30)}`)
    t.match(JSON.parse(answer.body).error.problems, [{ where, message }], answer.body)
  }
})

t.test('a body of megabytes is answered 413, and not read to its end', async (t) => {
  const admin = await start(t)
  const socket = connect(admin.port, admin.address).on('error', () => {})
  t.teardown(() => socket.destroy())
  const head = 'POST /api/v1/reload HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n'
  socket.write(`${head}Content-Length: 100000000\r\n\r\n${'x'.repeat(100_000)}`)
  t.match(String((await once(socket, 'data'))[0]), /^HTTP\/1.1 413/)
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.write('x'.repeat(2_000_000))
  await closed
})

t.test('HEAD gives the head of what GET gives', async (t) => {
  const admin = await start(t)
  for (const path of ['/healthz', '/api/v1/listeners', '/api/v1/target-groups', '/nothing']) {
    const [get, head] = [await ask(admin, path), await ask(admin, path, { method: 'HEAD' })]
    t.equal(head.body, '', path)
    t.equal(head.status, get.status, path)
    for (const name of ['content-type', 'content-length']) t.equal(head.headers[name], get.headers[name], path)
  }
  t.match(await ask(admin, '/api/v1/events', { method: 'HEAD' }), { status: 200, body: '' })
})

t.test('every answer forbids caching, framing, sniffing and foreign content', async (t) => {
  const admin = await start(t)
  for (const path of ['/', '/healthz', '/api/v1/status', '/nothing']) {
    t.match((await ask(admin, path)).headers, {
      'cache-control': 'no-store',
      'content-security-policy': /^default-src 'self';.*frame-ancestors 'none'/,
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
    })
  }
})

t.test('not ready while starting and draining, but alive', async (t) => {
  const facts = new FakeFacts()
  const admin = await start(t, facts)
  for (const state of ['starting', 'draining'] as const) {
    facts.state = state
    t.match(await ask(admin, '/readyz'), { status: 503, body: `${state}\n` })
    t.match(await ask(admin, '/healthz'), { status: 200 })
  }
})

t.test('with a token set, nothing but liveness and the page itself comes without it', async (t) => {
  const page = t.testdir({ 'index.html': '<!doctype html>', 'secret.txt': 'x', assets: { 'a.js': '1', 'a.css': '2' } })
  const admin = await start(t, new FakeFacts({ token: SECRET }), page)
  const paths = ['/metrics', '/api/v1/status', '/api/v1/events', '/api/v1/target-groups/app', '/nothing', '/secret.txt']
  for (const path of paths) {
    for (const authorization of ['', 'Bearer wrong', `Basic ${SECRET}`]) {
      const answer = await ask(admin, path, authorization === '' ? {} : { headers: { authorization } })
      t.equal(answer.status, 401, path)
      t.equal(error(answer), 'UNAUTHORIZED', path)
      t.match(answer.headers['www-authenticate'], /^Bearer/)
    }
  }
  for (const path of ['/healthz', '/readyz', '/', '/assets/a.js', '/assets/a.css']) {
    t.equal((await ask(admin, path)).status, 200, path)
  }
  const answer = await ask(admin, '/api/v1/status', {
    headers: { authorization: `Bearer ${SECRET}`, host: 'lb.example' },
  })
  t.equal(answer.status, 200)
  t.notMatch(answer.body, SECRET)
})

const CHANGES: readonly (readonly [string, string])[] = [
  ['POST', '/api/v1/drain-host'],
  ['POST', '/api/v1/target-groups/app/targets'],
  ['PATCH', '/api/v1/target-groups/app/targets/10.0.0.11%3A9001'],
  ['DELETE', '/api/v1/target-groups/app/targets/10.0.0.11%3A9001?now=true'],
]

t.test('each of several tokens lets in, and one for reading changes nothing', async (t) => {
  const tokens = [
    { name: 'deploy', token: 'deploy-token', role: 'write' },
    { name: 'prometheus', token: 'prometheus-token', role: 'read' },
  ] as const
  for (const token of ['', SECRET]) {
    const facts = new FakeFacts({ token, tokens })
    let drained = 0
    Object.assign(facts, { drainHost: () => [String(drained++)] })
    const admin = await start(t, facts)
    const as = (bearer: string, method: string, path: string) => {
      const headers = { authorization: `Bearer ${bearer}`, 'content-type': 'application/json', host: 'lb.example' }
      return ask(admin, path, { method, headers })
    }
    t.equal((await ask(admin, '/metrics')).status, 401)
    for (const wrong of ['deploy', 'deploy-tokenprometheus-token', token === '' ? SECRET : 'x']) {
      t.equal((await as(wrong, 'GET', '/metrics')).status, 401, wrong)
    }
    for (const path of ['/metrics', '/api/v1/status', '/api/v1/config', '/openapi.json']) {
      const answer = await as('prometheus-token', 'GET', path)
      t.equal(answer.status, 200, path)
      for (const secret of ['deploy-token', 'prometheus-token', SECRET]) t.notOk(answer.body.includes(secret), path)
    }
    for (const [method, path] of CHANGES) {
      const answer = await as('prometheus-token', method, path)
      t.equal(answer.status, 403, `${method} ${path}`)
      t.match(JSON.parse(answer.body).error, { code: 'READ_ONLY', message: /the token of prometheus may read only/ })
    }
    t.equal(drained, 0)
    t.equal((await as('deploy-token', 'POST', '/api/v1/drain-host')).status, 202)
    if (token !== '') t.equal((await as(token, 'POST', '/api/v1/drain-host')).status, 202)
  }
})

t.test('tokens that a reload brings and takes away hold from the next request on', async (t) => {
  const facts = new FakeFacts({ tokens: [{ name: 'a', token: 'token-a', role: 'write' }] })
  const admin = await start(t, facts)
  const statusAs = async (token: string) =>
    (await ask(admin, '/metrics', { headers: { authorization: `Bearer ${token}` } })).status
  t.same([await statusAs('token-a'), await statusAs('token-b')], [200, 401])
  const tokens = [{ name: 'b', token: 'token-b', role: 'read' }] as const
  facts.reloading.inForce = { ...facts.config, admin: { ...facts.config.admin, tokens } }
  t.same([await statusAs('token-a'), await statusAs('token-b')], [401, 200])
})

t.test('a page elsewhere that names this machine by its own name is refused', async (t) => {
  const admin = await start(t)
  for (const path of ['/api/v1/status', '/metrics', '/api/v1/events']) {
    const answer = await ask(admin, path, { headers: { host: `rebound.example:${admin.port}` } })
    t.equal(answer.status, 403, path)
    t.equal(error(answer), 'HOST_NOT_ALLOWED')
  }
  t.equal((await ask(admin, '/api/v1/status', { headers: { host: `localhost:${admin.port}` } })).status, 200)
  t.equal((await ask(admin, '/healthz', { headers: { host: 'anything' } })).status, 200)
})

t.test('every change must say that it is JSON, also one without a body', async (t) => {
  const facts = new FakeFacts()
  let changed = 0
  Object.assign(facts, { drainHost: () => changed++, removeTarget: () => changed++ })
  const admin = await start(t, facts)
  const types = [undefined, 'text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']
  for (const [method, path] of CHANGES) {
    for (const type of types) {
      const headers: Record<string, string> = type === undefined ? {} : { 'content-type': type }
      const answer = await ask(admin, path, { method, headers })
      t.equal(answer.status, 415, `${method} ${path} ${type}`)
      t.equal(error(answer), 'NOT_JSON')
    }
  }
  t.equal(changed, 0)
  const headers = { 'content-type': 'application/json; charset=utf-8' }
  t.equal((await ask(admin, '/api/v1/drain-host', { method: 'POST', headers })).status, 202)
  t.equal(changed, 1)
})

t.test('a page of another origin changes and reads nothing, also one on another port of this host', async (t) => {
  const admin = await start(t)
  const foreign: Record<string, string>[] = [
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site', origin: `http://127.0.0.1:${admin.port + 1}` },
    { origin: 'http://evil.example' },
    { origin: 'null' },
  ]
  const reads = ['/metrics', '/api/v1/status', '/api/v1/events', '/api/v1/target-groups/app', '/api/v1/sessions']
  const all: (readonly [string, string])[] = [...CHANGES, ...reads.map((path) => ['GET', path] as const)]
  for (const [method, path] of all) {
    for (const from of foreign) {
      const answer = await ask(admin, path, { method, headers: { 'content-type': 'application/json', ...from } })
      t.equal(answer.status, 403, `${method} ${path} ${JSON.stringify(from)}`)
      t.equal(error(answer), 'CROSS_ORIGIN')
      t.equal(answer.headers['access-control-allow-origin'], undefined)
    }
  }
  const preflight = await ask(admin, '/api/v1/drain-host', {
    method: 'OPTIONS',
    headers: { origin: 'http://evil.example', 'access-control-request-method': 'POST' },
  })
  t.equal(preflight.status, 403)
  const own = { 'sec-fetch-site': 'same-origin', origin: `http://127.0.0.1:${admin.port}` }
  t.equal((await ask(admin, '/api/v1/status', { headers: own })).status, 200, 'the dashboard')
  const link = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }
  t.equal((await ask(admin, '/api/v1/status', { headers: link })).status, 200, 'whoever follows a link')
  t.equal((await ask(admin, '/api/v1/status', { headers: { ...link, 'sec-fetch-dest': 'iframe' } })).status, 403)
})

t.test('beyond loopback it does not start without a token', async (t) => {
  const facts = new FakeFacts({ listen: [{ address: '0.0.0.0', port: 0 }] })
  await t.rejects(startAdmin({ config: facts.config.admin, facts }), { code: 'CONFIG_INVALID' })
})

t.test('an address that is taken is an error that names it', async (t) => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  t.teardown(() => other.close())
  const { port } = other.address() as { port: number }
  const facts = new FakeFacts({ listen: [{ address: '127.0.0.1', port }] })
  await t.rejects(startAdmin({ config: facts.config.admin, facts }), {
    code: 'LISTEN_FAILED',
    message: new RegExp(`127\\.0\\.0\\.1:${port}`),
  })
})

t.test('the page is served from its folder, by name only; without it, a hint', async (t) => {
  const folder = t.testdir({
    'index.html': '<title>x</title>',
    assets: { 'a-1.js': 'let a', 'b.svg': '<svg/>', 'c.map': '{}' },
  })
  const admin = await start(t, new FakeFacts(), folder)
  const cases: [string, number, string][] = [
    ['/', 200, 'text/html; charset=utf-8'],
    ['/?a', 200, 'text/html; charset=utf-8'],
    ['/assets/a-1.js', 200, 'text/javascript; charset=utf-8'],
    ['/assets/b.svg', 200, 'image/svg+xml'],
    ['/assets/c.map', 404, 'application/json; charset=utf-8'],
    ['/assets/', 404, 'application/json; charset=utf-8'],
  ]
  for (const [path, status, type] of cases) {
    const answer = await ask(admin, path)
    t.equal(answer.status, status, path)
    t.equal(answer.headers['content-type'], type, path)
  }
  const bare = await start(t, new FakeFacts(), join(folder, 'missing'))
  t.match(await ask(bare, '/'), { status: 404, body: /npm run build/ })
})

/** Reads events until `count` have come. */
async function events(response: IncomingMessage, count: number): Promise<Status[]> {
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) {
    text += chunk
    const found = [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data!) as Status)
    if (found.length >= count && text.endsWith('\n\n')) return found
  }
  throw new Error('the stream ended')
}

t.test('events bring the status at once and then every second', async (t) => {
  const facts = new FakeFacts()
  const admin = await start(t, facts)
  const response = await open(admin, '/api/v1/events')
  t.equal(response.headers['content-type'], 'text/event-stream; charset=utf-8')
  facts.traffic(10, () => 0.5)
  const [first, second] = await events(response, 2)
  t.equal(first!.listeners[0]!.requests, 0)
  t.equal(second!.listeners[0]!.requests, 10)
  const apart = second!.uptimeMs - first!.uptimeMs
  t.ok(apart > 900 && apart < 5000, `${apart} ms apart`)
})

t.test(
  'there are only so many streams, of one source and of all, and a place is free when a reader leaves',
  async (t) => {
    const admin = await start(t)
    const from = (localAddress: string) => open(admin, '/api/v1/events', { localAddress })
    const many = (localAddress: string) =>
      Promise.all(Array.from({ length: MAX_STREAMS_PER_SOURCE }, () => from(localAddress)))
    const readers = await many('127.0.0.1')
    t.same(new Set(readers.map(({ statusCode }) => statusCode)), new Set([200]))
    const own = await ask(admin, '/api/v1/events')
    t.match(own, { status: 503, headers: { 'retry-after': '5' }, body: /from this address/ })
    readers.push(...(await many('127.0.0.2')))
    t.equal(readers.length, MAX_STREAMS)
    const other = await from('127.0.0.3')
    t.equal(other.resume().statusCode, 503)
    readers[0]!.destroy()
    let status = 503
    while (status === 503) {
      const response = await from('127.0.0.3')
      status = response.statusCode!
      if (status === 200) readers.push(response)
      else response.resume()
    }
    t.equal(status, 200)
    for (const reader of readers) reader.destroy()
  },
)

t.test('a request that fails is answered 500 and does not stop the server', async (t) => {
  const facts = new FakeFacts()
  const admin = await start(t, facts)
  const { directory } = facts
  Object.assign(facts, { directory: undefined })
  const answer = await ask(admin, '/metrics')
  t.equal(answer.status, 500)
  t.equal(error(answer), 'INTERNAL')
  t.equal((await ask(admin, '/api/v1/status')).status, 500)
  Object.assign(facts, { directory })
  t.equal((await ask(admin, '/api/v1/status')).status, 200)
})

t.test('a status that fails later ends its streams and nothing else', async (t) => {
  const facts = new FakeFacts()
  const admin = await start(t, facts)
  const response = await open(admin, '/api/v1/events')
  const { directory } = facts
  Object.assign(facts, { directory: undefined })
  await t.rejects(events(response, 100))
  Object.assign(facts, { directory })
  t.equal((await ask(admin, '/api/v1/status')).status, 200)
})

t.test('closing ends streams and idle connections, and cuts who does not let go', async (t) => {
  const admin = await startAdmin({ config: new FakeFacts().config.admin, facts: new FakeFacts() })
  const stream = await open(admin, '/api/v1/events')
  const ended = once(stream.resume(), 'end')
  const half = connect(admin.port, admin.address)
  await once(half, 'connect')
  half.write('GET / HTTP/1.1\r\n')
  // By an end or by a reset, as Node's version has it.
  const cut = new Promise((resolve) => half.on('error', () => {}).once('close', resolve))
  await Promise.all([admin.close(), admin.close(), ended, cut])
  await t.rejects(ask(admin, '/healthz'), { code: 'ECONNREFUSED' })
})
