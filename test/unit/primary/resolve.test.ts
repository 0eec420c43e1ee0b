import t from 'tap'
import type { Logger } from '../../../src/observe/log.js'
import { TargetAddresses } from '../../../src/primary/resolve.js'

function recordingLog(): { log: Logger; hosts: string[] } {
  const hosts: string[] = []
  const log = { warn: ({ host }: { host: string }) => hosts.push(host) } as unknown as Logger
  return { log, hosts }
}

t.test('addresses need no look-up, names get theirs', async (t) => {
  const { log, hosts } = recordingLog()
  const addresses = new TargetAddresses(() => ['10.0.0.1', 'localhost', '2001:db8::1', 'localhost'], log)
  t.equal(addresses.of('10.0.0.1'), '10.0.0.1')
  t.equal(addresses.of('2001:db8::1'), '2001:db8::1')
  t.equal(addresses.of('localhost'), '', 'not looked up yet')
  t.equal(await addresses.refresh(), true, 'something changed')
  t.match(addresses.of('localhost'), /^(127\.0\.0\.1|::1)$/)
  t.equal(await addresses.refresh(), false, 'nothing changed since')
  t.same(hosts, [])
})

t.test('a name that does not resolve is logged once a look-up, and has no address', async (t) => {
  const { log, hosts } = recordingLog()
  const names = ['no-such-host.invalid', 'no-such-host.invalid', '10.0.0.1']
  const addresses = new TargetAddresses(() => names, log)
  t.equal(await addresses.refresh(), false)
  t.equal(addresses.of('no-such-host.invalid'), '')
  t.same(hosts, ['no-such-host.invalid'])
})

t.test('a name that comes into use has its address at once, and is forgotten when nobody uses it', async (t) => {
  const { log } = recordingLog()
  const names: string[] = []
  const addresses = new TargetAddresses(() => names, log)
  await addresses.resolve('localhost')
  t.not(addresses.of('localhost'), '')
  names.push('localhost')
  t.equal(await addresses.refresh(), false, 'it is the same')
  names.pop()
  await addresses.refresh()
  t.equal(addresses.of('localhost'), '')
})
