import type { AuditLog } from '../admin/audit.js'
import type { ClusterFacts } from '../admin/facts.js'
import { type Clock, steadyTime, wallTime } from '../core/clock.js'
import type { ClusterConfig } from '../core/config.js'
import type { ListedTarget } from '../core/directory.js'
import { isLostAt } from '../core/hybrid-clock.js'
import type { HybridClock, OperatorEntry, Stamp, TicketsEntry } from '../core/mesh.js'
import { areTicketKeys, isOperatorEntry } from '../core/mesh-rules.js'
import type { MeshTask, SegmentMessage, SnapshotMessage, TargetsMessage } from '../core/messages.js'
import { groupNamed, type Snapshot } from '../core/snapshot.js'
import type { CheckState, HealthReason } from '../core/target-state.js'
import type { TicketKeyStore } from '../core/ticket-keys.js'
import { replaces } from '../mesh/merge-order.js'
import { OperatorLedger } from '../mesh/operator-ledger.js'
import type { Logger } from '../observe/log.js'
import type { MeshKeeper, MeshKeeperParts } from './mesh-thread.js'
import type { TargetRegistry } from './target-registry.js'
import { within } from './within.js'

/** How long a start waits for what the other hosts know. Without Redis it starts all the same. */
const JOIN_PATIENCE_MS = 3_000
/** For the last words of a process that is replaced. */
const MUTE_MS = 1_000
/** A process that is replaced hands over each second what was used in the second before. */
const HANDED_MS = 5_000

/** The mesh thread, as the rest of the primary deals with it. */
export type Mesh = Pick<MeshKeeper, 'boot' | 'status' | 'start' | 'send' | 'stop'>

/** What the mesh thread is given of what all hosts know when it starts, and whom it tells. */
export type MeshListeners = Pick<MeshKeeperParts, 'known' | 'isMuted' | 'onMuted' | 'onOperator' | 'onTickets'>

export interface ClusterLinkParts {
  readonly cluster: ClusterConfig
  readonly snapshot: () => Snapshot
  readonly registry: TargetRegistry
  readonly ticketKeys: TicketKeyStore
  readonly clock: () => Clock
  readonly log: Logger
  readonly audit?: Pick<AuditLog, 'record'>
  /** The host's own, shared with all its threads. */
  readonly stamps: HybridClock
  /** This process takes over from another one, which speaks for the host until then. */
  readonly takesOver?: boolean
  /** Called once: starts nothing yet. */
  readonly mesh: (link: MeshListeners) => Mesh
}

/**
 * What the primary tells the other hosts, and does at their word. It stamps and keeps that itself: what the mesh thread
 * brings may have crossed with something that was said here later, and a mesh thread that is started anew knows nothing.
 */
export class ClusterLink {
  readonly #parts: ClusterLinkParts
  readonly #mesh: Mesh
  /** Ticket keys came from another host, and are not to go back there. */
  #adopting = false
  #shareTickets = false
  #tickets: TicketsEntry | undefined
  readonly #ledger = new OperatorLedger()
  /** Targets that are here to stay, by slot, generation and the group's name. */
  #here = new Set<string>()
  readonly #stamp: Stamp = { high: 0, low: 0 }
  #isMuted: boolean
  #onMuted: () => void = () => {}

