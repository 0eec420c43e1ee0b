import t, { type Test } from 'tap'
import {
  clash,
  formatAddress,
  isLoopback,
  parseAdminListen,
  parseCidr,
  parseListenAddress,
  parseTargetAddress,
} from '../../../src/config/addresses.js'
import type { Parsed } from '../../../src/config/units.js'

function check<T>(t: Test, result: Parsed<T>, expected: T | RegExp, text: string): void {
  if (!(expected instanceof RegExp)) t.same(result, { ok: true, value: expected }, text)
  else if (result.ok) t.fail(`${text} was accepted`)
  else t.match(result.problem, expected, text)
}

t.test('a listen address is an IP address and a port', (t) => {
  const cases: [string, { address: string; port: number } | RegExp][] = [
    ['0.0.0.0:8080', { address: '0.0.0.0', port: 8080 }],
    ['127.0.0.1:0', { address: '127.0.0.1', port: 0 }],
    ['[::]:8080', { address: '::', port: 8080 }],
    ['[2001:db8::1]:65535', { address: '2001:db8::1', port: 65535 }],
    ['localhost:80', /"localhost" is not an IP address; write one, like 127.0.0.1:80/],
    ['lb.example:80', /is not an IP address; write one, like 0.0.0.0:80/],
    [':8080', /has no address; write 0.0.0.0:8080 for all of IPv4/],
    ['*:8080', /has no address; write 0.0.0.0:8080/],
    ['8080', /has no address; write 0.0.0.0:8080/],
    ['0.0.0.0', /has no port; write it like 0.0.0.0:8080/],
    ['0.0.0.0:', /has no port/],
    ['::1', /has no port; write "\[::1\]:PORT"/],
    ['::1:9000', /has no port; write "\[::1:9000\]:PORT", or "\[::1\]:9000"$/],
    ['fe80::12', /has no port; write "\[fe80::12\]:PORT"$/],
    ['[::1]', /has no port; write it like "\[::1\]:8080"/],
    ['::1:x', /is not host:port/],
    ['[127.0.0.1]:80', /no IPv6 address between the brackets/],
    ['0.0.0.0:65536', /has the port "65536"; a port is a number up to 65535/],
    ['0.0.0.0:-1', /a port is a number/],
    ['0.0.0.0:0x50', /a port is a number/],
    ['http://0.0.0.0:80', /is a URL; write host and port only, like 0.0.0.0:80/],
    ['256.0.0.1:80', /is not an IP address/],
    ['', /has no port/],
  ]
  for (const [text, expected] of cases) check(t, parseListenAddress(text), expected, text)
  t.end()
})

t.test('a target is an address or a name, and a port', (t) => {
  const cases: [string, { text: string; host: string; port: number } | RegExp][] = [
    ['10.0.0.5:9001', { text: '10.0.0.5:9001', host: '10.0.0.5', port: 9001 }],
    ['app.internal:80', { text: 'app.internal:80', host: 'app.internal', port: 80 }],
    ['localhost:80', { text: 'localhost:80', host: 'localhost', port: 80 }],
    ['my_service:80', { text: 'my_service:80', host: 'my_service', port: 80 }],
    ['[2001:db8::5]:9001', { text: '[2001:db8::5]:9001', host: '2001:db8::5', port: 9001 }],
    ['app:0', /has port 0; a target needs its real port/],
    ['app', /has no port; write it like app:8080/],
    ['9001', /has no address; write 127.0.0.1:9001/],
    [':80', /is neither an IP address nor a host name/],
    ['10.0.0:80', /"10.0.0" is neither an IP address nor a host name/],
    ['0x7f.1:80', /"0x7f.1" is neither an IP address nor a host name/],
    ['0X7F000001:80', /"0X7F000001" is neither an IP address nor a host name/],
    ['web.1:80', { text: 'web.1:80', host: 'web.1', port: 80 }],
    ['-app:80', /neither/],
    ['a..b:80', /neither/],
    ['a b:80', /neither/],
    ['http://app:80/x', /is a URL; write host and port only, like app:80/],
    ['2001:db8::5', /write "\[2001:db8::5\]:PORT"/],
  ]
  for (const [text, expected] of cases) check(t, parseTargetAddress(text), expected, text)
  t.end()
})

