import { join } from 'node:path'
import t from 'tap'
import { startTestCastor } from './support/castor.js'
import { connectTo, ask as http2Ask } from './support/http2-peers.js'
import { get, RawClient, request } from './support/raw-client.js'
import { startRouting } from './support/routing.js'
import { authorityFor, secured, ask as tlsAsk } from './support/tls.js'

const head = (target: string, host = 'shop.example', fields: readonly string[] = [], method = 'GET'): string =>
  `${method} ${target} HTTP/1.1\r\nHost: ${host}\r\n${fields.map((line) => `${line}\r\n`).join('')}\r\n`

const GROUPS = ['default', 'exact', 'suffix', 'long-suffix', 'prefix', 'none', 'path', 'below', 'deep'] as const

t.test('the most particular host decides, then the most particular path', async (t) => {
  const { port } = await startRouting(t, GROUPS, [
    { match: {}, forward: 'none' },
    { match: { host: 'www.*' }, forward: 'prefix' },
    { match: { host: '*.example' }, forward: 'suffix' },
    { match: { host: '*.shop.example' }, forward: 'long-suffix' },
    { match: { host: ['www.shop.example', 'WWW.Second.Example.'] }, forward: 'exact' },
    { match: { host: 'paths.test', path: '/a/*' }, forward: 'below' },
    { match: { host: 'paths.test', path: '/a' }, forward: 'path' },
    { match: { host: 'paths.test', path: '/a/b/*' }, forward: 'deep' },
    { match: { path: '/only/*' }, forward: 'deep' },
  ])
  const cases: readonly [string, string, string][] = [
    ['www.shop.example', '/', 'exact'],
    ['WWW.SHOP.example:8080', '/', 'exact'],
    ['www.second.example.', '/', 'exact'],
    ['a.shop.example', '/', 'long-suffix'],
    ['a.b.shop.example', '/', 'long-suffix'],
    ['shop.example', '/', 'suffix'],
    ['www.other.example', '/', 'suffix'],
    ['www.other.test', '/', 'prefix'],
    ['www', '/', 'none'],
    ['myshop.test', '/', 'none'],
    ['example', '/', 'none'],
    ['[::1]', '/', 'none'],
    ['paths.test', '/a', 'path'],
    ['paths.test', '/a?b=/a/b/', 'path'],
    ['paths.test', '/a/', 'below'],
    ['paths.test', '/a/c', 'below'],
    ['paths.test', '/a/bc', 'below'],
    ['paths.test', '/a/b/', 'deep'],
    ['paths.test', '/a/b/c/d', 'deep'],
    ['paths.test', '/x/../a/./b//c', 'deep'],
    ['paths.test', '/%61/%62/c', 'deep'],
    ['paths.test', '/a%2Fb/c', 'none'],
    ['paths.test', '/A/b/c', 'none'],
    ['www.other.test', '/only/x', 'prefix'],
    ['else.test', '/only/x', 'deep'],
  ]
  for (const [host, target, group] of cases) {
    t.equal((await request(port, head(target, host))).text, group, `${host} ${target}`)
  }
})

t.test('of one host and path the rule with more conditions decides, then the first', async (t) => {
  const { port } = await startRouting(
    t,
    ['default', 'one', 'two', 'later', 'three'],
    [
      { match: { path: '/*', headers: { 'X-Beta': '1' } }, forward: 'one' },
      { match: { path: '/*', headers: { 'x-beta': '1' }, query: { v: '2' } }, forward: 'two' },
      { match: { path: '/*', query: { v: '2' } }, forward: 'later' },
      { match: { path: '/*', headers: { 'x-beta': '1', 'x-gamma': '*' }, cookies: { lab: 'b' } }, forward: 'three' },
    ],
  )
  const cases: readonly [string, string[], string][] = [
    ['/', [], 'default'],
    ['/', ['X-BETA: 1'], 'one'],
    ['/?v=2', ['x-beta: 1'], 'two'],
    ['/?v=2', [], 'later'],
    ['/?v=2', ['x-beta: 1', 'x-gamma:', 'cookie: a=b; lab=b'], 'three'],
    ['/?v=2', ['x-beta: 1', 'x-gamma: 0', 'cookie: a=b; lab=c'], 'two'],
  ]
  for (const [target, fields, group] of cases) {
    t.equal((await request(port, head(target, 'h', fields))).text, group, `${target} ${fields.join(', ')}`)
  }
})

