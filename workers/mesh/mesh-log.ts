import type { Clock } from '../../src/core/clock.js'
import type { MeshStatus, Peer } from '../../src/core/mesh.js'
import type { ReadBatch } from '../../src/mesh/read-batch.js'
import type { Logger } from '../../src/observe/log.js'

/** The same is not said again for so long: what comes from Redis must not fill the log. */
const AGAIN_MS = 60_000
/** Different things within that time; more than there are, unless somebody makes them up. */
const MAX_SAID = 32
/** No reason. */
const UP = '\0'

/** What of the mesh's status is silently wrong. */
type Sharing = Pick<MeshStatus, 'impostor' | 'doubled' | 'forgedLately' | 'evictionPolicy'>

/** What the mesh thread says in the log: each thing once, and again a minute later where it still goes on. */
export class MeshLog {
  readonly log: Logger
  readonly #clock: Clock
  /** By what was said: when, and how often it came since. */
  readonly #said = new Map<string, { ms: number; leftOut: number }>()
  readonly #holding = new Set<string>()
  /** What was said of Redis last: that it is there, or why it is not. */
  #link = ''

  constructor(log: Logger, clock: Clock) {
    this.log = log
    this.#clock = clock
  }

  peer({ node, version }: Peer, change: string): void {
    this.log.info({ peer: node, version, change }, 'a peer came or went')
  }

  /**
   * Each try that fails is told to here, and each that succeeds. Only what is new is said, and of a Redis that comes and
   * goes all the time a break a minute.
   */
  link(up: boolean, reason: string): void {
    if (this.#link === (up ? UP : reason)) return
    if (up) {
      this.#link = UP
      this.log.info('Redis is there')
      return
    }
    const said = this.#take(`gone ${reason}`)
    if (said === undefined) return
    this.#link = reason
    this.log.warn({ reason, ...said }, 'Redis is gone; traffic goes on with what this host knows')
  }

  ahead(node: string, aheadMs: number): void {
    const said = this.#take(`ahead ${node}`)
    if (said === undefined) return
    const fields = { peer: node, aheadMs: Math.round(aheadMs), ...said }
    this.log.warn(
      fields,
      "a peer's clock is ahead of this host's: one of them is wrong, and sessions may not be shared",
    )
  }

  skipped(node: string, { faults, firstFault }: Pick<ReadBatch, 'faults' | 'firstFault'>): void {
    const said = this.#take(`skipped ${firstFault?.fault}`)
    if (said === undefined) return
    const fields = { peer: node, kind: firstFault?.kind, ...faults, ...said }
    if (firstFault?.fault === 'newer') {
      this.log.info(fields, 'a peer of a later version sends what this one does not know')
    } else this.log.warn(fields, 'a peer sent rows that are not valid; they were skipped')
  }

  /** What makes sharing wrong without anything failing; each is said when it begins. */
  sharing({ impostor, doubled, forgedLately, evictionPolicy }: Sharing): void {
    const { log } = this
    if (this.#begins('impostor', impostor !== undefined)) {
      log.warn({ boot: impostor }, 'another process has this host’s name; the two undo what the other says')
    }
    if (this.#begins('doubled', doubled.length > 0)) {
      log.warn({ peers: doubled }, 'two hosts have one name; give each a node name of its own')
    }
    if (this.#begins('forged', forgedLately)) {
      log.warn('frames came that were sealed with another secret; this host shares nothing with their senders')
    }
    if (this.#begins('evicting', evictionPolicy !== '')) {
      log.warn({ policy: evictionPolicy }, 'Redis throws away what is kept when its memory is full; set noeviction')
    }
  }

  #begins(what: string, holds: boolean): boolean {
    if (!holds) {
      this.#holding.delete(what)
      return false
    }
    if (this.#holding.has(what) || this.#take(what) === undefined) return false
    this.#holding.add(what)
    return true
  }

  /** Undefined where it was said less than a minute ago; else how often it was left out since. */
  #take(what: string): { readonly leftOut?: number } | undefined {
    const { nowMs } = this.#clock
    const before = this.#said.get(what)
    if (before !== undefined && nowMs - before.ms < AGAIN_MS) {
      before.leftOut++
      return undefined
    }
    if (this.#said.size >= MAX_SAID) {
      for (const [other, { ms }] of this.#said) if (nowMs - ms >= AGAIN_MS) this.#said.delete(other)
      if (this.#said.size >= MAX_SAID) return undefined
    }
    this.#said.set(what, { ms: nowMs, leftOut: 0 })
    return before === undefined || before.leftOut === 0 ? {} : { leftOut: before.leftOut }
  }
}
