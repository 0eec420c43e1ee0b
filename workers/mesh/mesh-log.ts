import type { Clock } from '../../src/core/clock.js'
import type { Peer } from '../../src/core/mesh.js'
import type { ReadBatch } from '../../src/mesh/read-batch.js'
import type { Logger } from '../../src/observe/log.js'

/** The same is not said again for so long: what comes from Redis must not fill the log. */
const AGAIN_MS = 60_000
/** Different things within that time; more than there are, unless somebody makes them up. */
const MAX_SAID = 32
/** No reason. */
const UP = '\0'

/** What the mesh thread says in the log: each thing once, and again a minute later where it still goes on. */
export class MeshLog {
  readonly #log: Logger
  readonly #clock: Clock
  /** By what was said: when, and how often it came since. */
  readonly #said = new Map<string, { ms: number; leftOut: number }>()
  /** What was said of Redis last: that it is there, or why it is not. */
  #link = ''

  constructor(log: Logger, clock: Clock) {
    this.#log = log
    this.#clock = clock
  }

  peer({ node, version }: Peer, change: string): void {
    this.#log.info({ peer: node, version, change }, 'a peer came or went')
  }

  /**
   * Each try that fails is told to here, and each that succeeds. Only what is new is said, and of a Redis that comes and
   * goes all the time a break a minute.
   */
  link(up: boolean, reason: string): void {
    if (this.#link === (up ? UP : reason)) return
    if (up) {
      this.#link = UP
      this.#log.info('Redis is there')
      return
    }
    const said = this.#take(`gone ${reason}`)
    if (said === undefined) return
    this.#link = reason
    this.#log.warn({ reason, ...said }, 'Redis is gone; traffic goes on with what this host knows')
  }

  ahead(node: string, aheadMs: number): void {
    const said = this.#take(`ahead ${node}`)
    if (said === undefined) return
    const fields = { peer: node, aheadMs: Math.round(aheadMs), ...said }
    this.#log.warn(
      fields,
      "a peer's clock is ahead of this host's: one of them is wrong, and sessions may not be shared",
    )
  }

  skipped(node: string, { faults, firstFault }: Pick<ReadBatch, 'faults' | 'firstFault'>): void {
    const said = this.#take(`skipped ${firstFault?.fault}`)
    if (said === undefined) return
    const fields = { peer: node, kind: firstFault?.kind, ...faults, ...said }
    if (firstFault?.fault === 'newer') {
      this.#log.info(fields, 'a peer of a later version sends what this one does not know')
    } else this.#log.warn(fields, 'a peer sent rows that are not valid; they were skipped')
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