t.test('each kind of condition holds and fails as it says', async (t) => {
  const kinds: readonly [string, Record<string, unknown>, readonly string[], readonly string[]][] = [
    [
      'methods',
      { methods: ['GET', 'PURGE'] },
      [head('/'), head('/', 'h', [], 'PURGE')],
      [head('/', 'h', [], 'HEAD'), head('/', 'h', [], 'purge')],
    ],
    [
      'a header that is there',
      { headers: { 'x-a': '*' } },
      [head('/', 'h', ['X-A:']), head('/', 'h', ['x-a: b'])],
      [head('/'), head('/', 'h', ['x_a: b'])],
    ],
    ['a header that is not', { headers: { 'x-a': '!' } }, [head('/')], [head('/', 'h', ['x-a:'])]],
    [
      'one of several lines',
      { headers: { 'x-a': 'c' } },
      [head('/', 'h', ['x-a: b', 'x-a: c'])],
      [head('/', 'h', ['x-a: b, c']), head('/', 'h', ['x-a: C'])],
    ],
    [
      'an expression',
      { headers: { 'x-a': '~^b+$' } },
      [head('/', 'h', ['x-a: bbb'])],
      [head('/', 'h', ['x-a: bbc']), head('/')],
    ],
    ['a number', { headers: { 'x-a': 1 } }, [head('/', 'h', ['x-a: 1'])], [head('/', 'h', ['x-a: 01'])]],
    [
      'a parameter',
      { query: { 'a b': 'ü&' } },
      [head('/?a+b=%c3%bc%26'), head('/?x&a%20b=%C3%BC%26&y'), head('/?a+b=&a+b=%c3%bc%26')],
      [head('/?a+b=%fc'), head('/?A+b=%c3%bc%26'), head('/'), head('/?'), head('/?a+b')],
    ],
    [
      'a parameter that is there',
      { query: { a: '*' } },
      [head('/?a'), head('/?a='), head('/?b&a=1')],
      [head('/?b'), head('/?b=a'), head('/?aa=1')],
    ],
    [
      'a parameter that is not',
      { query: { a: '!' } },
      [head('/'), head('/?'), head('/?b=a')],
      [head('/?a'), head('/?%61')],
    ],
    [
      'a cookie',
      { cookies: { lab: 'b' } },
      [head('/', 'h', ['cookie: x=1; lab=b']), head('/', 'h', ['cookie: lab=a; lab=b'])],
      [head('/'), head('/', 'h', ['cookie: lab=bb']), head('/', 'h', ['cookie: xlab=b'])],
    ],
    [
      'a cookie that is not',
      { cookies: { lab: '!' } },
      [head('/'), head('/', 'h', ['cookie: x=lab'])],
      [head('/', 'h', ['cookie: lab='])],
    ],
    ['a source', { sourceIp: ['127.0.0.0/8'] }, [head('/')], []],
    ['another source', { sourceIp: ['10.0.0.0/8', '::/0'] }, [], [head('/')]],
    [
      'a path by expression',
      { pathRegex: '^/v[0-9]+/' },
      [head('/v1/a'), head('/x/../v22/')],
      [head('/a/v1/'), head('/v/')],
    ],
  ]
  const { port } = await startRouting(
    t,
    ['default', 'hit'],
    kinds.map(([, match], index) => ({ match: { host: `h${index}.test`, ...match }, forward: 'hit' })),
  )
  for (const [index, [title, , hits, misses]] of kinds.entries()) {
    const ask = async (bytes: string): Promise<string> => {
      const method = bytes.slice(0, bytes.indexOf(' '))
      const sent = bytes.replace(/Host: \S+/, `Host: h${index}.test`)
      const answer = await request(port, sent, method)
      return method === 'HEAD' ? answer.header('content-length')! : answer.text
    }
    for (const bytes of hits) t.equal(await ask(bytes), 'hit', `${title}: ${bytes}`)
    for (const bytes of misses) t.match(await ask(bytes), /^(default|7)$/, `${title}: ${bytes}`)
  }
})

