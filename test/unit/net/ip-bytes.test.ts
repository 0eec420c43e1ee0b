import fc from 'fast-check'
import ipaddr from 'ipaddr.js'
import t from 'tap'
import { ipFromBytes, ipToBytes } from '../../../src/net/ip-bytes.js'
import { SEED } from '../../random.js'

const bytesOf = (text: string): number[] => {
  const out = new Uint8Array(18).fill(0xee)
  const length = ipToBytes(text, out, 1)
  t.equal(out[0], 0xee, 'writes nothing before its place')
  t.equal(out[17], 0xee, 'writes nothing behind its place')
  return [...out.subarray(1, 1 + length)]
}

t.test('addresses are read', async (t) => {
  const cases: [string, string][] = [
    ['0.0.0.0', '00000000'],
    ['255.255.255.255', 'ffffffff'],
    ['10.1.20.200', '0a0114c8'],
    ['::', '00000000000000000000000000000000'],
    ['::1', '00000000000000000000000000000001'],
    ['1::', '00010000000000000000000000000000'],
    ['2001:db8::8:800:200C:417A', '20010db80000000000080800200c417a'],
    ['1:2:3:4:5:6:7::', '00010002000300040005000600070000'],
    ['::2:3:4:5:6:7:8', '00000002000300040005000600070008'],
    ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
    ['::ffff:192.0.2.1', '00000000000000000000ffffc0000201'],
    ['1:2:3:4:5:6:1.2.3.4', '00010002000300040005000601020304'],
    ['1::5:1.2.3.4', '00010000000000000000000501020304'],
    ['fe80::1%eth0', 'fe800000000000000000000000000001'],
    ['fe80::%1', 'fe800000000000000000000000000000'],
  ]
  for (const [text, hex] of cases) t.equal(Buffer.from(bytesOf(text)).toString('hex'), hex, text)
})

t.test('what is no address is refused', async (t) => {
  const cases = [
    '',
    'localhost',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.256',
    '01.2.3.4',
    '1..2.3',
    '1.2.3.4 ',
    '.1.2.3',
    '1.2.3.',
    '0x7f.0.0.1',
    '1.2.3.-4',
  ]
  cases.push(
    ':',
    ':::',
    '1:',
    ':1',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1::2::3',
    '12345::',
    'g::',
    '1:2:3:4:5:6:7:8::',
  )
  cases.push(
    '::1.2.3',
    '::1.2.3.4:5',
    '1:2:3:4:5:6:7:1.2.3.4',
    '1:2:3:4:5:6:7::1.2.3.4',
    '::1%',
    '[::1]',
    '::1/64',
    '1:%a',
  )
  for (const text of cases) t.equal(ipToBytes(text, new Uint8Array(16), 0), 0, JSON.stringify(text))
})

t.test('agrees with ipaddr.js on any IPv6 address, both ways', async (t) => {
  t.comment(`seed ${SEED}`)
  const groups = fc.array(fc.oneof(fc.constant(0), fc.nat(0xffff)), { minLength: 8, maxLength: 8 })
  fc.assert(
    fc.property(groups, (groups) => {
      const oracle = new ipaddr.IPv6(groups)
      for (const text of [oracle.toString(), oracle.toRFC5952String(), oracle.toNormalizedString()]) {
        const out = new Uint8Array(16)
        if (ipToBytes(text, out, 0) !== 16) return false
        if (out.join() !== oracle.toByteArray().join()) return false
      }
      const text = ipFromBytes(Uint8Array.from(oracle.toByteArray()), 0, 16)
      return text === (oracle.isIPv4MappedAddress() ? oracle.toIPv4Address().toString() : oracle.toRFC5952String())
    }),
    { seed: SEED, numRuns: 2_000 },
  )
})

t.test('takes and refuses the same texts as the system does', async (t) => {
  const { isIP } = await import('node:net')
  t.comment(`seed ${SEED}`)
  const piece = fc.constantFrom(
    ':',
    '::',
    '.',
    '0',
    '1',
    '25',
    '255',
    '256',
    'ffff',
    'abcde',
    'g',
    '::ffff:',
    '1.2.3.4',
    '00',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const text = pieces.join('')
      const length = ipToBytes(text, new Uint8Array(16), 0)
      return (length === 16 ? 6 : length) === isIP(text)
    }),
    { seed: SEED, numRuns: 20_000 },
  )
})
