import pino from 'pino'
import t from 'tap'
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

/** A primary's end, with one target, and a mesh thread that does nothing by itself. */
class Rig {
  readonly clock = new ManualClock()
  readonly sent: ToMesh[] = []
  readonly link: ClusterLink
  listeners!: MeshListeners
  wish = { state: 'active' as AdminState, weight: -1, drainUntilMs: 0 }
  readonly #stamps = new LocalHybridClock('here', () => this.clock.wallMs)

  constructor() {
    const registry = {
      all: [{ slot: 3, group: 0, id: 't' }],
      wishFor: () => this.wish,
      adopt: (_slot: number, state: AdminState, weight: number, drainUntilMs: number) => {
        this.wish = { state, weight, drainUntilMs }
      },
    } as unknown as TargetRegistry
    this.link = new ClusterLink({
      cluster: { name: 'c' } as ClusterConfig,
      snapshot: () => ({ groups: [{ slot: 0, config: { name: 'app' } }] }) as unknown as Snapshot,
      registry,
      ticketKeys: new LocalTicketKeys(),
      clock: () => this.clock,
      log: pino({ level: 'silent' }),
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
  rig.clock.advance(5)
  rig.listeners.onOperator(rig.entry('active'))
  t.equal(rig.wish.state, 'active', 'a later one holds')
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