t.test('a path without its slash is sent to the one with it, where only what is below is named', async (t) => {
  const { port } = await startRouting(
    t,
    ['default', 'a', 'b', 'all'],
    [
      { match: { host: 'one.test', path: '/abc/*' }, forward: 'a' },
      { match: { host: 'two.test', path: ['/abc/*', '/abc'] }, forward: 'a' },
      { match: { host: 'three.test', path: '/abc/*', methods: ['POST'] }, forward: 'a' },
      { match: { host: 'four.test', path: '/abc/*' }, forward: 'a' },
      { match: { host: '*.test', path: '/named/*' }, forward: 'a' },
      { match: { host: 'four.test', path: '/*' }, forward: 'all' },
      { match: { path: '/named' }, forward: 'b' },
    ],
  )
  const ask = (target: string, host: string, method = 'GET') => request(port, head(target, host, [], method), method)
  for (const [target, location] of [
    ['/abc', '/abc/'],
    ['/abc?x=/y', '/abc/?x=/y'],
    ['//abc', '/abc/'],
    ['/x/../abc', '/abc/'],
    ['/%61bc', '/abc/'],
  ] as const) {
    const answer = await ask(target, 'one.test')
    t.equal(answer.status, 301, target)
    t.equal(answer.header('location'), location, 'and to no other host')
  }
  t.equal((await ask('/abc', 'two.test')).text, 'a', 'it is named itself')
  t.equal((await ask('/abc', 'three.test')).text, 'default', 'nothing below would match')
  t.equal((await ask('/abc', 'three.test', 'POST')).status, 301)
  t.equal((await ask('/abc', 'four.test')).status, 301, 'a shorter prefix does not name it')
  t.equal((await ask('/abcd', 'four.test')).text, 'all')
  t.equal((await ask('/named', 'five.test')).text, 'b', 'another rule names it')
  t.equal((await ask('/abc/', 'one.test')).text, 'a')
})

t.test('requests of one connection go where each belongs', async (t) => {
  const { port, targets } = await startRouting(
    t,
    ['default', 'a', 'b'],
    [
      { match: { path: '/a/*' }, forward: 'a' },
      { match: { path: '/b/*' }, forward: 'b' },
      { match: { path: '/own/*' }, respond: { body: 'own' } },
    ],
  )
  const client = await RawClient.connect(port)
  t.teardown(() => client.close())
  const paths = ['/a/1', '/b/1', '/', '/own/x', '/a/2', '/own/y', '/b/2']
  client.send(paths.map((path) => get(path)).join(''))
  const texts: string[] = []
  for (const _ of paths) texts.push((await client.response()).text)
  t.same(texts, ['a', 'b', 'default', 'own', 'a', 'own', 'b'], 'pipelined')
  t.equal(targets.get('a')!.requests.length, 2)
})

t.test('traffic is split by weight', async (t) => {
  const { port, targets } = await startRouting(
    t,
    ['default', 'v1', 'v2', 'v3'],
    [
      {
        match: { path: '/*' },
        forward: [
          { targetGroup: 'v1', weight: 70 },
          { targetGroup: 'v2', weight: 30 },
          { targetGroup: 'v3', weight: 0 },
        ],
      },
    ],
  )
  const client = await RawClient.connect(port)
  t.teardown(() => client.close())
  for (let i = 0; i < 100; i++) await client.exchange(get(`/${i}`))
  t.same(
    ['default', 'v1', 'v2', 'v3'].map((name) => targets.get(name)!.requests.length),
    [0, 70, 30, 0],
  )
})

t.test('a redirect names what its expression captures, on one line and on the host that it names', async (t) => {
  const { port } = await startRouting(
    t,
    ['a'],
    [
      { match: { pathRegex: '^/u/([^/]*)/(.*)$' }, redirect: { path: '/users/${1}/${2}' } },
      { match: { pathRegex: '^(/?.*)\\.htm$' }, redirect: { path: '/${1}.html', query: '' } },
    ],
  )
  for (const [asked, location] of [
    ['/u/ann/a/b?q=1', 'http://shop.example/users/ann/a/b?q=1'],
    ['/u/%0d%0aSet-Cookie:%20a=b/%3Fx%23y', 'http://shop.example/users/%0D%0ASet-Cookie:%20a=b/%3Fx%23y'],
    ['/u//evil.example/x', 'http://shop.example/users/evil.example/x'],
    ['//evil.example.htm?x', 'http://shop.example//evil.example.html'],
  ] as const) {
    const response = await request(port, head(asked))
    t.equal(response.header('location'), location, asked)
    t.equal(response.header('set-cookie'), undefined)
  }
})

