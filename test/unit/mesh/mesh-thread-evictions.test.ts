import pino from 'pino'
import t from 'tap'
import { parseConfig } from '../../../src/config/load.js'
import { NO_SNAPSHOT, nextSnapshot, withBinds } from '../../../src/control/next-snapshot.js'
import { Slots } from '../../../src/control/slots.js'
import { ManualClock } from '../../../src/core/clock.js'
import { blankEntry } from '../../../src/core/session-store.js'
import { CHECK_UNCHECKED } from '../../../src/core/target-state.js'
import { createSharedCounters } from '../../../src/shm/columns.js'
import { KeyHash, keySeed } from '../../../src/shm/key-hash.js'
import { Outbox } from '../../../src/shm/outbox.js'
import { ReplicatingSessions } from '../../../src/shm/replicating-sessions.js'
import { SessionTable } from '../../../src/shm/sessions.js'
import { SharedHybridClock } from '../../../src/shm/shared-hybrid-clock.js'
import { TargetTable } from '../../../src/shm/targets.js'
import { MeshThread } from '../../../workers/mesh/assemble.js'
import { MemoryHub } from '../../memory/mesh-hub.js'

const WORKERS = 2
const SMALL = 24
/** More than one batch of what is sent. */
const MEDIUM = 600
const LARGE = 4_000
const QUIET = { isQuiet: () => true, clear: () => {} }
const SESSION_MS = 600_000

const HASH = new KeyHash(keySeed('test'))
const keyOf = (n: number): Int32Array => {
  const value = Buffer.from(`session ${n}`)
  return Int32Array.from(HASH.of(0, value, 0, value.length))
}

/** Some hosts, each its mesh thread and the stores of its workers, around a store in memory. */
class Hosts {
  readonly clock = new ManualClock()
  readonly hub = new MemoryHub({ delayMs: () => 1, loses: () => false, doubles: () => false })
  readonly #threads: MeshThread[] = []

  /** `sessions`: so many it has room for. */
  add(node: string, sessions: number) {
    const { clock, hub } = this
    const config = parseConfig(
      JSON.stringify({
        workers: WORKERS,
        node,
        cluster: { name: 'c', redis: 'redis://127.0.0.1:6379', secret: 'a secret for this test' },
        listeners: [{ name: 'web', protocol: 'http', listen: '127.0.0.1:8080', targetGroup: 'app' }],
        targetGroups: [
          {
            name: 'app',
            protocol: 'http',
            targets: [{ id: 'one', address: '192.0.2.1:80' }],
            stickiness: { type: 'app-cookie', name: 'SID' },
          },
        ],
      }),
      'memory.yaml',
    )
    const slots = {
      listeners: new Slots(QUIET),
      groups: new Slots(QUIET),
      series: new Slots(QUIET),
      rules: new Slots(QUIET),
    }
    const snapshot = withBinds(nextSnapshot(config, { ...NO_SNAPSHOT }, slots, 1), [])
    const capacity = { workers: WORKERS, listeners: 2, series: 4, rules: 4, groups: 2, targets: 4, sessions }
    const counters = createSharedCounters(capacity, true)
    const generation = new TargetTable(counters.segments).occupy(0, 1, CHECK_UNCHECKED, clock.steadyMs)
    const target = { slot: 0, generation, group: 0, id: 'one', host: '192.0.2.1', port: 80, address: '192.0.2.1' }
    const task = {
      snapshot,
      counters,
      version: '1',
      boot: `boot of ${node}`,
      targets: [{ group: 0, version: 1, targets: [target] }],
      again: false,
      known: [],
      muted: false,
    }
    const thread = new MeshThread(task, pino({ level: 'silent' }), () => {}, {
      clock: () => clock,
      transport: () => hub.transport(),
    })
    thread.replica.start()
    this.#threads.push(thread)
    const stamps = new SharedHybridClock(counters.hybridClock, node, () => clock.wallMs)
    const plain = new SessionTable(counters.sessions, 1, clock)
    const workers = counters.outboxes.map((outbox, i) => {
      const store = i === 0 ? plain : new SessionTable(counters.sessions, i + 1, clock)
      return new ReplicatingSessions(store, new Outbox(outbox), stamps)
    })
    /** A worker learns of a session. */
    const learn = (worker: number, n: number): void => {
      const stamp = { high: 0, low: 0 }
      stamps.next(stamp)
      workers[worker]!.put(keyOf(n), {
        ...blankEntry(),
        group: 0,
        targetSlot: 0,
        generation,
        expiresMs: clock.steadyMs + SESSION_MS,
        touchedMs: clock.steadyMs,
        versionHigh: stamp.high,
        versionLow: stamp.low,
      })
    }
    return { learn, capacity: plain.capacity, counts: () => plain.counts() }
  }

  pass(ms: number): void {
    for (let passed = 0; passed < ms; passed += 5) {
      this.clock.advance(5)
      this.hub.advanceTo(this.clock.nowMs)
      for (const thread of this.#threads) thread.turn()
    }
  }

  /** What the store has kept: as much as a host with room for all of it learns when it comes. */
  kept(): number {
    const late = this.add(`late-${this.#threads.length}`, LARGE)
    this.pass(3_000)
    return late.counts().entries
  }
}

t.test('the store holds no more sessions than the table of the host that learned them', async (t) => {
  const hosts = new Hosts()
  const host = hosts.add('a', SMALL)
  hosts.pass(1_000)
  for (let n = 0; n < 8 * host.capacity; n++) {
    host.learn(n % WORKERS, n)
    if (n % 10 === 0) hosts.pass(20)
  }
  hosts.pass(3_000)
  t.ok(host.counts().evictions > host.capacity, 'the table was full many times over')
  const kept = hosts.kept()
  t.ok(kept <= host.capacity && kept > host.capacity / 2, `${kept} of ${host.capacity}`)
})

t.test('nor than the table of a host that learns of them from others', async (t) => {
  const hosts = new Hosts()
  const large = hosts.add('a', LARGE)
  const small = hosts.add('b', SMALL)
  hosts.pass(1_000)
  for (let n = 0; n < 8 * small.capacity; n++) {
    large.learn(0, n)
    if (n % 10 === 0) hosts.pass(20)
  }
  hosts.pass(3_000)
  t.ok(small.counts().evictions > small.capacity)
  const kept = hosts.kept()
  t.ok(kept <= small.capacity && kept > small.capacity / 2, `${kept} of ${small.capacity}`)
})

t.test('a session whose end is read before its beginning does not come back to the store', async (t) => {
  const hosts = new Hosts()
  const host = hosts.add('a', MEDIUM)
  hosts.pass(1_000)
  // The outbox of the first worker is read first; it evicts what the second has learned.
  for (let n = 0; n < host.capacity; n++) host.learn(1, n)
  for (let n = host.capacity; n < 2 * host.capacity; n++) host.learn(0, n)
  hosts.pass(3_000)
  const kept = hosts.kept()
  t.ok(kept <= host.capacity && kept > host.capacity / 2, `${kept} of ${host.capacity}`)
})
