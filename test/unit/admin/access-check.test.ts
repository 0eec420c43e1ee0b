import t from 'tap'
import { bearerCheck, hostCheck, isLoopback } from '../../../src/admin/access-check.js'

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
  const check = bearerCheck('s3cret')
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
  for (const [header, expected] of cases) t.equal(check(header), expected, String(header))
  t.ok(bearerCheck('')(undefined), 'without a token everyone may enter')
})

t.test('on loopback without a token only names of this machine are answered', async (t) => {
  const loopback = hostCheck({ listen: { address: '127.0.0.5', port: 9900 }, token: '' })
  const cases: [string | undefined, boolean][] = [
    ['localhost', true],
    ['localhost:9900', true],
    ['LOCALHOST:1', true],
    ['127.0.0.1:9900', true],
    ['[::1]:9900', true],
    ['127.0.0.5:9900', true],
    ['127.0.0.6:9900', false],
    ['evil.example:9900', false],
    ['localhost.evil.example', false],
    ['evil.example:localhost', false],
    ['localhost@evil.example', false],
    ['localhost:9900:1', false],
    ['::1', false],
    ['', false],
    [undefined, false],
  ]
  for (const [host, expected] of cases) t.equal(loopback(host), expected, String(host))
  t.ok(hostCheck({ listen: { address: '0:0:0:0:0:0:0:1', port: 1 }, token: '' })('[::1]:1'))
})

t.test('with a token, or where the address is no loopback, any name will do', async (t) => {
  t.ok(hostCheck({ listen: { address: '127.0.0.1', port: 9900 }, token: 'x' })('lb.example'))
  t.ok(hostCheck({ listen: { address: '10.0.0.1', port: 9900 }, token: 'x' })(undefined))
})
