import { canonicalTarget } from '../config/addresses.js'
import type { TargetConfig, TargetGroupConfig } from '../core/config.js'
import type { GroupTargets, ListedTarget } from '../core/directory.js'
import type { SegmentMessage, TargetsMessage } from '../core/messages.js'
import type { GroupEntry } from '../core/snapshot.js'
import {
  ADMIN_DRAINING,
  ADMIN_MAINTENANCE,
  ADMIN_STATES,
  type AdminState,
  CHECK_INITIAL,
  CHECK_UNCHECKED,
  CHECK_UNHEALTHY,
} from '../core/target-state.js'
import type { Columns } from '../shm/columns.js'
import { TARGET_FAILURES } from '../shm/layout.js'
import type { TargetTable } from '../shm/targets.js'
import { isSameServer, mergeTargets } from './merge-targets.js'
import { ReplacedTargets } from './replaced-targets.js'
import type { HostPort } from './resolve.js'
import { TargetSlots } from './target-slots.js'
import type { Versions } from './versions.js'

/** What became of a target that was to be added. */
export type AddOutcome = 'added' | 'exists' | 'no-group'

/** What the registry needs of the primary. */
export interface RegistryParts {
  readonly table: TargetTable
  readonly columns: Columns
  readonly addresses: { of(host: string, port: number): string; resolve(host: string, port: number): Promise<void> }
  /** Tells every thread. */
  tell(message: TargetsMessage | SegmentMessage): void
  /** A target whose time was over is gone. */
  onGone(target: ListedTarget, group: string): void
  /** Of snapshots and lists, in one sequence. */
  readonly versions: Versions
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

interface Listed extends Mutable<ListedTarget> {
  /** As the configuration or whoever added it said. */
  firstWeight: number
  /** What the operator wants of it, removal apart: that is this host's alone. */
  wish: AdminState
  wishUntilMs: number
  /** As of the last look. */
  failuresSeen: number
  /** Where it is to leave. */
  drainsSinceMs: number
}

interface Group {
  config: TargetGroupConfig
  targets: Listed[]
  version: number
  /** No configuration names it any more: it goes with the last of its targets. */
  isLeaving: boolean
}

/**
 * Which targets there are, in which places, and what the operator wants of them: the primary alone changes it, and the
 * threads are told in whole lists, so that one that starts anew or has missed a list ends up with the same as the others.
 */
export class TargetRegistry {
  readonly #parts: RegistryParts
  readonly #slots: TargetSlots
  /** By slot. */
  readonly #groups: (Group | undefined)[] = []
  readonly #bySlot = new Map<number, Listed>()
  readonly #replaced: ReplacedTargets<Listed>

  /** Enters the targets of the first snapshot. Threads that start are given them with `lists`; nothing is published. */
  constructor(groups: readonly (GroupEntry | undefined)[], parts: RegistryParts, nowMs: number) {
    this.#parts = parts
    this.#replaced = new ReplacedTargets(parts.table)
    this.#slots = new TargetSlots(parts.columns, parts.table, (message) => parts.tell(message))
    this.apply(groups, parts.versions.current, nowMs)
  }

  /** Every target of the groups in force, by group and in the order of the lists. */
  get all(): readonly ListedTarget[] {
    return this.#groups.flatMap((group) => (group === undefined || group.isLeaving ? [] : group.targets))
  }

  /** Nothing is left of the group in the slot, and every thread knows that. */
  isGone(slot: number): boolean {
    return this.#groups[slot] === undefined
  }

