import t from 'tap'
import { encodeBatch } from '../../../src/mesh/batch.js'
import { Sealer } from '../../../src/mesh/seal.js'
import { ReplicaRig, type TestHost } from './replica-rig.js'

/** Two hosts that know each other. */
function pair(): { rig: ReplicaRig; a: TestHost; b: TestHost } {
  const rig = new ReplicaRig()
  const a = rig.host('a')
  const b = rig.host('b')
  rig.pass(100)
  return { rig, a, b }
}

t.test('what one learns the other knows within a batch and a delay', async (t) => {
  const { rig, a, b } = pair()
  a.bind(1, 'one')
  rig.pass(30)
  t.equal(b.targetOf(1), 'one')
  a.operate('one', 'draining')
  rig.pass(30)
  t.same(b.knowledge, a.knowledge)
})

t.test('changes within 20 ms share a frame, and 256 do not wait', async (t) => {
  const { rig, a, b } = pair()
  const before = a.replica.counts.framesOut
  for (let client = 0; client < 100; client++) a.bind(client, 'one')
  t.equal(a.replica.counts.framesOut, before)
  rig.pass(30)
  t.equal(a.replica.counts.framesOut, before + 1)
  t.equal(b.state.entries.size, 100)
  for (let client = 100; client < 356; client++) a.bind(client, 'one')
  t.equal(a.replica.counts.framesOut, before + 2)
})

t.test('of two bindings of one client the later stands on both, also when clocks are apart', async (t) => {
  const rig = new ReplicaRig()
  const a = rig.host('a', { skewMs: 30_000 })
  const b = rig.host('b', { skewMs: -20_000 })
  rig.pass(100)
  a.bind(1, 'one')
  rig.pass(50)
  b.bind(1, 'two')
  rig.pass(50)
  t.same([a.targetOf(1), b.targetOf(1)], ['two', 'two'], 'b had seen what a wrote, so it was later')
})

t.test('what was forgotten is not brought back by an older write', async (t) => {
  const { rig, a, b } = pair()
  const old = a.bind(1, 'one')
  rig.pass(50)
  b.bind(1, '')
  rig.pass(50)
  a.replica.change(old)
  rig.pass(50)
  t.same([a.targetOf(1), b.targetOf(1)], ['', ''])
})

t.test('a break: what both learned meanwhile is known to both soon after', async (t) => {
  const { rig, a, b } = pair()
  a.link.cut()
  t.match(a.events.at(-1), 'down: cut off')
  for (let client = 0; client < 1_000; client++) a.bind(client, 'one')
  for (let client = 1_000; client < 2_000; client++) b.bind(client, 'two')
  b.operate('two', 'maintenance')
  rig.pass(10_000)
  t.equal(b.state.entries.size, 1_001)
  a.link.mend()
  rig.pass(500)
  t.equal(b.state.entries.size, 2_001)
  t.same(a.knowledge, b.knowledge)
  t.equal(a.replica.counts.refills, 2, 'at the first start and after the break')
})

t.test('after a break only what may have been missed is sent again, with five seconds to spare', async (t) => {
  const { rig, a } = pair()
  for (let client = 0; client < 500; client++) a.bind(client, 'one')
  rig.pass(60_000)
  const before = a.replica.counts.entriesOut
  a.link.cut()
  a.bind(1_000, 'one')
  rig.pass(1_000)
  a.link.mend()
  rig.pass(500)
  t.equal(a.replica.counts.entriesOut - before, 1)
})

t.test('writes that fail while the link stands are made good within two seconds', async (t) => {
  const { rig, a, b } = pair()
  const { publish, save } = a.link
  let refused = 0
  a.link.publish = (_frame, done) => {
    refused++
    done(false)
  }
  a.link.save = (_key, _frame, _ttl, done) => done(false)
  a.bind(1, 'one')
  rig.pass(3_000)
  t.ok(refused >= 2, 'tried again')
  t.ok(refused < 12, 'and not without end')
  Object.assign(a.link, { publish, save })
  rig.pass(2_000)
  t.equal(b.targetOf(1), 'one')
  const late = rig.host('late')
  rig.pass(100)
  t.equal(late.targetOf(1), 'one', 'saved as well')
})

t.test('a store that lost everything is filled again', async (t) => {
  const { rig, a, b } = pair()
  for (let client = 0; client < 500; client++) a.bind(client, 'one')
  b.operate('one', 'draining')
  rig.pass(60_000)
  rig.hub.loseEverything()
  rig.pass(1_000)
  a.link.mend()
  b.link.mend()
  rig.pass(500)
  const late = rig.host('late')
  rig.pass(200)
  t.equal(late.state.entries.size, 501)
  t.same(late.knowledge, a.knowledge)
})