  constructor(parts: ClusterLinkParts) {
    this.#parts = parts
    this.#isMuted = parts.takesOver === true
    this.#mesh = parts.mesh({
      isMuted: () => this.#isMuted,
      onMuted: () => this.#onMuted(),
      onOperator: (entry, from) => this.#onOperator(entry, from),
      onTickets: (entry) => this.#onTickets(entry),
      known: () => this.#known,
    })
    for (const { place } of this.#staying()) this.#here.add(place)
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

  /** Another process speaks for this host from here on. Resolves when all that was said here is out, after a second at most. */
  async mute(): Promise<void> {
    this.#isMuted = true
    const muted = new Promise<void>((resolve) => {
      this.#onMuted = resolve
    })
    this.#mesh.send({ type: 'mute', muted: true })
    await within(MUTE_MS, muted)
  }

  /** This process speaks for the host from here on. */
  unmute(): void {
    this.#isMuted = false
    this.#mesh.send({ type: 'mute', muted: false })
  }

  /** The process before has handed sessions over that were used in the last seconds. */
  tellHandedSessions(): void {
    this.#mesh.send({ type: 'resync', sinceMs: this.#parts.clock().steadyMs - HANDED_MS })
  }

  /** What every thread is told. */
  send(message: TargetsMessage | SnapshotMessage | SegmentMessage): void {
    this.#mesh.send(message)
    if (message.type !== 'segment') this.#recall()
  }

  tellVerdict(slot: number, state: CheckState, reason: HealthReason): void {
    this.#mesh.send({ type: 'verdict', slot, state, reason })
  }

  /** What the operator wants of a target here holds on every host. */
  tellOperator(slot: number): void {
    const { snapshot, registry, clock } = this.#parts
    const { group, id } = registry.all.find((target) => target.slot === slot)!
    const wish = registry.wishFor(slot)
    const now = clock()
    const entry: OperatorEntry = {
      kind: 'operator',
      group: snapshot().groups[group]!.config.name,
      target: id,
      ...wish,
      // Other hosts have clocks of their own. 0 is no time.
      drainUntilMs: wish.drainUntilMs === 0 ? 0 : Math.max(0, Math.round(wallTime(wish.drainUntilMs, now))),
      ...this.#nextStamp(),
    }
    this.#ledger.own(entry, now.wallMs)
    this.#mesh.send({ type: 'operator', entry })
  }

  /** A client's ticket of one host opens its session on all of them. */
  tellTickets(keys: Uint8Array): void {
    if (this.#adopting) return
    const entry = { kind: 'tickets', keys, ...this.#nextStamp() } as const
    this.#tickets = entry
    this.#mesh.send({ type: 'tickets', entry })
  }

  get #known(): MeshTask['known'] {
    const operators = this.#ledger.all
    return this.#tickets === undefined ? operators : [...operators, this.#tickets]
  }

  #nextStamp(): Readonly<Stamp> {
    this.#parts.stamps.next(this.#stamp)
    return this.#stamp
  }

  #onTickets(entry: TicketsEntry): void {
    const { keys } = entry
    // Looked at again where it takes effect: these keys go to every thread, and a thread cannot start with bad ones.
    if (!areTicketKeys(keys)) {
      this.#parts.log.warn({ bytes: keys.length }, 'ticket keys of another host cannot be used; those before stay')
      return
    }
    const known = this.#tickets
    if (known !== undefined && replaces(known, entry) && !isLostAt(known, this.#parts.clock().wallMs)) {
      this.#mesh.send({ type: 'tickets', entry: known })
      return
    }
    this.#tickets = entry
    this.#shareTickets = true
    this.#adopting = true
    try {
      this.#parts.ticketKeys.adopt(keys)
    } finally {
      this.#adopting = false
    }
  }

  #onOperator(entry: OperatorEntry, from?: string): void {
    const { group, target } = entry
    const { snapshot, registry, clock, log } = this.#parts
    if (!isOperatorEntry(entry)) {
      log.warn({ targetGroup: group, target }, 'what an operator of another host wants cannot be done')
      return
    }
    const now = clock()
    if (this.#ledger.merge(entry, now.wallMs, now.wallMs) === 'older') {
      // It crossed with what was said here later; or the mesh thread stamped that anew while the clock was set back.
      this.#mesh.send({ type: 'operator', entry: this.#ledger.current(entry)! })
      return
    }
    const groupSlot = groupNamed(snapshot(), group)?.slot
    const found = registry.all.findLast((listed) => listed.group === groupSlot && listed.id === target)
    if (found !== undefined) this.#adopt(found.slot, entry, from)
  }

  /** What operators have said of targets that this host did not have, or was about to lose, holds when they are back. */
  #recall(): void {
    const before = this.#here
    this.#here = new Set()
    for (const { place, group, target } of this.#staying()) {
      this.#here.add(place)
      const entry = before.has(place) ? undefined : this.#ledger.find(group, target.id)
      if (entry !== undefined) this.#adopt(target.slot, entry)
    }
  }

  *#staying(): Generator<{ readonly place: string; readonly group: string; readonly target: ListedTarget }> {
    const { snapshot, registry } = this.#parts
    const { groups } = snapshot()
    for (const target of registry.all) {
      const group = groups[target.group]?.config.name
      // A group that replaces one of another protocol may have its name later.
      if (group !== undefined && target.leavesMs === undefined)
        yield { place: `${target.slot} ${target.generation} ${group}`, group, target }
    }
  }

  #adopt(slot: number, { group, target, state, weight, drainUntilMs }: OperatorEntry, from?: string): void {
    const { registry, clock, log } = this.#parts
    const now = clock()
    // 0 is no time: translated, it would be one, and after a step of the clock none that other hosts take.
    const untilMs = drainUntilMs === 0 ? 0 : steadyTime(drainUntilMs, now)
    const before = registry.wishFor(slot)
    registry.adopt(slot, state, weight, untilMs, now.steadyMs)
    log.info({ targetGroup: group, target, state, weight }, 'an operator changed a target')
    // Other hosts say again from time to time what holds.
    if (before.state === state && before.weight === weight) return
    this.#parts.audit?.record({
      by: { kind: 'host', name: from ?? null },
      ...{ from: null, action: 'changeTarget', request: null, result: 'done', status: null, reason: null },
      before: { targetGroup: group, target, state: before.state, weight: before.weight },
      after: { targetGroup: group, target, state, weight },
    })
  }
}
