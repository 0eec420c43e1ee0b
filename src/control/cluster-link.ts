import type { ClusterFacts } from '../admin/facts.js'
import { type Clock, steadyTime, wallTime } from '../core/clock.js'
import type { ClusterConfig } from '../core/config.js'
import type { OperatorEntry } from '../core/mesh.js'
import { areTicketKeys, isOperatorEntry } from '../core/mesh-rules.js'
import type { MeshTask, SegmentMessage, SnapshotMessage, TargetsMessage } from '../core/messages.js'
import { groupNamed, type Snapshot } from '../core/snapshot.js'
import type { CheckState, HealthReason } from '../core/target-state.js'
import type { TicketKeyStore } from '../core/ticket-keys.js'
import type { Logger } from '../observe/log.js'
import { MeshKeeper } from './mesh-thread.js'
import type { TargetRegistry } from './target-registry.js'
import type { Watchdog } from './watchdog.js'

/** How long a start waits for what the other hosts know. Without Redis it starts all the same. */
const JOIN_PATIENCE_MS = 3_000

export interface ClusterLinkParts {
  readonly cluster: ClusterConfig
  readonly snapshot: () => Snapshot
  readonly registry: TargetRegistry
  readonly ticketKeys: TicketKeyStore
  readonly clock: () => Clock
  readonly watchdog: Watchdog
  /** The mesh thread's, where it shows that it turns. */
  readonly row: number
  readonly log: Logger
  readonly onLine: (line: string) => void
  readonly task: () => Omit<MeshTask, 'port' | 'boot' | 'again'>
  /** The mesh thread died; what it held in shared memory is to be let go. */
  readonly onDeath: () => void
}

/** What the primary tells the other hosts, and does at their word. */
export class ClusterLink {
  readonly #parts: ClusterLinkParts
  readonly #mesh: MeshKeeper
  /** Ticket keys came from another host, and are not to go back there. */
  #adopting = false
  #shareTickets = false

  constructor(parts: ClusterLinkParts) {
    const { task, watchdog, row, log, onLine, onDeath } = parts
    this.#parts = parts
    this.#mesh = new MeshKeeper({
      task,
      watchdog,
      row,
      log,
      onLine,
      onOperator: (entry) => this.#onOperator(entry),
      onTickets: (keys) => this.#onTickets(keys),
      onDeath,
    })
  }

  get facts(): ClusterFacts {
    return { name: this.#parts.cluster.name, boot: this.#mesh.boot, status: this.#mesh.status }
  }

  /** Resolves when what the other hosts know is here, or when nobody has said anything for too long. */
  async start(): Promise<void> {
    await this.#mesh.start(JOIN_PATIENCE_MS)
    // Where nobody had ticket keys to share, this host's are the ones.
    if (!this.#shareTickets) this.tellTickets(this.#parts.ticketKeys.current)
  }

  stop(): Promise<void> {
    return this.#mesh.stop()
  }

  /** What every thread is told. */
  send(message: TargetsMessage | SnapshotMessage | SegmentMessage): void {
    this.#mesh.send(message)
  }

  tellVerdict(slot: number, state: CheckState, reason: HealthReason): void {
    this.#mesh.send({ type: 'verdict', slot, state, reason })
  }

  /** What the operator wants of a target here holds on every host. */
  tellOperator(slot: number): void {
    const { snapshot, registry, clock } = this.#parts
    const { group, id } = registry.all.find((target) => target.slot === slot)!
    const wish = registry.wishFor(slot)
    // Other hosts have clocks of their own. 0 is no time.
    const drainUntilMs = wish.drainUntilMs === 0 ? 0 : Math.round(wallTime(wish.drainUntilMs, clock()))
    this.#mesh.send({
      type: 'operator',
      group: snapshot().groups[group]!.config.name,
      target: id,
      ...wish,
      drainUntilMs,
    })
  }

  /** A client's ticket of one host opens its session on all of them. */
  tellTickets(keys: Uint8Array): void {
    if (!this.#adopting) this.#mesh.send({ type: 'tickets', keys })
  }

  #onTickets(keys: Uint8Array): void {
    // Looked at again where it takes effect: these keys go to every thread, and a thread cannot start with bad ones.
    if (!areTicketKeys(keys)) {
      this.#parts.log.warn({ bytes: keys.length }, 'ticket keys of another host cannot be used; those before stay')
      return
    }
    this.#shareTickets = true
    this.#adopting = true
    try {
      this.#parts.ticketKeys.adopt(keys)
    } finally {
      this.#adopting = false
    }
  }

  #onOperator(entry: OperatorEntry): void {
    const { group, target, state, weight, drainUntilMs } = entry
    const { snapshot, registry, clock, log } = this.#parts
    if (!isOperatorEntry(entry)) {
      log.warn({ targetGroup: group, target }, 'what an operator of another host wants cannot be done')
      return
    }
    const groupSlot = groupNamed(snapshot(), group)?.slot
    const found = registry.all.findLast((listed) => listed.group === groupSlot && listed.id === target)
    if (found === undefined) return
    const now = clock()
    registry.adopt(found.slot, state, weight, steadyTime(drainUntilMs, now), now.steadyMs)
    log.info({ targetGroup: group, target, state, weight }, 'an operator changed a target')
  }
}