t.test('a CIDR is an address and a length', (t) => {
  const cases: [string, string | RegExp][] = [
    ['10.0.0.0/8', '10.0.0.0/8'],
    ['::1/128', '::1/128'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['10.0.0.1', /has no length; write 10.0.0.1\/32 for this one address/],
    ['::1', /write ::1\/128/],
    ['10.0.0.0/33', /has the length "33"; it goes from 0 to 32/],
    ['::/129', /it goes from 0 to 128/],
    ['10.0.0.0/', /has the length ""/],
    ['10.0.0/8', /is not a CIDR/],
    ['all', /is not a CIDR; write an address and a length, like 10.0.0.0\/8/],
  ]
  for (const [text, expected] of cases) check(t, parseCidr(text), expected, text)
  t.end()
})

t.test('loopback is known in each of its forms', (t) => {
  const cases: [string, boolean][] = [
    ['127.0.0.1', true],
    ['127.8.8.8', true],
    ['::1', true],
    ['0:0:0:0:0:0:0:1', true],
    ['0.0.0.0', false],
    ['::', false],
    ['128.0.0.1', false],
    ['::ffff:10.0.0.1', false],
    ['localhost', false],
  ]
  for (const [address, loopback] of cases) t.equal(isLoopback(address), loopback, address)
  t.end()
})

t.test('addresses clash when both cannot be listened on', (t) => {
  const cases: [string, string, boolean][] = [
    ['0.0.0.0:80', '0.0.0.0:80', true],
    ['0.0.0.0:80', '127.0.0.1:80', true],
    ['127.0.0.1:80', '127.0.0.2:80', false],
    ['0.0.0.0:80', '0.0.0.0:81', false],
    ['0.0.0.0:0', '0.0.0.0:0', false],
    ['0.0.0.0:80', '[::]:80', false],
    ['[::]:80', '[::1]:80', true],
    ['[::1]:80', '[0:0::1]:80', true],
    ['[::1]:80', '[::2]:80', false],
  ]
  for (const [a, b, expected] of cases) {
    const one = parseListenAddress(a)
    const other = parseListenAddress(b)
    if (!one.ok || !other.ok) throw new Error('the table is wrong')
    t.equal(clash(one.value, other.value), expected, `${a} and ${b}`)
    t.equal(clash(other.value, one.value), expected, `${b} and ${a}`)
  }
  t.end()
})

t.test('IPv6 addresses get brackets before a port', (t) => {
  t.equal(formatAddress('127.0.0.1', 80), '127.0.0.1:80')
  t.equal(formatAddress('::1', 80), '[::1]:80')
  t.equal(formatAddress('app.internal', 80), 'app.internal:80')
  t.end()
})

t.test('what a complaint proposes would be taken', async (t) => {
  const parsers = [
    ['listen', parseListenAddress],
    ['target', parseTargetAddress],
    ['admin', parseAdminListen],
    ['cidr', parseCidr],
  ] as const
  const written = [
    ...[
      '[::ffff:127.0.0.1]:8099',
      '::ffff:127.0.0.1',
      '[::ffff:10.0.0.1]',
      '[fe80::1%lo]:80',
      'fe80::1%lo',
      '[fe80::1%lo]',
      '::1',
    ],
    ...[
      'http://localhost:8080',
      'http://[::1]:80/x',
      'https://10.0.0.1:443',
      'tcp://',
      'localhost:80',
      'localhost',
      ':80',
      '*:80',
    ],
    ...[
      '8080',
      '99999',
      '10.0.0.1',
      '[::1]',
      '',
      '::ffff:10.0.0.0/104',
      '::ffff:10.0.0.1',
      '10.0.0.1',
      '::1',
      'fe80::1%lo/64',
    ],
  ]
  for (const [kind, parse] of parsers) {
    for (const text of written) {
      const parsed = parse(text)
      if (parsed.ok) continue
      const proposed =
        / (?:write|like) (?:it like )?"?(\[[^\]]+\]:\w+|[\w.]+:(?:\d+|PORT)|[0-9a-f.:]+\/\d+)"?(?=$|[ ,;])/.exec(
          parsed.problem,
        )?.[1]
      if (proposed === undefined) continue
      const answer = parse(proposed.replace('PORT', '80'))
      t.ok(answer.ok, `${kind} ${text}: ${parsed.problem}`)
    }
  }
  t.match(parseListenAddress('[::ffff:127.0.0.1]:8099'), { ok: false, problem: /write 127\.0\.0\.1:8099$/ })
  t.match(parseTargetAddress('[::ffff:10.0.0.1]:80'), { ok: false, problem: /write 10\.0\.0\.1:80$/ })
  t.match(parseAdminListen('localhost:9900'), { ok: false, problem: /like 127\.0\.0\.1:9900$/ })
  t.match(parseAdminListen('*:9900'), { ok: false, problem: /write 127\.0\.0\.1:9900$/ })
  for (const text of ['[fe80::1%lo]:80', 'fe80::1%lo'])
    t.match(parseListenAddress(text), { ok: false, problem: /zone/ })
})

t.test('an admin address may be a Unix socket by its absolute path', async (t) => {
  t.same(parseAdminListen('unix:/run/castor/admin.sock'), { ok: true, value: { path: '/run/castor/admin.sock' } })
  t.same(parseAdminListen('unix:///run/a.sock'), { ok: true, value: { path: '/run/a.sock' } })
  t.same(parseAdminListen('[::1]:9900'), { ok: true, value: { address: '::1', port: 9900 } })
  for (const text of ['unix:', 'unix:a.sock', 'unix:/run/', `unix:/${'x'.repeat(97)}`, 'unix:/a\0b']) {
    t.notOk(parseAdminListen(text).ok, text)
  }
})
