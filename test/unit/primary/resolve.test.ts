import t from 'tap'
import { parseConfig } from '../../../src/config/load.js'
import type { Config } from '../../../src/core/config.js'
import type { Logger } from '../../../src/observe/log.js'
import { TargetAddresses } from '../../../src/primary/resolve.js'

function config(...addresses: string[]): Config {
  const text = {
    listeners: [{ name: 'in', protocol: 'tcp', listen: '127.0.0.1:0', targetGroup: 'out' }],
    targetGroups: [
      { name: 'out', protocol: 'tcp', targets: addresses.map((address, i) => ({ address, id: `t${i}` })) },
    ],
  }
  return parseConfig(JSON.stringify(text), 'test.yaml')
}

function recordingLog(): { log: Logger; hosts: string[] } {
  const hosts: string[] = []
  const log = { warn: ({ host }: { host: string }) => hosts.push(host) } as unknown as Logger
  return { log, hosts }
}

t.test('addresses need no look-up, names get theirs', async (t) => {
  const { log, hosts } = recordingLog()
  const addresses = new TargetAddresses(config('10.0.0.1:80', 'localhost:80', '[2001:db8::1]:80', 'localhost:81'), log)
  t.same(addresses.current, ['10.0.0.1', '', '2001:db8::1', ''])
  t.equal(await addresses.refresh(), true, 'something changed')
  t.equal(addresses.current[0], '10.0.0.1')
  t.match(addresses.current[1], /^(127\.0\.0\.1|::1)$/)
  t.equal(addresses.current[3], addresses.current[1])
  t.equal(await addresses.refresh(), false, 'nothing changed since')
  t.same(hosts, [])
})

t.test(
  'a name that does not resolve is logged once a look-up, and leaves its targets without an address',
  async (t) => {
    const { log, hosts } = recordingLog()
    const addresses = new TargetAddresses(
      config('no-such-host.invalid:80', 'no-such-host.invalid:81', '10.0.0.1:80'),
      log,
    )
    t.equal(await addresses.refresh(), false)
    t.same(addresses.current, ['', '', '10.0.0.1'])
    t.same(hosts, ['no-such-host.invalid'])
  },
)
