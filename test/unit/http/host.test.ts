import { isIPv6 } from 'node:net'
import fc from 'fast-check'
import t from 'tap'
import { hostEnd } from '../../../src/http/host.js'
import { SEED } from '../../random.js'
import { bytes } from './heads.js'

t.comment(`seed ${SEED}`)

/** The host's end within `text`, which is laid between other bytes, or −1. */
const check = (text: string): number => {
  const end = hostEnd(bytes(`[${text}]:1`), 1, 1 + text.length)
  return end === -1 ? -1 : end - 1
}

t.test('RFC 9110 7.2: hosts that are accepted, and where they end', async (t) => {
  for (const [text, end] of [
    ['h', 1],
    ['www.shop.example', 16],
    ['trailing.dot.', 13],
    ['under_score-and~tilde', 21],
    ['192.0.2.1', 9],
    ["!$&'()*+,;=", 11],
    ['a,b;c=d:80', 7],
    ['h:', 1],
    ['h:0', 1],
    ['h:80', 1],
    ['h:65535', 1],
    ['h:000080', 1],
    ['[::]', 4],
    ['[::1]:8080', 5],
    ['[2001:DB8::a:b]', 15],
    ['[1:2:3:4:5:6:7:8]', 17],
    ['[::ffff:192.0.2.1]:1', 18],
  ] as const) {
    t.equal(check(text), end, text)
  }
})

t.test('RFC 9110 7.2: hosts that are refused', async (t) => {
  for (const text of [
    '',
    ':80',
    'h:65536',
    'h:99999999999999999999',
    'h:8a',
    'h: 80',
    'h:80:80',
    'a b',
    'a/b',
    'a\\b',
    'a@b',
    'u:p@h',
    'a?b',
    'a#b',
    'a%20b',
    '%61',
    'a"b',
    'a<b',
    'a[b]',
    'h]',
    '[;]',
    '[::1];x',
    'h:8,0',
    'u;p@h',
    'caf\xe9',
    'a\x00',
    '::1',
    '[',
    '[]',
    '[::1',
    '[::1]x',
    '[::1]80',
    '[::1%25eth0]',
    '[v1.x]',
    '[h]',
    '[1.2.3.4]',
    '[::1]:x',
  ]) {
    t.equal(check(text), -1, JSON.stringify(text))
  }
})

t.test('RFC 3986 3.2.2: an IPv6 address is what node:net takes for one', async (t) => {
  const group = fc.constantFrom('0', '1', 'a', 'ffff', '12345', 'g', '', '192.0.2.1', '256.1.1.1', '1.2.3', '01.2.3.4')
  const address = fc.array(group, { minLength: 1, maxLength: 9 }).chain((groups) =>
    fc
      .nat(groups.length)
      .map((gap) => `${groups.slice(0, gap).join(':')}::${groups.slice(gap).join(':')}`)
      .chain((shortened) => fc.constantFrom(shortened, groups.join(':'))),
  )
  let valid = 0
  fc.assert(
    fc.property(address, (text) => {
      const expected = isIPv6(text)
      if (expected) valid++
      return (check(`[${text}]`) !== -1) === expected
    }),
    { seed: SEED, numRuns: 5000 },
  )
  t.ok(valid > 100, `${valid} addresses were valid`)
})
