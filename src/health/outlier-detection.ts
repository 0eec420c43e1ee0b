// Hot path: a good outcome costs one increment, a client seen before one comparison. Failures may cost more.
import type { Clock } from '../core/clock.js'
import type { OutlierConfig } from '../core/config.js'
import type { Endpoint } from '../core/conn.js'
import { FAILURE_CONNECT, FAILURE_RESET, FAILURE_TIMEOUT, type FailureKind } from '../core/failure-kinds.js'
import type { Columns } from '../shm/columns.js'
import type { GroupSources } from '../shm/group-sources.js'
import { TARGET_BAD_OUTCOMES, TARGET_GOOD_OUTCOMES } from '../shm/layout.js'
import type { TargetTable } from '../shm/targets.js'
import { isEjected, isPassing, isWanted } from './availability.js'
import { countSource, FailureWindow, NO_OUTCOMES, type Outcomes, WINDOW_STEPS } from './failure-window.js'
import { areTooMany, doOthersBetter, ejectionMs, isFailing, isFailingForOthers, mayEject } from './outlier.js'
import { sourceHash } from './source-hash.js'

/** A target as outlier detection sees it. */
export interface DetectedTarget {
  readonly slot: number
  readonly generation: number
  /** Empty while it cannot be reached at all. */
  readonly address: string
}

export interface OutlierServices {
  readonly clock: Clock
  readonly columns: Columns
  readonly column: number
  readonly table: TargetTable
  readonly sources: GroupSources
}

interface Watched {
  readonly target: DetectedTarget
  readonly window: FailureWindow
  /** Where the target's counters are, and the first of them in the thread's column. */
  readonly words: Float64Array
  readonly at: number
  /** The end of the latest ejection that the window knows of: what was before it counts no more. */
  ejectedUntilMs: number
}

/**
 * Finds the targets of one group that fail what others do well, and ejects them for a while. One a thread and group; what
 * they go by is counted over all threads.
 *
 * No client alone brings an ejection about. What a client can provoke (a reset, a time-out, an error that a page of the
 * application always gives) counts as far as it holds without any single source; connections that a target does not
 * accept count from whomever. Where all of the group's requests come from one source, such as a proxy in front, its word
 * counts as long as it is the only one and its requests do better elsewhere: the first request of another source ends
 * what was ejected on it.
 */
export class OutlierDetection {
  readonly #config: OutlierConfig
  readonly #services: OutlierServices
  #watched: readonly Watched[] = []
  readonly #bySlot = new Map<number, Watched>()
  /** The client whose request came last, while it is not known that there are several. */
  #lastClient: Endpoint | undefined
  #severalUntilMs = 0
  #nextStepMs = 0

  constructor(config: OutlierConfig, services: OutlierServices) {
    this.#config = config
    this.#services = services
  }

  setTargets(targets: readonly DetectedTarget[]): void {
    const { columns, column, table, clock } = this.#services
    this.#watched = targets.map((target) => {
      const known = this.#bySlot.get(target.slot)
      if (known?.target === target) return known
      const window = new FailureWindow(columns, target.slot, this.#config.windowMs)
      window.step(clock.nowMs)
      const counters = columns.target(target.slot)
      const [words, at] = [counters.words, counters.at(column)]
      return { target, window, words, at, ejectedUntilMs: table.ejectedUntilMs(target.slot) }
    })
    this.#bySlot.clear()
    for (const watched of this.#watched) this.#bySlot.set(watched.target.slot, watched)
  }

