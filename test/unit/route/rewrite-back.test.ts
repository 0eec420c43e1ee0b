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
  t.equal(cookieBack('a=b; Domain=app.internal', { ...BOTH, clientHost: '127.0.0.1:80' }), 'a=b', 'an address has none')
})
