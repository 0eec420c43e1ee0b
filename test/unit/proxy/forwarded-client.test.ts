import t from 'tap'
import { CidrSet } from '../../../src/net/cidr-set.js'
import { lastUntrusted } from '../../../src/proxy/forwarded-client.js'

const TRUSTED = new CidrSet(['10.0.0.0/8', '2001:db8:ffff::/48'])

const CASES: readonly [list: string, address: string | undefined, port?: number][] = [
  ['203.0.113.7', '203.0.113.7'],
  ['203.0.113.7, 10.0.0.2', '203.0.113.7'],
  ['203.0.113.7,10.0.0.3 , 10.0.0.2', '203.0.113.7'],
  ['198.51.100.9, 203.0.113.7, 10.0.0.2', '203.0.113.7'],
  ['10.0.0.1', '10.0.0.1'],
  ['10.0.0.1, 10.0.0.2', '10.0.0.1'],
  ['2001:DB8::0:7, 2001:db8:ffff::1', '2001:db8::7'],
  ['::ffff:203.0.113.7', '203.0.113.7'],
  ['203.0.113.7, ::ffff:10.0.0.2', '203.0.113.7'],
  ['203.0.113.7:4711', '203.0.113.7', 4711],
  ['[2001:db8::7]:4711, 10.0.0.2', '2001:db8::7', 4711],
  ['[2001:db8::7]', '2001:db8::7'],
  ['unknown', undefined],
  ['203.0.113.7, unknown, 10.0.0.2', '10.0.0.2'],
  ['203.0.113.7, nonsense', undefined],
  ['203.0.113.7,, ,10.0.0.2,', '203.0.113.7'],
  ['', undefined],
  [' , ', undefined],
]

for (const [list, address, port = 0] of CASES) {
  t.test(`the client in ${JSON.stringify(list)} is ${address ?? 'the proxy itself'}`, async (t) => {
    const found = lastUntrusted(list, TRUSTED)
    t.equal(found?.address, address)
    if (found !== undefined) {
      t.equal(found.port, port)
      t.equal(found.family, found.address.includes(':') ? 6 : 4)
    }
  })
}