t.test('who joins late knows everything, and nothing that has expired', async (t) => {
  const { rig, a } = pair()
  a.bind(1, 'one')
  a.bind(2, 'two', { expiresMs: rig.clock.wallMs + 1_000 })
  a.operate('one', 'draining')
  rig.pass(5_000)
  const late = rig.host('late')
  rig.pass(100)
  t.equal(late.targetOf(1), 'one')
  t.equal(late.targetOf(2), undefined)
  t.equal(late.state.entries.size, 2)
})

t.test('changes that were lost on their way here are found in the state', async (t) => {
  const { rig, a, b } = pair()
  rig.pass(10_000)
  const sinceMs = rig.clock.wallMs
  const entry = a.bind(1, 'one')
  rig.pass(100)
  b.state.entries.clear()
  a.state.merge({ ...entry, key: Int32Array.of(2, 0, 0, 0) })
  a.replica.resync(sinceMs)
  rig.pass(100)
  t.equal(b.state.entries.size, 2)
})

t.test('what is stamped more than a minute ahead is not taken, and carries no clock along', async (t) => {
  const rig = new ReplicaRig()
  const broken = rig.host('broken', { skewMs: 120_000 })
  const hasty = rig.host('hasty', { skewMs: 50_000 })
  const right = rig.host('right')
  rig.pass(100)
  broken.bind(1, 'one')
  hasty.bind(2, 'two')
  rig.pass(100)
  t.same([right.targetOf(1), right.targetOf(2)], [undefined, 'two'])
  t.equal(right.replica.counts.ahead, 1)
  right.bind(3, 'three')
  broken.bind(3, 'broken')
  rig.pass(100)
  t.equal(right.targetOf(3), 'three')
})

t.test('a use that is dated ahead, or a drain without an end in sight, is not taken either', async (t) => {
  const { rig, a, b } = pair()
  const { wallMs } = rig.clock
  a.replica.change({ ...a.bind(1, 'one'), touchedMs: wallMs + 120_000, expiresMs: wallMs + 240_000, ...a.stamp() })
  const drain = { kind: 'operator', group: 'app', target: 'one', state: 'draining', weight: -1 } as const
  a.replica.change({ ...drain, drainUntilMs: wallMs + 24 * 3_600_000, ...a.stamp() })
  a.replica.change({ ...drain, target: 'two', drainUntilMs: wallMs + 3_600_000, ...a.stamp() })
  rig.pass(100)
  t.same([b.replica.counts.ahead, b.replica.counts.invalid], [1, 1])
  t.same(
    [...b.state.entries.keys()].filter((name) => name.startsWith('o:')),
    ['o:app/two'],
  )
})

t.test('of a frame with bad rows the good ones are merged, and somebody is told', async (t) => {
  const { rig, a, b } = pair()
  a.bind(1, 'one')
  a.bind(2, 'not an id')
  rig.pass(100)
  t.equal(b.targetOf(1), 'one')
  t.equal(b.replica.counts.invalid, 1)
  t.ok(b.events.includes('a session invalid'))
})

t.test('frames of another secret, of another version and of nobody are dropped and counted', async (t) => {
  const { rig, a, b } = pair()
  const stranger = rig.host('stranger', { secret: 'another secret' })
  rig.pass(100)
  stranger.bind(1, 'mine')
  rig.pass(100)
  t.ok(a.replica.counts.forged > 0)
  t.equal(a.targetOf(1), undefined)
  t.notOk(a.replica.peers.list.some(({ node }) => node === 'stranger'))
  t.ok(a.replica.forgedLately)
  rig.kill(stranger)
  rig.pass(301_000)
  t.notOk(a.replica.forgedLately, 'what is long over is no problem')
  const sealer = new Sealer('the secret of all')
  const good = sealer.seal(encodeBatch({ node: 'x', boot: 'y', sentMs: 1, beat: undefined, entries: [], health: [] }))
  const version = Buffer.from(good)
  version[0] = 2
  const changed = Buffer.from(good)
  changed[30]! ^= 1
  for (const [what, frame, forged, unreadable] of [
    ['whole', good, 0, 0],
    ['of another version', version, 0, 1],
    ['with one bit turned', changed, 1, 0],
    ['cut short', good.subarray(0, 20), 1, 0],
    ['sealed, but no batch', sealer.seal(Buffer.from('nonsense')), 0, 1],
  ] as const) {
    const { forged: f, unreadable: u } = b.replica.counts
    b.replica.onFrame(frame)
    t.same([b.replica.counts.forged - f, b.replica.counts.unreadable - u], [forged, unreadable], what)
  }
})

t.test('a store that kept the older of two is corrected by whoever sees it', async (t) => {
  const { rig, a, b } = pair()
  const older = a.bind(1, 'older')
  rig.pass(50)
  b.bind(1, 'newer')
  rig.pass(50)
  a.replica.change(older)
  rig.pass(100)
  const late = rig.host('late')
  rig.pass(100)
  t.equal(late.targetOf(1), 'newer')
})

