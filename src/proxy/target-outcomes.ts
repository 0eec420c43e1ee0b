// Hot path: counts for each request.
import { targetFailureOf } from '../core/blame.js'
import type { Clock } from '../core/clock.js'
import type { CastorError } from '../core/errors.js'
import { FAILURE_GATEWAY, failureOfStatus } from '../core/failure-kinds.js'
import type { ReasonCode } from '../core/reasons.js'
import { failedLatency, peakEwma } from '../health/latency.js'
import type { TargetTable } from '../shm/targets.js'
import type { ChoosableTargets } from './choosable-targets.js'
import type { ClientAddress } from './client-address.js'
import type { Target } from './target.js'
import type { TargetSet } from './target-set.js'

/** What of a request says something about the target that it was with. */
export interface Attempt {
  readonly target: Target | undefined
  readonly clientAddress: ClientAddress
  /** As in RequestInfo. */
  readonly status: number
  readonly connectMs: number
  readonly responseMs: number
}

/** What becomes of a group's requests, held for and against its targets: failures, response times, outliers. */
export class TargetOutcomes {
  readonly #set: TargetSet
  readonly #choosable: ChoosableTargets
  readonly #table: TargetTable
  readonly #clock: Clock
  /** Somebody reads the averaged response times. */
  readonly #averages: boolean
  /** Of the failure that was counted last. */
  #lastCause: CastorError | undefined

  constructor(set: TargetSet, choosable: ChoosableTargets, averages: boolean) {
    const { clock, table } = set.services
    this.#set = set
    this.#choosable = choosable
    this.#table = table
    this.#clock = clock
    this.#averages = averages
  }

  /**
   * A request came to nothing before the target answered; it counts where that is the target's fault. `cause` as the
   * connection gave it: what ended with one connection, be it many streams, was one failure.
   */
  countFailure(attempt: Attempt, reason: ReasonCode, cause?: CastorError): void {
    const failure = targetFailureOf(reason)
    if (failure === undefined) return
    const target = attempt.target!
    target.failed()
    this.#penalize(target.slot, -1)
    if (cause !== undefined && cause === this.#lastCause) return
    this.#lastCause = cause
    this.#set.outliers?.countBad(target.slot, failure.kind, attempt.clientAddress.source)
  }

  /**
   * It answered. How fast belongs to what it shows of itself, but an error must not win it more requests. An error that
   * says nothing of the target, such as a plain 500 of the application, counts as an answer as slow as the group's average
   * at least; one that does doubles the target's average.
   */
  countResponse(attempt: Attempt): void {
    const { outliers } = this.#set
    const { responseMs } = attempt
    const target = attempt.target!
    const failure = failureOfStatus(attempt.status)
    target.responded(responseMs)
    if (failure === 0) {
      outliers?.countGood(target.slot, target.words, target.countersAt)
      this.#average(target.slot, responseMs)
      return
    }
    target.failed()
    const counts = outliers?.counts(failure) === true
    if (counts || failure === FAILURE_GATEWAY) this.#penalize(target.slot, responseMs)
    else this.#averageError(target.slot, responseMs)
    if (counts) outliers.countBad(target.slot, failure, attempt.clientAddress.source)
    else outliers?.countGood(target.slot, target.words, target.countersAt)
  }

  /** It accepted a connection, in a group where that is all that can be seen of an answer. */
  countAccepted(attempt: Attempt): void {
    const target = attempt.target!
    target.responded(attempt.connectMs)
    this.#set.outliers?.countAccepted(target.slot, target.words, target.countersAt)
    this.#average(target.slot, attempt.connectMs)
  }

  /** The connection that it accepted has served its client. */
  countServed(attempt: Attempt): void {
    this.#table.clearFailures(attempt.target!.slot)
  }

  /**
   * An answer that had begun with this status was cut, or a connection before a byte of it, with 0 as its status; it counts
   * where that is the target's fault.
   */
  countCut(attempt: Attempt, reason: ReasonCode): void {
    if (targetFailureOf(reason) === undefined) return
    const failure = failureOfStatus(attempt.status)
    const { outliers } = this.#set
    if (failure !== 0 && outliers?.counts(failure)) return
    const target = attempt.target!
    target.failed()
    outliers?.countReset(target.slot, target.words, target.countersAt, attempt.clientAddress.source)
  }

  #average(slot: number, durationMs: number): void {
    if (!this.#averages) return
    const table = this.#table
    const nowMs = this.#clock.steadyMs
    table.setLatency(slot, peakEwma(table.latencyMs(slot), durationMs, nowMs - table.latencyAtMs(slot)), nowMs)
  }

  /** An error that is not the target's: it wins it no requests, and at most costs it its lead over the others. */
  #averageError(slot: number, durationMs: number): void {
    if (this.#averages) this.#average(slot, Math.max(durationMs, this.#choosable.averageMs()))
  }

  #penalize(slot: number, durationMs: number): void {
    this.#table.setLatency(slot, failedLatency(this.#choosable.latencyMs(slot), durationMs), this.#clock.steadyMs)
  }
}
