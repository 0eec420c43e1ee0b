import t from 'tap'
import { cookieBack, locationBack } from '../../../src/route/rewrite-back.js'

const BOTH = {
  clientPrefix: '/api/',
  targetPrefix: '/app/v2/',
  clientHost: 'shop.example:8443',
  targetHost: 'app.internal:8080',
  scheme: 'https',
}

t.test('a Location is made into what it is for the client, and what leads elsewhere stays', async (t) => {
  for (const [value, expected] of [
    ['/app/v2/a?b#c', '/api/a?b#c'],
    ['/app/v2/', '/api/'],
    ['/app/v2', '/api'],
    ['/app/v2?q', '/api?q'],
    ['/app/v20/a', '/app/v20/a'],
    ['/other', '/other'],
    ['a/b', 'a/b'],
    ['?q', '?q'],
    ['', ''],
    ['http://app.internal:8080/app/v2/a', 'https://shop.example:8443/api/a'],
    ['//APP.internal:8080/app/v2/a', 'https://shop.example:8443/api/a'],
    ['http://app.internal:8080', 'https://shop.example:8443'],
    ['http://app.internal:8080/other', 'https://shop.example:8443/other'],
    ['http://app.internal/app/v2/a', 'http://app.internal/app/v2/a'],
    ['https://login.example/app/v2/a', 'https://login.example/app/v2/a'],
    ['mailto:a@b', 'mailto:a@b'],
  ] as const) {
    t.equal(locationBack(value, BOTH), expected, value)
  }
  const path = { ...BOTH, clientHost: 'shop.example', targetHost: 'shop.example' }
  t.equal(locationBack('http://shop.example:80/app/v2/a', path), 'http://shop.example:80/api/a', 'the same host')
  t.equal(locationBack('/a', { ...path, targetPrefix: '/' }), '/api/a', 'all of the path was below')
  t.equal(locationBack('/app/v2/a', { ...path, clientPrefix: '', targetPrefix: '' }), '/app/v2/a', 'the path stayed')
})

t.test('a path that is written back leads to no other host', async (t) => {
  const root = { ...BOTH, clientPrefix: '/', targetPrefix: '/v2/' }
  for (const [value, path] of [
    ['/v2//a.example/b', '//a.example/b'],
    ['/v2/\\a.example', '//a.example'],
    ['/v2/\t/a.example', '//a.example'],
    ['/v2/\t\t\\a.example?q', '//a.example'],
    ['/v2///a.example', '///a.example'],
    ['/v2/.//a.example', '//a.example'],
    ['/v2/a//b', '/a//b'],
    ['/v2', '/'],
  ] as const) {
    const url = new URL(locationBack(value, root), 'https://shop.example:8443/x')
    t.same([url.host, url.pathname], ['shop.example:8443', path], JSON.stringify(value))
  }
  t.equal(locationBack('http://app.internal:8080/v2//a', root), 'https://shop.example:8443//a', 'behind a host it may')
  t.equal(locationBack('/\\a.example', root), '/\\a.example', 'what leads elsewhere by itself stays')
})

t.test('Path and Domain of a cookie are made into what they are for the client', async (t) => {
  for (const [value, expected] of [
    ['a=/app/v2/; Path=/app/v2/; Secure', 'a=/app/v2/; Path=/api/; Secure'],
    ['a=b;path=/app/v2', 'a=b; path=/api'],
    ['a=b; Path=/', 'a=b; Path=/'],
    ['a=b; Domain=.App.internal; HttpOnly', 'a=b; Domain=shop.example; HttpOnly'],
    ['a=b; Domain=internal', 'a=b; Domain=internal'],
    ['a=b', 'a=b'],
    ['a=b; Path', 'a=b; Path'],
  ] as const) {
    t.equal(cookieBack(value, BOTH), expected, value)
  }
  for (const clientHost of ['127.0.0.1:80', '[::1]:80', 'a.example;HttpOnly', 'a.example,b', '']) {
    t.equal(cookieBack('a=b; Domain=app.internal', { ...BOTH, clientHost }), 'a=b', `${clientHost} is no domain`)
  }
  t.equal(cookieBack('a=b; Path="/app/v2/" ; Domain="', BOTH), 'a=b; Path=/api/; Domain="')
})

t.test('a cookie of nothing but white space costs no more than another of its length', async (t) => {
  const spaces = ' '.repeat(120_000)
  const sinceMs = performance.now()
  for (const value of [`a=b;${spaces}`, `a=b;path=x${spaces}y`, `a=b;path=${spaces}"`, `a=b;${spaces}=x`]) {
    t.equal(cookieBack(value, BOTH), value, value.slice(0, 12))
  }
  t.ok(performance.now() - sinceMs < 1_000, 'tried again at every space, each takes half a minute')
})