t.test('a correction that replaces something newer in the store is noticed, and corrected', async (t) => {
  const { rig, a, b } = pair()
  const c = rig.host('c')
  rig.pass(100)
  const older = a.bind(1, 'older')
  rig.pass(50)
  b.bind(1, 'newer')
  rig.pass(50)
  // What b writes is long on its way.
  const held: (() => void)[] = []
  const { link } = b
  const { save, publish } = link
  link.save = (...write) => void held.push(() => save.apply(link, write))
  link.publish = (...write) => void held.push(() => publish.apply(link, write))
  a.replica.change(older)
  rig.pass(50)
  c.bind(1, 'newest')
  rig.pass(50)
  for (const write of held.splice(0)) write()
  rig.pass(100)
  const late = rig.host('late')
  rig.pass(100)
  t.same(
    rig.hosts.map((host) => host.targetOf(1)),
    ['newest', 'newest', 'newest', 'newest'],
  )
  t.equal(late.targetOf(1), 'newest')
})

t.test('what a host saved, and died before it was told, is told by whoever reads it', async (t) => {
  const { rig, a, b } = pair()
  const { link } = a
  link.publish = () => {}
  a.operate('one', 'draining')
  const keys = { kind: 'tickets', keys: new Uint8Array(80), ...a.stamp() } as const
  a.state.merge(keys)
  a.replica.change(keys)
  rig.pass(100)
  t.same(b.knowledge, [])
  rig.kill(a)
  const again = rig.host('a', { boot: 'second boot of a' })
  rig.pass(100)
  t.equal(b.knowledge.length, 2)
  t.same(b.knowledge, again.knowledge)
  rig.host('late')
  const { entriesOut } = b.replica.counts
  rig.pass(100)
  t.equal(b.replica.counts.entriesOut, entriesOut, 'and by nobody who knew it')
})

t.test('health is passed on, and not kept', async (t) => {
  const { rig, a, b } = pair()
  const news = { kind: 'health', group: 'app', target: 'one', state: 'unhealthy', reason: 'CONNECT_FAILED' } as const
  a.replica.news(news)
  rig.pass(50)
  t.same(b.health, [news])
  const late = rig.host('late')
  rig.pass(100)
  t.same(late.health, [])
})

t.test('peers: joined, silent after three heartbeats, back, left, restarted', async (t) => {
  const rig = new ReplicaRig()
  const a = rig.host('a')
  const b = rig.host('b')
  rig.pass(100)
  const told = (): string[] => a.events.splice(0).filter((event) => event.startsWith('b '))
  t.same(told(), ['b joined'])
  t.same(
    a.replica.peers.list.map(({ node, boot, state, version }) => ({ node, boot, state, version })),
    [{ node: 'b', boot: 'boot of b', state: 'alive', version: '1.2.3' }],
  )
  b.link.cut()
  rig.pass(2_500)
  t.same(told(), [])
  rig.pass(1_500)
  t.same(told(), ['b silent'])
  t.equal(a.replica.peers.alive, 0)
  b.link.mend()
  rig.pass(100)
  t.same(told(), ['b back'])
  rig.kill(b)
  const again = rig.host('b', { boot: 'second boot of b' })
  rig.pass(1_500)
  t.same(told(), ['b restarted'])
  const left = again.replica.leave()
  rig.pass(10)
  await left
  t.same(told(), ['b left'])
  rig.hosts.splice(rig.hosts.indexOf(again), 1)
  rig.pass(5_000)
  t.same(told(), [], 'who has left is not silent')
})

t.test('an orderly stop sends what has not gone out yet', async (t) => {
  const { rig, a, b } = pair()
  a.bind(1, 'one')
  const left = a.replica.leave()
  rig.pass(10)
  await left
  t.equal(b.targetOf(1), 'one')
  t.equal(b.replica.peers.list[0]!.state, 'left')
})

t.test('an orderly stop does not wait for a store that is not there', async (t) => {
  const { a } = pair()
  a.link.cut()
  await a.replica.leave()
  t.pass()
})

t.test('another process of the same name is seen, by both, until it is gone', async (t) => {
  const rig = new ReplicaRig()
  const one = rig.host('same', { boot: 'one' })
  const other = rig.host('same', { boot: 'other' })
  rig.pass(1_500)
  t.same([one.replica.peers.impostor, other.replica.peers.impostor], ['other', 'one'])
  t.same(one.replica.peers.list, [])
  rig.kill(other)
  rig.pass(5_000)
  t.equal(one.replica.peers.impostor, undefined)
})

t.test('tries that fail are told each with its reason, before the first success too', async (t) => {
  const { a } = pair()
  a.link.cut()
  a.events.length = 0
  a.replica.onDown('wrong password')
  t.same(a.events, ['down: wrong password'])
})
