import pino from 'pino'
import t from 'tap'
import type { Audited } from '../../../src/admin/audit.js'
import { ClusterLink, type MeshListeners } from '../../../src/control/cluster-link.js'
import type { TargetRegistry } from '../../../src/control/target-registry.js'
import { LocalTicketKeys } from '../../../src/control/ticket-keys.js'
import { ManualClock } from '../../../src/core/clock.js'
import type { ClusterConfig } from '../../../src/core/config.js'
import { LocalHybridClock } from '../../../src/core/hybrid-clock.js'
import type { OperatorEntry } from '../../../src/core/mesh.js'
import { isOperatorEntry } from '../../../src/core/mesh-rules.js'
import type { ToMesh } from '../../../src/core/messages.js'
import type { Snapshot } from '../../../src/core/snapshot.js'
import type { AdminState } from '../../../src/core/target-state.js'
import { MAX_TICKET_KEYS, TICKET_KEY_BYTES } from '../../../src/core/tls.js'

/** A primary's end, with one target, and a mesh thread that does nothing by itself. */
class Rig {
  readonly clock = new ManualClock()
  readonly sent: ToMesh[] = []
  readonly link: ClusterLink
  readonly audited: Audited[] = []
  listeners!: MeshListeners
  readonly ticketKeys = new LocalTicketKeys()
  group = 'app'
  all: { slot: number; generation: number; group: number; id: string; leavesMs?: number }[] = [
    { slot: 3, generation: 1, group: 0, id: 't' },
  ]
  wish = { state: 'active' as AdminState, weight: -1, drainUntilMs: 0 }
  readonly #stamps = new LocalHybridClock('here', () => this.clock.wallMs)

  constructor() {
    const rig = this
    const registry = {
      get all() {
        return rig.all
      },
      wishFor: () => this.wish,
      adopt: (_slot: number, state: AdminState, weight: number, drainUntilMs: number) => {
        this.wish = { state, weight, drainUntilMs }
      },
    } as unknown as TargetRegistry
    this.link = new ClusterLink({
      cluster: { name: 'c' } as ClusterConfig,
      snapshot: () => ({ groups: [{ slot: 0, config: { name: this.group } }] }) as unknown as Snapshot,
      registry,
      ticketKeys: this.ticketKeys,
      clock: () => this.clock,
      log: pino({ level: 'silent' }),
      audit: { record: (audited) => this.audited.push(audited) },
      stamps: this.#stamps,
      mesh: (listeners) => {
        this.listeners = listeners
        return {
          boot: 'boot',
          status: undefined,
          start: async () => {},
          send: (message) => this.sent.push(message),
          stop: async () => {},
        }
      },
    })
  }

  operate(state: AdminState): void {
    this.wish = { ...this.wish, state }
    this.link.tellOperator(3)
  }

  /** As another host says it now. */
  entry(state: AdminState): OperatorEntry {
    const stamp = { high: 0, low: 0 }
    new LocalHybridClock('there', () => this.clock.wallMs).next(stamp)
    return { kind: 'operator', group: 'app', target: 't', state, weight: -1, drainUntilMs: 0, ...stamp }
  }

  get lastSent(): OperatorEntry {
    const message = this.sent.at(-1)!
    if (message.type !== 'operator') throw new Error(message.type)
    return message.entry
  }
}

t.test('what an operator says here stands against what another host said before it, and comes after it', async (t) => {
  const rig = new Rig()
  const before = rig.entry('draining')
  rig.clock.advance(5)
  rig.operate('maintenance')
  rig.listeners.onOperator(before)
  t.equal(rig.wish.state, 'maintenance')
  t.equal(rig.lastSent.state, 'maintenance', 'the mesh thread is told again')
  rig.clock.advance(5)
  rig.listeners.onOperator(rig.entry('active'))
  t.equal(rig.wish.state, 'active', 'a later one holds')
})

t.test('what an operator of another host changes here is audited once, with the name of that host', async (t) => {
  const rig = new Rig()
  rig.listeners.onOperator(rig.entry('draining'), 'lb-b')
  t.match(rig.audited, [
    {
      by: { kind: 'host', name: 'lb-b' },
      action: 'changeTarget',
      before: { targetGroup: 'app', target: 't', state: 'active' },
      after: { targetGroup: 'app', target: 't', state: 'draining' },
      result: 'done',
    },
  ])
  rig.clock.advance(5)
  rig.listeners.onOperator(rig.entry('draining'), 'lb-c')
  t.equal(rig.audited.length, 1, 'said again, it changes nothing')
})