  /**
   * The groups are these now, from `version` on; what operators have changed stays, as `mergeTargets` says. Targets that
   * are new get traffic after their first passing check, and those that are gone drain when that is so. Nothing is
   * published: the lists go to the threads with the snapshot.
   */
  apply(groups: readonly (GroupEntry | undefined)[], version: number, nowMs: number): void {
    for (const entry of groups) {
      if (entry === undefined) continue
      const { slot, config } = entry
      const known = this.#groups[slot]
      if (known === undefined) {
        this.#groups[slot] = { config, targets: [], version, isLeaving: false }
        for (const target of config.targets) this.#place(slot, target, this.#slots.take(), nowMs)
      } else if (known.config !== config) {
        this.#change(slot, known, config, version, nowMs)
        known.version = version
      }
    }
    this.#groups.forEach((group, slot) => {
      if (group === undefined || groups[slot] !== undefined || group.isLeaving) return
      group.isLeaving = true
      for (const target of group.targets) this.#leave(target, version, nowMs)
    })
  }

  #change(slot: number, group: Group, config: TargetGroupConfig, version: number, nowMs: number): void {
    const { table } = this.#parts
    const running = group.targets.map((target) => {
      const { id, host, port, wish: state, leavesMs } = target
      return { id, host, port, weight: this.#replaced.weightOf(target), state, isLeaving: leavesMs !== undefined }
    })
    const merged = mergeTargets(group.config.targets, config.targets, running)
    group.config = config
    const kept = new Set<Listed>()
    for (const { config: wanted, weight, state } of merged) {
      const known = group.targets.find((target) => target.id === wanted.id && isSameServer(target, wanted))
      if (known === undefined) {
        this.#place(slot, wanted, this.#slots.take(), nowMs)
        const placed = group.targets.at(-1)!
        if (weight !== wanted.weight) table.setWeight(placed.slot, weight)
        if (state !== 'active') this.setState(placed.slot, state, nowMs)
        kept.add(placed)
        continue
      }
      kept.add(known)
      known.firstWeight = wanted.weight
      if (known.leavesMs !== undefined) {
        // The file has it again that had taken it out. Another of its id may leave now: the last in the list has the id.
        group.targets = [...group.targets.filter((target) => target !== known), known]
        this.setState(known.slot, state, nowMs)
      }
      const isOther = weight !== this.#replaced.weightOf(known)
      if (isOther && weight === 0) this.#replaced.add(known, version, weight)
      else if (isOther) this.setWeight(known.slot, weight, nowMs)
    }
    for (const target of group.targets) if (!kept.has(target)) this.#leave(target, version, nowMs)
  }

  /** To be called when a snapshot is acknowledged: what has been replaced drains. */
  handOver(nowMs: number): void {
    for (const [target, weight] of this.#replaced.done(this.#slots.known, ({ group }) => this.#groups[group]!)) {
      if (weight === undefined) this.#drain(target, nowMs)
      else this.setWeight(target.slot, weight, nowMs)
    }
  }

  /** It is in no file any more, and goes when its time is over. */
  #leave(target: Listed, version: number, nowMs: number): void {
    if (target.leavesMs !== undefined) return
    target.leavesMs = nowMs + this.#groups[target.group]!.config.drainingMs
    this.#replaced.add(target, version)
  }

  #drain(target: Listed, nowMs: number): void {
    target.drainsSinceMs = nowMs
    this.#parts.table.setAdmin(target.slot, ADMIN_DRAINING, target.leavesMs!)
  }

  /** What a thread that starts now is to be given. */
  lists(): readonly GroupTargets[] {
    return this.#groups.flatMap((group, slot) => (group === undefined ? [] : [this.#list(slot, group)]))
  }

  *hosts(): Generator<HostPort> {
    for (const group of this.#groups) if (group !== undefined) yield* group.targets
  }

  /** Whether checks or traffic have something against a target there, so that another address may be the better one. */
  isDoubtful({ host, port }: HostPort): boolean {
    const { table, columns } = this.#parts
    let doubtful = false
    for (const target of this.#groups.flatMap((group) => group?.targets ?? [])) {
      if (target.host !== host || target.port !== port) continue
      const failures = columns.target(target.slot).sum(TARGET_FAILURES)
      if (failures > target.failuresSeen || table.check(target.slot) === CHECK_UNHEALTHY) doubtful = true
      target.failuresSeen = failures
    }
    return doubtful
  }

  /**
   * Adds a target, which gets no traffic before it has passed a check, where the group's targets are checked. Rejects when
   * there is no memory for one more.
   */
  async add(group: number, target: TargetConfig, nowMs: () => number): Promise<AddOutcome> {
    const of = this.#groups[group]
    if (of === undefined || of.isLeaving) return 'no-group'
    if (this.#has(group, target)) return 'exists'
    // First, so that the first check does not fail for want of an address.
    await this.#parts.addresses.resolve(target.host, target.port)
    // A reload may have taken the group away, and given its slot to another.
    if (this.#groups[group] !== of || of.isLeaving) return 'no-group'
    if (this.#has(group, target)) return 'exists'
    const slot = this.#slots.take()
    this.#place(group, target, slot, nowMs())
    // Where targets are checked, the first check that passes begins it.
    const { healthCheck, slowStartMs } = of.config
    if (healthCheck.protocol === 'off' && slowStartMs > 0) this.#parts.table.setRampFrom(slot, nowMs())
    this.#publish(group)
    return 'added'
  }

  /**
   * Takes a target out: it drains for as long as its group says and then goes, or goes at once, and what is still with it
   * is cut. Returns when it goes; this and all times here are of `Clock.steadyMs`.
   */
  remove(slot: number, now: boolean, nowMs: number): number {
    const [group, target] = this.#find(slot)
    if (now) {
      this.#drop(group, new Set([target]))
      return nowMs
    }
    // Asked again, it goes when it was to go.
    const isAskedAgain = target.leavesMs !== undefined && !this.#replaced.forgetLeaving(target)
    target.leavesMs ??= nowMs + this.#groups[group]!.config.drainingMs
    if (!isAskedAgain) this.#drain(target, nowMs)
    return target.leavesMs
  }

  /** Draining lets go when the group's time for it is over, maintenance at once. Active also keeps one that was to go. */
  setState(slot: number, state: AdminState, nowMs: number): void {
    const [group, target] = this.#find(slot)
    if (state === 'active') {
      target.leavesMs = undefined
      this.#replaced.forgetLeaving(target)
    }
    const drainMs = state === 'draining' ? this.#groups[group]!.config.drainingMs : 0
    target.wish = state
    target.wishUntilMs = nowMs + drainMs
    this.#startSlowly(target, state, this.#parts.table.weight(slot), nowMs)
    const untilMs = state === 'draining' && target.leavesMs !== undefined ? target.leavesMs : target.wishUntilMs
    this.#parts.table.setAdmin(slot, ADMIN_STATES.indexOf(state), untilMs)
  }

  /** What is wanted of a target now, for other hosts; a weight of −1 is the one that it began with. */
  wishFor(slot: number): { state: AdminState; weight: number; drainUntilMs: number } {
    const target = this.#find(slot)[1]
    const weight = this.#replaced.weightOf(target)
    return { state: target.wish, weight: weight === target.firstWeight ? -1 : weight, drainUntilMs: target.wishUntilMs }
  }

  /** The same from another host. A target that was removed here goes all the same. */
  adopt(slot: number, state: AdminState, weight: number, drainUntilMs: number, nowMs: number): void {
    const [, target] = this.#find(slot)
    this.#startSlowly(target, state, weight < 0 ? target.firstWeight : weight, nowMs)
    target.wish = state
    target.wishUntilMs = drainUntilMs
    this.#parts.table.setWeight(slot, weight < 0 ? target.firstWeight : weight)
    if (target.leavesMs === undefined) this.#parts.table.setAdmin(slot, ADMIN_STATES.indexOf(state), drainUntilMs)
  }

  setWeight(slot: number, weight: number, nowMs: number): void {
    const [, target] = this.#find(slot)
    this.#replaced.forgetWeight(target)
    this.#startSlowly(target, target.wish, weight, nowMs)
    this.#parts.table.setWeight(slot, weight)
  }

  /** To be called every now and then: lets targets go whose time is over, and gives their places out again. */
  look(nowMs: number): void {
    this.handOver(nowMs)
    let left = GONE_AT_ONCE
    this.#groups.forEach((group, slot) => {
      if (left <= 0) return
      const isOver = (target: Listed): boolean => target.leavesMs !== undefined && this.#mayGo(slot, target, nowMs)
      const gone = new Set(group?.targets.filter(isOver))
      left -= gone.size
      if (gone.size > 0) this.#drop(slot, gone)
      for (const target of gone) this.#parts.onGone(target, group!.config.name)
      // A thread that is slow still has requests for it that will count.
      const isForgotten = group?.isLeaving && group.targets.length === 0 && group.version <= this.#slots.known
      if (isForgotten) this.#groups[slot] = undefined
    })
    this.#slots.look()
  }

  /**
   * Some names resolve to other addresses now: tells the threads of the groups that this concerns. Slow start begins at
   * `nowMs`, as epoch time; 0 where nothing has begun yet.
   */
  readdress(nowMs: number): void {
    this.#groups.forEach((group, slot) => {
      let changed = false
      for (const target of group?.targets ?? []) {
        const address = this.#parts.addresses.of(target.host, target.port)
        if (address === target.address) continue
        // Another server, or one that is reached for the first time.
        if (group!.config.slowStartMs > 0) this.#parts.table.setRampFrom(target.slot, nowMs)
        target.address = address
        changed = true
      }
      if (changed) this.#publish(slot)
    })
  }

  /**
   * Slow start begins where the operator's change brings a target back that had no traffic at all: before the change, so
   * that whoever sees that sees the other. One that drains still has its clients, and is warm.
   */
  #startSlowly({ slot, group }: Listed, state: AdminState, weight: number, nowMs: number): void {
    const { table } = this.#parts
    if (this.#groups[group]!.config.slowStartMs === 0 || state !== 'active' || weight === 0) return
    const admin = table.admin(slot)
    const wasOut = admin === ADMIN_MAINTENANCE || (admin === ADMIN_DRAINING && nowMs >= table.drainUntilMs(slot))
    if (wasOut || table.weight(slot) === 0) table.setRampFrom(slot, nowMs)
  }

  /** Its time is over; or nobody can come back to it, and the last has left. */
  #mayGo(group: number, target: Listed, nowMs: number): boolean {
    if (nowMs >= target.leavesMs!) return true
    const isSticky = this.#groups[group]!.config.stickiness.type !== 'off'
    const isSettled = !this.#replaced.isToLeave(target) && nowMs - target.drainsSinceMs >= SETTLE_MS
    return isSettled && !isSticky && this.#parts.columns.inFlight(target.slot) === 0
  }

  /** Whether the group has a target of that id, or the same server by another id, spelling or name. */
  #has(group: number, { id, host, port }: TargetConfig): boolean {
    const address = this.#parts.addresses.of(host, port)
    const server = canonicalTarget(host, port)
    return this.#groups[group]!.targets.some(
      (target) =>
        target.id === id ||
        canonicalTarget(target.host, target.port) === server ||
        (address !== '' && canonicalTarget(target.address, target.port) === canonicalTarget(address, port)),
    )
  }

  #find(slot: number): [number, Listed] {
    const target = this.#bySlot.get(slot)
    if (target === undefined) throw new RangeError(`no target is in slot ${slot}`)
    return [target.group, target]
  }

  #place(group: number, target: TargetConfig, slot: number, nowMs: number): void {
    const { config, targets } = this.#groups[group]!
    const { id, host, port, weight } = target
    const check = config.healthCheck.protocol === 'off' ? CHECK_UNCHECKED : CHECK_INITIAL
    const generation = this.#parts.table.occupy(slot, weight, check, nowMs)
    const address = this.#parts.addresses.of(host, port)
    const placed = { slot, generation, group, id, host, port, address }
    const listed: Listed = {
      ...placed,
      leavesMs: undefined,
      firstWeight: weight,
      wish: 'active',
      wishUntilMs: 0,
      failuresSeen: 0,
      drainsSinceMs: 0,
    }
    targets.push(listed)
    this.#bySlot.set(slot, listed)
  }

  /** They are in no list any more, from the next one on. */
  #drop(group: number, gone: ReadonlySet<Listed>): void {
    const state = this.#groups[group]!
    state.targets = state.targets.filter((target) => !gone.has(target))
    const version = this.#publish(group)
    for (const target of gone) {
      const { slot } = target
      this.#replaced.forget(target)
      this.#bySlot.delete(slot)
      this.#slots.onTargetRemoved(slot, version)
    }
  }

  #publish(group: number): number {
    const version = this.#parts.versions.next()
    const of = this.#groups[group]!
    of.version = version
    this.#parts.tell({ type: 'targets', targets: this.#list(group, of) })
    return version
  }

  #list(group: number, { version, targets }: Group): GroupTargets {
    return {
      group,
      version,
      targets: targets.map(({ slot, generation, id, host, port, address }) => {
        return { slot, generation, group, id, host, port, address }
      }),
    }
  }
}

/** Where so many go at one look, the groups behind wait for the next: all threads are told, and the log. */
const GONE_AT_ONCE = 50
/** Long enough for every thread to have begun with what it had picked the target for. */
const SETTLE_MS = 500
