import fc from 'fast-check'
import t from 'tap'
import { addressRanges } from '../../../src/config/address-ranges.js'
import { RECORD_ADDRESS, RECORD_WORDS, recordFamily } from '../../../src/core/connection-record.js'
import { writeAddressWords } from '../../../src/net/address-words.js'
import { CidrSet } from '../../../src/net/cidr-set.js'
import { isInRanges } from '../../../src/net/in-ranges.js'

const record = new Int32Array(RECORD_WORDS)

function has(ranges: ReturnType<typeof addressRanges>, address: string): boolean {
  writeAddressWords(address, record, 0)
  return isInRanges(ranges, recordFamily(record, 0), record, RECORD_ADDRESS)
}

t.test('networks of both families, plain addresses, the whole and the ends of ranges', async (t) => {
  const ranges = addressRanges([
    '10.0.0.0/8',
    '192.0.2.7',
    '2001:db8::/32',
    '::ffff:198.51.100.0/120',
    '255.255.255.255/32',
  ])
  for (const address of [
    '10.0.0.0',
    '10.255.255.255',
    '192.0.2.7',
    '2001:db8:ffff:ffff:ffff:ffff:ffff:ffff',
    '198.51.100.9',
  ])
    t.ok(has(ranges, address), address)
  t.ok(has(ranges, '255.255.255.255'))
  for (const address of ['9.255.255.255', '11.0.0.0', '192.0.2.6', '192.0.2.8', '2001:db9::', '::', '198.51.101.0'])
    t.notOk(has(ranges, address), address)
  t.ok(has(addressRanges(['0.0.0.0/0']), '203.0.113.9'))
  t.notOk(has(addressRanges(['0.0.0.0/0']), '2001:db8::1'))
  t.ok(has(addressRanges(['::/0']), '2001:db8::1'))
  t.notOk(has(addressRanges([]), '127.0.0.1'))
})

t.test('what overlaps is joined', async (t) => {
  const { v4 } = addressRanges(['10.0.0.0/8', '10.1.0.0/16', '10.0.0.0/9', '11.0.0.0/8', '10.0.0.0/8'])
  t.equal(v4.length, 4)
})

const v4 = fc.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0, max: 255 }))
const v4Text = v4.map(([a, b, c]) => `10.${a}.${b}.${c}`)
const v6Text = v4.map(([a, b, c]) => `2001:db8:${a}::${b.toString(16)}:${c.toString(16)}`)
const network = fc.oneof(
  fc.tuple(v4Text, fc.integer({ min: 0, max: 32 })).map(([address, prefix]) => `${address}/${prefix}`),
  fc.tuple(v6Text, fc.integer({ min: 0, max: 128 })).map(([address, prefix]) => `${address}/${prefix}`),
)

t.test('they hold what a trie of the same networks holds', async (t) => {
  fc.assert(
    fc.property(
      fc.array(network, { maxLength: 12 }),
      fc.array(fc.oneof(v4Text, v6Text), { maxLength: 12 }),
      (networks, addresses) => {
        const ranges = addressRanges(networks)
        const set = new CidrSet(networks)
        const ends = networks.map((each) => each.slice(0, each.indexOf('/')))
        for (const address of [...addresses, ...ends]) {
          const family = address.includes(':') ? 6 : 4
          if (has(ranges, address) !== set.has({ family, address, port: 1 })) return false
        }
        return true
      },
    ),
    { numRuns: 500 },
  )
  t.pass('500 random lists')
})
