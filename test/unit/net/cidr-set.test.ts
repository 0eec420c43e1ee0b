import fc from 'fast-check'
import ipaddr from 'ipaddr.js'
import t from 'tap'
import type { Endpoint } from '../../../src/core/conn.js'
import { CastorError } from '../../../src/core/errors.js'
import { CidrSet } from '../../../src/net/cidr-set.js'
import { SEED, seededRandom } from '../../random.js'

const endpoint = (address: string): Endpoint => ({ family: address.includes(':') ? 6 : 4, address, port: 1 })

t.test('an address is in a network or not', async (t) => {
  const cases: [string[], string, boolean][] = [
    [[], '10.0.0.1', false],
    [['10.0.0.0/8'], '10.255.255.255', true],
    [['10.0.0.0/8'], '11.0.0.0', false],
    [['10.1.2.3/8'], '10.200.0.1', true],
    [['192.0.2.7'], '192.0.2.7', true],
    [['192.0.2.7'], '192.0.2.6', false],
    [['192.0.2.6/31'], '192.0.2.7', true],
    [['172.16.0.0/12'], '172.31.255.255', true],
    [['172.16.0.0/12'], '172.32.0.0', false],
    [['0.0.0.0/0'], '203.0.113.9', true],
    [['0.0.0.0/0'], '2001:db8::1', false],
    [['::/0'], '2001:db8::1', true],
    [['::/0'], '203.0.113.9', false],
    [['::/0'], '::ffff:203.0.113.9', false],
    [['::1/128'], '::1', true],
    [['2001:db8::/33'], '2001:db8:7fff::1', true],
    [['2001:db8::/33'], '2001:db8:8000::1', false],
    [['fe80::/10'], 'fe80::1%eth0', true],
    [['10.0.0.0/8'], '::ffff:10.1.1.1', true],
    [['10.0.0.0/8'], '::ffff:a01:101', true],
    [['::ffff:10.0.0.0/104'], '10.9.9.9', true],
    [['::ffff:10.0.0.0/104'], '11.9.9.9', false],
    [['10.0.0.0/8', '10.1.0.0/16'], '10.2.0.1', true],
    [['10.1.0.0/16', '10.0.0.0/8'], '10.2.0.1', true],
    [['10.1.0.0/16', '10.0.0.0/8'], '10.1.0.1', true],
    [['0.0.0.0/0'], 'not an address', false],
  ]
  for (const [cidrs, address, expected] of cases) {
    t.equal(new CidrSet(cidrs).has(endpoint(address)), expected, `${address} in [${cidrs}]`)
  }
})

t.test('an address is found by its bytes, wherever they lie', async (t) => {
  const set = new CidrSet(['10.0.0.0/8', '2001:db8::/32'])
  t.ok(set.hasBytes(Uint8Array.of(99, 99, 10, 1, 2, 3, 99), 2, 4))
  t.notOk(set.hasBytes(Uint8Array.of(99, 99, 11, 1, 2, 3, 99), 2, 4))
  t.ok(set.hasBytes(Uint8Array.from([7, ...ipaddr.parse('2001:db8::5').toByteArray()]), 1, 16))
  t.ok(set.hasBytes(Uint8Array.from(ipaddr.parse('::ffff:10.0.0.1').toByteArray()), 0, 16))
})

t.test('what is no network is refused by name', async (t) => {
  const cases: [string, RegExp][] = [
    ['10.0.0.0/33', /0 to 32/],
    ['10.0.0.0/-1', /0 to 32/],
    ['10.0.0.0/', /0 to 32/],
    ['10.0.0.0/8/8', /0 to 32/],
    ['2001:db8::/129', /0 to 128/],
    ['010.0.0.1/8', /expected an address/],
    ['10.1/16', /expected an address/],
    ['0x7f.0.0.1', /expected an address/],
    ['web.example', /expected an address/],
    ['', /expected an address/],
    ['fe80::1%eth0/64', /no zone/],
    ['::ffff:10.0.0.0/64', /96 or more/],
  ]
  for (const [cidr, message] of cases) {
    t.throws(() => new CidrSet(['127.0.0.0/8', cidr]), { code: 'CONFIG_INVALID', message }, cidr)
    t.throws(() => new CidrSet([cidr]), new RegExp(`"${cidr.replace(/[.[\]]/g, '\\$&')}" is not a network`))
  }
  t.throws(() => new CidrSet(['x']), CastorError)
})

t.test('agrees with ipaddr.js for any networks and addresses', async (t) => {
  t.comment(`seed ${SEED}`)
  // Few distinct values, so that networks nest, touch and hold the addresses asked for.
  const part = fc.constantFrom(0, 1, 2, 127, 128, 255)
  const group = fc.constantFrom(0, 1, 0x7fff, 0x8000, 0xffff)
  const v4 = fc.array(part, { minLength: 4, maxLength: 4 }).map((parts) => new ipaddr.IPv4(parts))
  const v6 = fc.array(group, { minLength: 8, maxLength: 8 }).map((parts) => new ipaddr.IPv6(parts))
  const network = fc.oneof(fc.tuple(v4, fc.nat(32)), fc.tuple(v6, fc.nat(128)))
  fc.assert(
    fc.property(
      fc.array(network, { maxLength: 12 }),
      fc.array(fc.oneof(v4, v6), { maxLength: 30 }),
      (networks, addresses) => {
        const set = new CidrSet(networks.map(([address, prefix]) => `${address.toString()}/${prefix}`))
        return addresses.every((address) => {
          const expected = networks.some(([net, prefix]) => net.kind() === address.kind() && address.match(net, prefix))
          return set.has(endpoint(address.toString())) === expected
        })
      },
    ),
    { seed: SEED, numRuns: 1_500 },
  )
})

t.test('ten thousand networks are asked in well under a microsecond', async (t) => {
  t.comment(`seed ${SEED}`)
  const random = seededRandom(SEED)
  const cidrs: string[] = []
  const v4 = (): string => [0, 0, 0, 0].map(() => Math.floor(random() * 256)).join('.')
  for (let i = 0; i < 5_000; i++) {
    cidrs.push(`${v4()}/${16 + Math.floor(random() * 17)}`)
    const groups = [0, 0, 0].map(() => Math.floor(random() * 65_536).toString(16))
    cidrs.push(`2001:${groups.join(':')}::/${32 + Math.floor(random() * 33)}`)
  }
  const set = new CidrSet(cidrs)
  t.equal(set.size, 10_000)
  const asked = Array.from({ length: 2_000 }, (_, i) =>
    endpoint(i % 2 === 0 ? v4() : `2001:${(i * 31).toString(16)}::${i}`),
  )
  let found = 0
  let bestNs = Number.POSITIVE_INFINITY
  // The best of several rounds, because other programs run on the machine as well.
  for (let round = 0; round < 20; round++) {
    const began = process.hrtime.bigint()
    for (let i = 0; i < asked.length; i++) if (set.has(asked[i]!)) found++
    bestNs = Math.min(bestNs, Number(process.hrtime.bigint() - began) / asked.length)
  }
  t.comment(`${bestNs.toFixed(0)} ns, ${found} found`)
  t.ok(bestNs < 1_000)
})