  /** A client's request begins. */
  sawClient(client: Endpoint): void {
    if (client === this.#lastClient) return
    const { clock } = this.#services
    if (clock.nowMs < this.#severalUntilMs) return
    if (client.address !== this.#lastClient?.address) this.#noteSource(client)
    this.#lastClient = client
  }

  /** It answered. `at` is the first of the target's counters in `words`. */
  countGood(slot: number, words: Float64Array, at: number): void {
    words[at + TARGET_GOOD_OUTCOMES]!++
    this.#services.table.clearFailures(slot)
  }

  /** It accepted a connection, which is good as long as it does not reset it at once. */
  countAccepted(slot: number, words: Float64Array, at: number): void {
    words[at + TARGET_GOOD_OUTCOMES]!++
    this.#services.table.clearConnectFailures(slot)
  }

  /** What was counted as good turned out to be a reset. */
  countReset(slot: number, words: Float64Array, at: number, client: Endpoint): void {
    if ((this.#config.on & FAILURE_RESET) === 0) return
    words[at + TARGET_GOOD_OUTCOMES]!--
    this.countBad(slot, FAILURE_RESET, client)
  }

  /** Whether failures of this kind count. */
  counts(kind: FailureKind): boolean {
    return (this.#config.on & kind) !== 0
  }

  /** It failed a request of this client. */
  countBad(slot: number, kind: FailureKind, client: Endpoint): void {
    const watched = this.#bySlot.get(slot)
    const { on, consecutiveFailures } = this.#config
    if (watched === undefined || (on & kind) === 0) return
    const { table } = this.#services
    const { words, at } = watched
    words[at + TARGET_BAD_OUTCOMES]!++
    if (kind === FAILURE_CONNECT) {
      if (table.countConnectFailure(slot) >= consecutiveFailures) {
        this.#eject(watched, false)
        return
      }
    } else {
      const source = sourceHash(client)
      countSource(words, at, source)
      if (kind === FAILURE_RESET) table.countReset(slot, source)
      // Bad as the answer was, it was one.
      else if (kind !== FAILURE_TIMEOUT) table.clearFailures(slot)
    }
    this.#judge(watched)
  }

  /** Time has passed; to be called several times a second. */
  tick(): void {
    const { clock, table } = this.#services
    for (const watched of this.#watched) {
      const untilMs = table.ejectedUntilMs(watched.target.slot)
      if (untilMs !== watched.ejectedUntilMs && untilMs <= clock.steadyMs) {
        watched.ejectedUntilMs = untilMs
        watched.window.restart(clock.nowMs)
      }
    }
    if (clock.nowMs < this.#nextStepMs) return
    this.#nextStepMs = clock.nowMs + this.#config.windowMs / WINDOW_STEPS
    for (const { window } of this.#watched) window.step(clock.nowMs)
    // Looked at anew: a lone source is to be seen now and then, or it is forgotten.
    this.#lastClient = undefined
  }

  #judge(watched: Watched): void {
    const { table, clock, sources } = this.#services
    const { slot } = watched.target
    const inARow = table.failuresInARow(slot) >= this.#config.consecutiveFailures
    const outcomes = this.#outcomes(watched)
    if (!inARow && !isFailing(outcomes, this.#config)) return
    const hold = (inARow && table.hasSeveralSources(slot)) || isFailingForOthers(outcomes, this.#config)
    if (hold) this.#eject(watched, false)
    else if (!sources.areSeveral(clock.steadyMs) && this.#doOthersBetter(watched)) this.#eject(watched, true)
  }

  /** In the window, without what was before the latest ejection ended. */
  #outcomes({ target, window, ejectedUntilMs }: Watched): Outcomes {
    const { table, clock } = this.#services
    return table.ejectedUntilMs(target.slot) === ejectedUntilMs ? window.outcomes(clock.nowMs) : NO_OUTCOMES
  }

  #doOthersBetter(watched: Watched): boolean {
    const others = this.#watched.filter((other) => other !== watched && this.#isUsable(other))
    return doOthersBetter(
      others.map((other) => this.#outcomes(other)),
      this.#config,
    )
  }

  #eject(watched: Watched, lone: boolean): void {
    const { table, clock, sources } = this.#services
    const { ejectForMs, maxEjectedPercent } = this.#config
    const { slot } = watched.target
    const nowMs = clock.steadyMs
    if (isEjected(table, slot, nowMs)) return
    if (!mayEject(this.#usable(), this.#ejected(nowMs), maxEjectedPercent)) return
    const beforeMs = table.ejectedUntilMs(slot)
    const ejections = this.#forgive(watched, nowMs)
    const untilMs = nowMs + ejectionMs(ejectForMs, ejections)
    if (!table.tryEject(slot, beforeMs, untilMs)) return
    if (areTooMany(this.#usable(), this.#ejected(nowMs), maxEjectedPercent)) {
      table.withdrawEjection(slot, beforeMs, untilMs)
      return
    }
    table.confirmEjection(slot, nowMs, lone)
    if (lone && sources.areSeveral(nowMs)) table.endEjection(slot, nowMs)
  }

  /** The ejections in a row before this one: as long after one as the first lasts, the next is a first one again. */
  #forgive({ target: { slot } }: Watched, nowMs: number): number {
    const { table } = this.#services
    const endedMs = table.ejectedUntilMs(slot)
    if (endedMs > 0 && nowMs > endedMs + this.#config.ejectForMs) table.forgiveEjections(slot)
    return table.ejections(slot)
  }

  /** Targets that would take traffic if none were ejected. */
  #usable(): number {
    return this.#watched.reduce((count, watched) => count + (this.#isUsable(watched) ? 1 : 0), 0)
  }

  #ejected(nowMs: number): number {
    const { table } = this.#services
    return this.#watched.reduce(
      (count, each) => count + (this.#isUsable(each) && isEjected(table, each.target.slot, nowMs) ? 1 : 0),
      0,
    )
  }

  #isUsable({ target: { slot, address } }: Watched): boolean {
    const { table } = this.#services
    return address !== '' && isWanted(table, slot) && isPassing(table, slot)
  }

  #noteSource(client: Endpoint): void {
    const { clock, sources, table } = this.#services
    const nowMs = clock.steadyMs
    if (!sources.note(sourceHash(client), nowMs)) return
    this.#severalUntilMs = clock.nowMs + this.#config.windowMs / WINDOW_STEPS
    for (const { target } of this.#watched) {
      if (table.isEjectedForLone(target.slot)) table.endEjection(target.slot, nowMs)
    }
  }
}
