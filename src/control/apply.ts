import { isDeepStrictEqual } from 'node:util'
import type { Config, TargetGroupConfig } from '../core/config.js'
import type { Snapshot } from '../core/snapshot.js'
import type { Logger } from '../observe/log.js'
import type { TargetTable } from '../shm/targets.js'
import { areReady, arrivingGroups } from './arriving-groups.js'
import type { Binds } from './bind.js'
import type { Certificates } from './certificates.js'
import type { InForce } from './in-force.js'
import type { TargetAddresses } from './resolve.js'
import type { TargetRegistry } from './target-registry.js'

/** How often it is looked whether all threads have acknowledged a version. */
const POLL_MS = 5
/** A thread that stands still is replaced by the watchdog, and what comes after it starts with the newest snapshot. */
const ACKNOWLEDGE_MS = 30_000

/** Listening descriptors for one worker, by slot of the bind; undefined where the primary accepts. */
export type WorkerFds = readonly (number | undefined)[] | undefined

/** What a change of the configuration goes through. */
export interface ApplyParts {
  readonly inForce: InForce
  readonly binds: Binds
  readonly certificates: Pick<Certificates, 'prepare'>
  readonly addresses: Pick<TargetAddresses, 'resolve'>
  readonly registry: TargetRegistry
  readonly table: Pick<TargetTable, 'check'>
  readonly log: Logger
  readonly steadyMs: () => number
  /** Resolves after so long. */
  sleep(ms: number): Promise<unknown>
  /** Makes the shared tables hold what a snapshot of it may need. Throws where there is no memory for it. */
  makeRoom(config: Config): void
  /** How many workers there are to tell. */
  readonly workers: number
  /** Tells every thread of the snapshot that is in force now; `listeningFds` by worker. At once: lists of targets follow. */
  publish(snapshot: Snapshot, listeningFds: readonly WorkerFds[]): void
  /** The version that every thread has acknowledged. */
  acknowledged(): number
}

/**
 * Takes the process from the configuration in force to another one. Whatever can fail comes first and leaves the one in
 * force as it is: certificates are read, sockets are opened, names are looked up. Groups that listeners are about to use come
 * next, by a snapshot of their own, until their targets have been checked. Then the next snapshot is made and told to every
 * thread; when each has it, new sockets begin to accept and those that are not wanted any more are closed.
 */
export class Apply {
  readonly #parts: ApplyParts
  /** Changes come one after the other. */
  #turn: Promise<unknown> = Promise.resolve()
  #stopped = false

  constructor(parts: ApplyParts) {
    this.#parts = parts
  }

  /** Returns the version from which the configuration holds. Rejects with a `CastorError`; then nothing has changed. */
  apply(config: Config): Promise<number> {
    const turn = this.#turn.then(() => this.#apply(config))
    this.#turn = turn.catch(() => {})
    return turn
  }

  /** Nothing is waited for any more: the process ends. */
  stop(): void {
    this.#stopped = true
  }

  async #apply(config: Config): Promise<number> {
    const { inForce, binds, certificates, addresses, registry, log, sleep, steadyMs } = this.#parts
    const before = inForce.snapshot.config
    const next = withKeptParts(config, before)
    const arriving = arrivingGroups(before, next)
    // Each step of a large configuration takes milliseconds, which those who connect meanwhile would wait.
    await sleep(0)
    let files = certificates.prepare(next)
    const sockets = await binds.prepare(next)
    const listeningFds: WorkerFds[] = []
    try {
      this.#parts.makeRoom(next)
      await Promise.all(newTargets(next, registry).map(({ host, port }) => addresses.resolve(host, port)))
      if (arriving.length > 0) {
        await this.#receive(arriving)
        // The files may have changed meanwhile.
        files = certificates.prepare(next)
      }
      for (let worker = 0; worker < this.#parts.workers; worker++) listeningFds.push(await sockets.descriptors())
    } catch (cause) {
      sockets.discard()
      if (inForce.snapshot.config !== before) this.#withGroups(before.targetGroups)
      throw cause
    }
    await sleep(0)
    const snapshot = inForce.change(next, sockets)
    registry.apply(snapshot.groups, snapshot.version, steadyMs())
    files.commit()
    await sleep(0)
    this.#parts.publish(snapshot, listeningFds)
    if (!(await this.#acknowledged(snapshot.version))) {
      log.warn({ version: snapshot.version }, 'a thread has not taken on the configuration yet; it will when it can')
    }
    registry.handOver(steadyMs())
    inForce.closed(sockets.commit())
    return snapshot.version
  }

  /** Every thread gets to know the groups, which no listener uses yet, and their targets are checked. */
  async #receive(arriving: readonly TargetGroupConfig[]): Promise<void> {
    const { inForce, certificates, registry, table, steadyMs, sleep } = this.#parts
    const { config } = inForce.snapshot
    const targetGroups = [...config.targetGroups, ...arriving]
    certificates.prepare({ ...config, targetGroups }).commit()
    const { groups, version } = this.#withGroups(targetGroups)
    if (!(await this.#acknowledged(version))) return
    const isArriving = new Set<TargetGroupConfig>(arriving)
    const slots = new Set(groups.flatMap((entry) => (entry && isArriving.has(entry.config) ? [entry.slot] : [])))
    const sinceMs = steadyMs()
    while (!this.#stopped && !areReady(slots, registry.all, table, steadyMs() - sinceMs)) await sleep(POLL_MS)
  }

  #withGroups(targetGroups: Config['targetGroups']): Snapshot {
    const { inForce, registry, steadyMs } = this.#parts
    const snapshot = inForce.changeGroups(targetGroups)
    registry.apply(snapshot.groups, snapshot.version, steadyMs())
    this.#parts.publish(snapshot, [])
    return snapshot
  }

  async #acknowledged(version: number): Promise<boolean> {
    const { steadyMs, sleep } = this.#parts
    const untilMs = steadyMs() + ACKNOWLEDGE_MS
    while (this.#parts.acknowledged() < version) {
      if (this.#stopped || steadyMs() >= untilMs) return false
      await sleep(POLL_MS)
    }
    return true
  }
}

/** The same, with the objects of the configuration in force for whatever says the same: threads then see what changed. */
function withKeptParts(config: Config, before: Config): Config {
  const kept = <T extends { readonly name: string }>(part: T, of: readonly T[]): T => {
    const same = of.find(({ name }) => name === part.name)
    return same !== undefined && isDeepStrictEqual(same, part) ? same : part
  }
  return {
    ...config,
    listeners: config.listeners.map((part) => kept(part, before.listeners)),
    targetGroups: config.targetGroups.map((part) => kept(part, before.targetGroups)),
  }
}

function newTargets({ targetGroups }: Config, registry: TargetRegistry): TargetGroupConfig['targets'] {
  const known = new Set([...registry.hosts()].map(({ host, port }) => `${host} ${port}`))
  return targetGroups.flatMap(({ targets }) => targets.filter(({ host, port }) => !known.has(`${host} ${port}`)))
}