t.test('hearing of the same that was wanted before changes nothing of when it was said last', async (t) => {
  const rig = new Rig()
  const same = rig.entry('maintenance')
  rig.clock.advance(5)
  const other = rig.entry('active')
  rig.clock.advance(5)
  rig.operate('maintenance')
  rig.listeners.onOperator(same)
  rig.listeners.onOperator(other)
  t.equal(rig.wish.state, 'maintenance')
})

t.test(
  'a target that the file takes out and puts back is as operators want it, also where it had not gone yet',
  async (t) => {
    const rig = new Rig()
    rig.operate('maintenance')
    const here = rig.all
    const reload = (all: typeof here) => {
      rig.all = all
      rig.link.send({ type: 'snapshot', packed: [] })
    }
    for (const without of [[{ ...here[0]!, leavesMs: 5_000 }], []]) {
      reload(without)
      rig.wish = { state: 'active', weight: -1, drainUntilMs: 0 }
      reload(here)
      t.equal(rig.wish.state, 'maintenance')
    }
    // Another one in the same place, by the same name.
    rig.wish = { state: 'active', weight: -1, drainUntilMs: 0 }
    reload([{ ...here[0]!, generation: 2 }])
    t.equal(rig.wish.state, 'maintenance')
    // Its group gets the name only now.
    rig.group = 'app (tcp)'
    rig.link.send({ type: 'snapshot', packed: [] })
    rig.wish = { state: 'active', weight: -1, drainUntilMs: 0 }
    rig.group = 'app'
    rig.link.send({ type: 'snapshot', packed: [] })
    t.equal(rig.wish.state, 'maintenance')
  },
)

t.test('what the file says of a target that stays is not undone by what operators said before', async (t) => {
  const rig = new Rig()
  rig.operate('active')
  rig.wish = { ...rig.wish, weight: 7 }
  rig.link.send({ type: 'snapshot', packed: [] })
  t.equal(rig.wish.weight, 7)
})

t.test('a mesh thread that starts anew is given what operators have said, and the ticket keys', async (t) => {
  const rig = new Rig()
  rig.operate('maintenance')
  rig.link.tellTickets(new Uint8Array(80))
  t.match(rig.listeners.known(), [{ kind: 'operator', target: 't', state: 'maintenance' }, { kind: 'tickets' }])
})

t.test('a change that is made after the clock was set back is one that other hosts take', async (t) => {
  const rig = new Rig()
  rig.listeners.onOperator(rig.entry('active'))
  rig.clock.step(-60_000)
  rig.link.tellOperator(3)
  t.ok(isOperatorEntry(rig.lastSent), `drainUntilMs ${rig.lastSent.drainUntilMs}`)
})

t.test('what the mesh thread brings is looked at again before it takes effect', async (t) => {
  const rig = new Rig()
  const right = rig.entry('draining')
  for (const wrong of [{ weight: 1e9 }, { weight: 0.5 }, { drainUntilMs: Number.NaN }, { target: '\u001b[2J' }]) {
    rig.listeners.onOperator({ ...right, ...wrong })
    t.same(rig.wish, { state: 'active', weight: -1, drainUntilMs: 0 }, JSON.stringify(wrong))
  }
  rig.listeners.onOperator(right)
  t.equal(rig.wish.state, 'draining')

  const { high, low } = right
  const before = rig.ticketKeys.current
  for (const bytes of [0, 7, TICKET_KEY_BYTES + 1, TICKET_KEY_BYTES * (MAX_TICKET_KEYS + 1)]) {
    rig.listeners.onTickets({ kind: 'tickets', keys: new Uint8Array(bytes), high, low })
    t.equal(rig.ticketKeys.current, before, `ticket keys of ${bytes} bytes`)
    t.equal(
      rig.listeners.known().some(({ kind }) => kind === 'tickets'),
      false,
      'and a thread that starts anew is not given them',
    )
  }
  rig.listeners.onTickets({ kind: 'tickets', keys: new Uint8Array(TICKET_KEY_BYTES), high, low })
  t.equal(rig.ticketKeys.current.length, TICKET_KEY_BYTES)
  t.not(rig.ticketKeys.current, before)
})