t.test('redirects say where to, by what the request was', async (t) => {
  const cases: readonly [string, Record<string, unknown>, string, number, string][] = [
    ['the protocol', { protocol: 'https' }, '/a?b=c', 302, 'https://h0.test/a?b=c'],
    ['protocol and port', { protocol: 'https', port: 8443, status: 301 }, '/a', 301, 'https://h1.test:8443/a'],
    ['the host', { host: 'www.${host}', status: 308 }, '/a?b', 308, 'http://www.h2.test:8080/a?b'],
    ['the path', { path: '/new${path}', status: 307 }, '/a?b=c', 307, 'http://h3.test:8080/new/a?b=c'],
    ['no query', { path: '/x', query: '', status: 303 }, '/a?b=c', 303, 'http://h4.test:8080/x'],
    [
      'another query',
      { query: 'from=${query.b}&all=${query}' },
      '/a?b=%0d%0a',
      302,
      'http://h5.test:8080/a?from=%0d%0a&all=b=%0d%0a',
    ],
    ['another host and its own port', { host: 'other.test', port: 80 }, '/', 302, 'http://other.test:80/'],
  ]
  const { port } = await startRouting(
    t,
    ['default'],
    cases.map(([, redirect], index) => ({ match: { host: `h${index}.test` }, redirect })),
  )
  for (const [index, [title, , target, status, location]] of cases.entries()) {
    const answer = await request(port, head(target, `h${index}.test:8080`))
    t.equal(answer.status, status, title)
    t.equal(answer.header('location'), location, title)
  }
  const absolute = await request(port, 'GET http://h0.test?q HTTP/1.1\r\nHost: x\r\n\r\n')
  t.equal(absolute.header('location'), 'https://h0.test/?q', 'an absolute target without a path')
})

t.test('answers are given as they are written', async (t) => {
  const { port } = await startRouting(
    t,
    ['default'],
    [
      { match: { path: '/robots.txt' }, respond: { body: 'User-agent: *\n', headers: { 'X-From': 'castor' } } },
      { match: { path: '/gone' }, respond: { status: 410 } },
      { match: { path: '/nothing' }, respond: { status: 204, headers: { 'cache-control': 'no-store' } } },
      { match: { path: '/json' }, respond: { body: '{"ü":1}', headers: { 'content-type': 'application/json' } } },
    ],
  )
  const robots = await request(port, head('/robots.txt'))
  t.equal(robots.status, 200)
  t.equal(robots.text, 'User-agent: *\n')
  t.equal(robots.header('content-type'), 'text/plain; charset=utf-8')
  t.equal(robots.header('x-from'), 'castor')
  t.ok(robots.header('date'))
  const asked = await request(port, head('/robots.txt', 'h', [], 'HEAD'), 'HEAD')
  t.equal(asked.header('content-length'), '14')
  t.equal(asked.text, '')
  t.equal((await request(port, head('/gone'))).header('content-length'), '0')
  const nothing = await request(port, head('/nothing'))
  t.equal(nothing.header('content-length'), undefined)
  t.equal(nothing.header('cache-control'), 'no-store')
  t.equal((await request(port, head('/json'))).text, Buffer.from('{"ü":1}').toString('latin1'))
})

t.test('without a group for the rest, what no rule matches is 404, and the log says why', async (t) => {
  const { port, balancer } = await startRouting(t, ['a'], [{ name: 'only', match: { path: '/a/*' }, forward: 'a' }], {
    listener: { targetGroup: undefined },
    accessLog: true,
  })
  t.equal((await request(port, head('/b'))).status, 404)
  t.equal((await request(port, head('/a/'))).text, 'a')
  const [missed, found] = await balancer.accessRecords(2)
  t.match(missed, { status: 404, reason: 'NO_RULE', rule: null, target_group: null })
  t.match(found, { status: 200, rule: 'only', target_group: 'a' })
})

t.test('the largest body of a rule arrives whole by HTTP/1.1, HTTP/2 and https', async (t) => {
  const body = 'all of it '.repeat(104_857)
  const rules = [{ match: {}, respond: { bodyFile: join(t.testdir({ body }), 'body') } }]
  const plain = await startTestCastor(t, ['127.0.0.1:1'], { listener: { rules, http2: true } })
  const client = await RawClient.connect(plain.port)
  for (let n = 0; n < 2; n++) {
    const head = n === 0 ? get('/') : get('/', ['Content-Length: 4'], 'POST')
    t.equal((await client.exchange(`${head}${n === 0 ? '' : 'body'}`)).text, body)
  }
  const session = await connectTo(t, plain.port)
  for (const { body: got } of await Promise.all([http2Ask(session), http2Ask(session)])) t.equal(String(got), body)
  const certificate = authorityFor(t).issue('shop', { names: ['shop.example'] })
  const secure = await startTestCastor(t, ['127.0.0.1:1'], { listener: { ...secured([certificate]), rules } })
  t.equal((await tlsAsk(secure.port, { servername: 'shop.example' })).text, body)
})
