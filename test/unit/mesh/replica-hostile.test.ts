import t from 'tap'
import type { MeshTransportEvents } from '../../../src/core/mesh.js'
import { MAX_FRAME_BYTES } from '../../../src/mesh/reply-filter.js'
import { ReplicaRig, type TestHost } from './replica-rig.js'

/** Two hosts that know each other. */
function pair(): { rig: ReplicaRig; a: TestHost; b: TestHost } {
  const rig = new ReplicaRig()
  const a = rig.host('a')
  const b = rig.host('b')
  rig.pass(100)
  return { rig, a, b }
}

/** Everything that was published, to be sent again by somebody without the secret. */
class Recorder implements MeshTransportEvents {
  readonly frames: Uint8Array[] = []
  onFrame(frame: Uint8Array): void {
    this.frames.push(frame)
  }
  onUp(): void {}
  onDown(): void {}
}

t.test('old frames that are sent again bring no host back, revive none and check nothing', async (t) => {
  const { rig, a, b } = pair()
  const recorder = new Recorder()
  rig.hub.transport().open(recorder)
  rig.pass(50)
  b.replica.news({ kind: 'health', group: 'app', target: 'one', state: 'unhealthy', reason: 'CONNECT_FAILED' })
  rig.pass(3_000)
  t.same(a.health.length, 1)
  t.equal(a.replica.peers.list[0]!.state, 'alive')
  rig.kill(b)
  const again = (): void => {
    for (const frame of recorder.frames) a.replica.onFrame(frame)
    rig.pass(200)
  }
  const told = (): string[] => a.events.splice(0).filter((event) => event.startsWith('b '))
  told()
  for (let ms = 0; ms < 5_000; ms += 200) again()
  t.same(told(), ['b silent'], 'it falls silent all the same')
  t.equal(a.health.length, 1)
  t.ok(a.replica.counts.stale > 0)
  rig.pass(11 * 60_000)
  t.same(a.replica.peers.list, [], 'forgotten')
  again()
  t.same([told(), a.replica.peers.list], [[], []], 'and no ghost of it')

  const restarted = rig.host('a', { boot: 'second boot of a' })
  again()
  rig.pass(1_000)
  t.equal(restarted.replica.peers.impostor, 'boot of a', 'the process that still runs')
  rig.kill(a)
  rig.pass(5_000)
  for (const frame of recorder.frames) restarted.replica.onFrame(frame)
  t.equal(restarted.replica.peers.impostor, undefined, 'and not one that is long gone')
})

t.test('frames that are longer than any host sends are not opened', async (t) => {
  const { a } = pair()
  a.replica.onFrame(Buffer.alloc(MAX_FRAME_BYTES + 1, 1))
  a.replica.onFrame(Buffer.alloc(0))
  t.same([a.replica.counts.oversize, a.replica.counts.forged], [2, 0])
})

t.test('the longest frames that a host sends are taken', async (t) => {
  const { rig, a, b } = pair()
  const recorder = new Recorder()
  rig.hub.transport().open(recorder)
  rig.pass(50)
  const long = (n: number): string => `${n}.${'x'.repeat(290)}`
  for (let n = 0; n < 256; n++) a.bind(n, long(n), { group: `${n}${'g'.repeat(60)}` })
  for (let n = 0; n < 1_000; n++) {
    a.replica.news({ kind: 'health', group: 'g'.repeat(64), target: long(n), state: 'healthy', reason: 'NONE' })
  }
  rig.pass(200)
  t.equal(b.targetOf(255), long(255))
  t.equal(b.health.length, 1_000)
  t.equal(b.replica.counts.oversize, 0)
  t.ok(Math.max(...recorder.frames.map(({ length }) => length)) > 100_000)
})

t.test('two other hosts of one name are seen, and told from one that restarts', async (t) => {
  const rig = new ReplicaRig()
  const watcher = rig.host('watcher')
  const first = rig.host('same', { boot: 'one' })
  rig.pass(1_500)
  rig.kill(first)
  const second = rig.host('same', { boot: 'two' })
  rig.pass(1_730)
  t.same(watcher.replica.peers.doubled, [])
  watcher.events.length = 0
  const third = rig.host('same', { boot: 'three' })
  rig.pass(10_000)
  t.same(watcher.replica.peers.doubled, ['same'])
  t.ok(watcher.events.length <= 2, watcher.events.join())
  rig.kill(third)
  rig.pass(5_000)
  t.same(watcher.replica.peers.doubled, [])
  t.match(watcher.replica.peers.list, [{ node: 'same', state: 'alive' }])
  t.ok(second)
})

t.test('what operators want, and ticket keys, hold for as long as somebody says so', async (t) => {
  const { rig, a, b } = pair()
  const recorder = new Recorder()
  rig.hub.transport().open(recorder)
  rig.pass(50)
  a.operate('one', 'maintenance')
  a.replica.change({ kind: 'tickets', keys: new Uint8Array(80), ...a.stamp() })
  rig.pass(100)
  const known = (host: TestHost): string[] => [...host.state.entries.keys()].sort()
  t.same(known(b), ['o:app/one', 't'])
  for (const [days, expected] of [
    [0.5, ['o:app/one', 't']],
    [29, ['o:app/one']],
    [31, []],
  ] as const) {
    const rig = new ReplicaRig()
    const late = rig.host('late')
    rig.clock.advance(days * 86_400_000)
    late.replica.onUp(false)
    for (const frame of recorder.frames) late.replica.onFrame(frame)
    t.same(known(late), expected, `frames of ${days} days ago`)
    if (days === 31) t.ok(late.replica.counts.stale >= 2)
  }
})

t.test('however much is sent again after a break, no frame is longer than may be', async (t) => {
  const { rig, a, b } = pair()
  for (let n = 0; n < 3_000; n++) a.operate(`${n}.${'x'.repeat(250)}`, 'maintenance')
  rig.pass(200)
  rig.hub.loseEverything()
  for (const host of [a, b]) host.link.mend()
  rig.pass(2_000)
  t.equal(b.replica.counts.oversize, 0)
  const late = rig.host('late')
  rig.pass(500)
  t.equal(late.state.entries.size, 3_000)
})
