import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import t from 'tap'
import { NameLookups, type NameService } from '../../../src/control/name-lookup.js'
import { firstReachable } from '../../../src/control/reachable.js'
import { type AddressOptions, TargetAddresses } from '../../../src/control/resolve.js'
import type { Logger } from '../../../src/observe/log.js'

const PORT = 80

function recordingLog(): { log: Logger; hosts: string[] } {
  const hosts: string[] = []
  const log = { warn: ({ host }: { host: string }) => hosts.push(host) } as unknown as Logger
  return { log, hosts }
}

/** Names as a test would have them; what is not there never answers. */
class Names implements NameService {
  readonly answers = new Map<string, readonly string[] | Error>()
  readonly asked: string[] = []
  running = 0
  most = 0

  async lookup(host: string): Promise<readonly string[]> {
    this.asked.push(host)
    this.most = Math.max(this.most, ++this.running)
    const answer = this.answers.get(host)
    if (answer === undefined) return new Promise(() => {})
    await null
    this.running--
    if (answer instanceof Error) throw answer
    return answer
  }
}

const at = (host: string, port = PORT) => ({ host, port })
const accepting =
  (...addresses: string[]) =>
  async (address: string): Promise<boolean> =>
    addresses.includes(address)

function setting(hosts: readonly string[], options: AddressOptions = {}) {
  const names = new Names()
  const { log, hosts: logged } = recordingLog()
  const list = [...hosts]
  const doubtful = new Set<string>()
  const clock = { nowMs: 0 }
  const targets = {
    hosts: () => list.map((host) => at(host)),
    isDoubtful: ({ host }: { host: string }) => doubtful.has(host),
  }
  const addresses = new TargetAddresses(() => targets, log, {
    names,
    attempt: async () => true,
    now: () => clock.nowMs,
    ...options,
  })
  return { names, log, logged, list, addresses, doubtful, clock }
}

t.test('addresses need no look-up, names get theirs', async (t) => {
  const { log, hosts } = recordingLog()
  const targets = ['10.0.0.1', 'localhost', '2001:db8::1', 'localhost'].map((host) => at(host))
  const addresses = new TargetAddresses(() => ({ hosts: () => targets, isDoubtful: () => false }), log)
  t.equal(addresses.of('10.0.0.1', PORT), '10.0.0.1')
  t.equal(addresses.of('2001:db8::1', PORT), '2001:db8::1')
  t.equal(addresses.of('localhost', PORT), '', 'not looked up yet')
  t.equal(await addresses.refresh(), true, 'something changed')
  t.match(addresses.of('localhost', PORT), /^(127\.0\.0\.1|::1)$/)
  t.equal(await addresses.refresh(), false, 'nothing changed since')
  t.same(hosts, [])
})

t.test('a name that does not resolve is logged once a look-up, and has no address', async (t) => {
  const { names, addresses, logged } = setting(['dead.example', 'dead.example', '10.0.0.1'])
  names.answers.set('dead.example', new Error('ENOTFOUND'))
  t.equal(await addresses.refresh(), false)
  t.equal(addresses.of('dead.example', PORT), '')
  t.same(logged, ['dead.example'])
  await addresses.refresh()
  t.same(logged, ['dead.example'], 'its next look-up is not due yet')
})

t.test('a name that comes into use has its address at once, and is forgotten when nobody uses it', async (t) => {
  const { names, addresses, list } = setting([])
  names.answers.set('app.example', ['10.0.0.7'])
  await addresses.resolve('app.example', PORT)
  t.equal(addresses.of('app.example', PORT), '10.0.0.7')
  list.push('app.example')
  await addresses.refresh()
  t.same(names.asked, ['app.example'], 'it has been looked up')
  list.pop()
  await addresses.refresh()
  t.equal(addresses.of('app.example', PORT), '')
})

