import t from 'tap'
import { bearerCheck, hostCheck, isCrossOrigin, isJson, isLoopback } from '../../../src/admin/access-check.js'

t.test('loopback is known in every form', async (t) => {
  const cases: [string, boolean][] = [
    ['127.0.0.1', true],
    ['127.9.9.9', true],
    ['::1', true],
    ['0:0:0:0:0:0:0:1', true],
    ['::ffff:127.0.0.1', true],
    ['0.0.0.0', false],
    ['::', false],
    ['128.0.0.1', false],
    ['10.0.0.1', false],
    ['::ffff:10.0.0.1', false],
    ['2001:db8::1', false],
    ['localhost', false],
    ['', false],
  ]
  for (const [address, expected] of cases) t.equal(isLoopback(address), expected, address)
})

t.test('only the whole token after Bearer is accepted', async (t) => {
  const check = bearerCheck({ token: 's3cret', tokens: [] })
  const cases: [string | undefined, boolean][] = [
    ['Bearer s3cret', true],
    ['bearer s3cret', true],
    ['Bearer  s3cret ', true],
    ['Bearer s3cre', false],
    ['Bearer s3crett', false],
    ['Bearer S3CRET', false],
    ['Bearer', false],
    ['Bearer ', false],
    ['Bearers3cret', false],
    ['Basic s3cret', false],
    ['s3cret', false],
    ['Bearer s3cret extra', false],
    ['', false],
    [undefined, false],
  ]
  for (const [header, expected] of cases) t.equal(check(header) !== undefined, expected, String(header))
  t.ok(bearerCheck({ token: '', tokens: [] })(undefined), 'without a token everyone may enter')
})

const TCP = { address: '127.0.0.5', port: 9900 }

t.test('on loopback without a token only names of this machine, and addresses, are answered', async (t) => {
  const loopback = hostCheck({ token: '', tokens: [], hosts: ['lb.example'] }, TCP)
  const cases: [string | undefined, boolean][] = [
    ['localhost', true],
    ['localhost:9900', true],
    ['LOCALHOST:1', true],
    ['127.0.0.1:9900', true],
    ['[::1]:9900', true],
    ['127.0.0.5:9900', true],
    ['10.0.0.7:9900', true],
    ['[2001:db8::1]', true],
    ['LB.example:9900', true],
    ['evil.example:9900', false],
    ['lb.example.evil', false],
    ['127.0.0.1.evil.example', false],
    ['[evil.example]', false],
    ['localhost.evil.example', false],
    ['evil.example:localhost', false],
    ['localhost@evil.example', false],
    ['localhost:9900:1', false],
    ['2130706433', false],
    ['::1', false],
    ['', false],
    [undefined, false],
  ]
  for (const [host, expected] of cases) t.equal(loopback(host), expected, String(host))
})

t.test('with a token, beyond loopback, or on a Unix socket, any name will do', async (t) => {
  t.ok(hostCheck({ token: 'x', tokens: [], hosts: [] }, TCP)('lb.example'))
  t.ok(hostCheck({ token: 'x', tokens: [], hosts: [] }, { address: '10.0.0.1', port: 9900 })(undefined))
  t.ok(hostCheck({ token: '', tokens: [], hosts: [] }, { path: '/run/castor/admin.sock' })('lb.example'))
})

t.test('what a browser asks for a page of another origin is told from all else', async (t) => {
  const host = 'localhost:9900'
  const cases: [Record<string, string>, boolean][] = [
    [{ host }, false],
    [{ host, 'sec-fetch-site': 'same-origin', origin: 'http://other' }, false],
    [{ host, 'sec-fetch-site': 'none' }, false],
    [{ host, 'sec-fetch-site': 'cross-site' }, true],
    [{ host, 'sec-fetch-site': 'same-site', origin: 'http://localhost:9900' }, true],
    [{ host, 'sec-fetch-site': 'same-origin, cross-site' }, true],
    [{ host, 'sec-fetch-site': 'anything' }, true],
    [{ host, 'sec-fetch-site': 'none', origin: 'http://evil.example' }, true],
    [{ host, origin: 'http://localhost:9900' }, false],
    [{ host: 'LocalHost:80', origin: 'http://localhost' }, false],
    [{ host: 'lb.example', origin: 'https://lb.example:443' }, false],
    [{ host, origin: 'http://localhost:3000' }, true],
    [{ host, origin: 'http://127.0.0.1:9900' }, true],
    [{ host, origin: 'null' }, true],
    [{ host, origin: '' }, true],
    [{ host, origin: 'http://localhost:9900, http://evil.example' }, true],
    [{ host, origin: 'ftp://localhost:9900' }, true],
    [{ origin: 'http://localhost:9900' }, true],
  ]
  for (const [headers, expected] of cases) t.equal(isCrossOrigin(headers), expected, JSON.stringify(headers))
})

t.test('only JSON is taken for JSON', async (t) => {
  const cases: [string | undefined, boolean][] = [
    ['application/json', true],
    ['Application/JSON; charset=utf-8', true],
    ['application/json ;x', true],
    ['application/jsonp', false],
    ['application/json, text/plain', false],
    ['text/plain; application/json', false],
    ['application/x-www-form-urlencoded', false],
    ['', false],
    [undefined, false],
  ]
  for (const [type, expected] of cases) t.equal(isJson(type), expected, String(type))
})