t.test('rotating answers do not move a target: an address stays while it is among them', async (t) => {
  const { names, addresses, clock } = setting(['app.example'])
  names.answers.set('app.example', ['10.0.0.1', '10.0.0.2', '10.0.0.3'])
  await addresses.refresh()
  t.equal(addresses.of('app.example', PORT), '10.0.0.1')
  for (const answer of [
    ['10.0.0.3', '10.0.0.1', '10.0.0.2'],
    ['10.0.0.2', '10.0.0.3', '10.0.0.1'],
  ]) {
    names.answers.set('app.example', answer)
    clock.nowMs += 10_000
    t.equal(await addresses.refresh(), false)
    t.equal(addresses.of('app.example', PORT), '10.0.0.1')
  }
  names.answers.set('app.example', ['10.0.0.3', '10.0.0.2'])
  clock.nowMs += 10_000
  t.equal(await addresses.refresh(), true)
  t.equal(addresses.of('app.example', PORT), '10.0.0.3', 'the first of those that are left')
})

t.test('a name of both families leads to the address that accepts connections', async (t) => {
  for (const [answer, reachable, expected] of [
    [['::1', '127.0.0.1'], ['127.0.0.1'], '127.0.0.1'],
    [['127.0.0.1', '::1'], ['::1'], '::1'],
    [['::1', '127.0.0.1'], ['::1', '127.0.0.1'], '::1'],
    [['::1', '127.0.0.1'], [], '::1'],
  ] as const) {
    const { names, addresses } = setting(['app.example'], { attempt: accepting(...reachable) })
    names.answers.set('app.example', answer)
    await addresses.refresh()
    t.equal(addresses.of('app.example', PORT), expected, `${answer} where ${reachable} accepts`)
  }
})

t.test(
  'connections that fail make it try the other addresses, and keep the one it has where none is better',
  async (t) => {
    const reachable = new Set(['::1'])
    const { names, addresses, doubtful } = setting(['app.example'], { attempt: async (each) => reachable.has(each) })
    names.answers.set('app.example', ['::1', '127.0.0.1'])
    await addresses.refresh()
    t.equal(addresses.of('app.example', PORT), '::1')
    reachable.delete('::1')
    t.equal(await addresses.refresh(), false, 'nobody has complained')
    doubtful.add('app.example')
    t.equal(await addresses.refresh(), false, 'nor is any other better')
    reachable.add('127.0.0.1')
    t.equal(await addresses.refresh(), true)
    t.equal(addresses.of('app.example', PORT), '127.0.0.1')
  },
)

t.test('a port of a name may be reached by one family, and another by the other', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  t.equal(await firstReachable(['::1', '127.0.0.1'], port), '127.0.0.1')
  t.equal(await firstReachable(['127.0.0.1', '::1'], port), '127.0.0.1')
  server.close()
  await once(server, 'close')
  t.equal(await firstReachable(['127.0.0.1', '::1'], port), undefined)
})

t.test('dead names hold up neither the others nor the start, and are looked up once at a time', async (t) => {
  const dead = Array.from({ length: 6 }, (_, i) => `dead-${i}.example`)
  const { names, addresses } = setting([...dead, 'app.example'])
  names.answers.set('app.example', ['10.0.0.1'])
  const begunMs = performance.now()
  const first = addresses.refresh()
  await new Promise<void>((resolve) => setImmediate(resolve))
  t.equal(addresses.of('app.example', PORT), '10.0.0.1', 'at once')
  await first
  t.ok(performance.now() - begunMs < 6_000, 'the start goes on without them')
  void addresses.refresh()
  void addresses.refresh()
  await new Promise<void>((resolve) => setImmediate(resolve))
  t.same(names.asked.filter((host) => host.startsWith('dead')).sort(), dead, 'once each')
})

t.test('look-ups are bounded, and a name that fails is asked ever more seldom', async (t) => {
  const names = new Names()
  const { log } = recordingLog()
  let nowMs = 0
  const lookups = new NameLookups(names, log, () => nowMs)
  for (let i = 0; i < 100; i++) names.answers.set(`n${i}.example`, ['10.0.0.1'])
  await Promise.all(Array.from({ length: 100 }, (_, i) => lookups.look(`n${i}.example`)))
  t.equal(names.asked.length, 100)
  t.ok(names.most <= 32, `${names.most} at once`)
  names.answers.set('dead.example', new Error('ENOTFOUND'))
  names.asked.length = 0
  const asked: number[] = []
  for (; nowMs <= 300_000; nowMs += 100) {
    const before = names.asked.length
    await lookups.look('dead.example')
    if (names.asked.length > before) asked.push(nowMs / 1_000)
  }
  t.same(asked, [0, 1, 3, 7, 15, 31, 63, 123, 183, 243])
})
