import type { Clock } from '../core/clock.js'
import type { HealthCheckConfig } from '../core/config.js'
import { CHECK_HEALTHY, HEALTH_REASONS, type HealthReason } from '../core/target-state.js'
import type { Timed, TimerWheel } from '../net/timer-wheel.js'
import type { TargetTable } from '../shm/targets.js'
import { Probe, type ProbeDialogue, type ProbeOutcome } from './probe.js'
import type { StalledTime } from './stalled-time.js'
import { nextCheckMs, nextVerdict, type Verdict } from './thresholds.js'

const SLOT_WAIT_MS = 50

/** What one target's checks need. */
export interface CheckedTarget {
  readonly slot: number
  readonly config: HealthCheckConfig
  /** How long a recovered target's weight rises; 0 = at once. */
  readonly slowStartMs: number
  dialogue(): ProbeDialogue
  /** What goes ahead of each dialogue. */
  readonly preface: Uint8Array | undefined
  /** Dials the target with the probe as the connection's handler. */
  dial(probe: Probe): void
}

/** Called when the verdict on a target changed; `detail` as in Probe. */
export type OnVerdict = (slot: number, state: number, reason: HealthReason, detail: string) => void

/** What the checks of a thread share. */
export interface CheckServices {
  readonly table: TargetTable
  readonly clock: Clock
  readonly wheel: TimerWheel
  readonly random: () => number
  readonly onVerdict: OnVerdict
  /** How many checks may go on at once. */
  readonly slots: CheckSlots
  /** What of a check's time the thread itself has lost. */
  readonly stalled: Pick<StalledTime, 'totalMs'>
  /** A check could not be made; `detail` is what this host lacks. */
  readonly onNotMade: (slot: number, detail: string) => void
}

/** Descriptors are kept in reserve for so many checks at once; the others wait for theirs. */
export class CheckSlots {
  #free: number

  constructor(count: number) {
    this.#free = count
  }

  tryTake(): boolean {
    if (this.#free === 0) return false
    this.#free--
    return true
  }

  giveBack(): void {
    this.#free++
  }
}

/** Checks one target for as long as it lives: at most one probe at a time, at the configured pace. */
export class Checker implements Timed {
  timerNext: Timed | null = null
  timerPrevious: Timed | null = null
  timerSlot = -1
  timerDeadlineMs = 0
  readonly #target: CheckedTarget
  readonly #services: CheckServices
  #verdict: Verdict
  #probe: Probe | undefined
  #wantedSeen: number
  /** When the latest check began, as epoch time. */
  #begunMs = 0
  /** What the thread had lost of its time when the check began, or was given time back. */
  #stalledMs = 0
  /** Checks agreed with traffic that spoke against the target: one that passes again need not wait for its turn. */
  #failedLately = false
  #onFirst: (() => void) | undefined

  constructor(target: CheckedTarget, services: CheckServices) {
    this.#target = target
    this.#services = services
    // After a restart of the thread the targets are what they were.
    this.#verdict = { state: services.table.check(target.slot), streak: 0 }
    this.#wantedSeen = services.table.checksWanted(target.slot)
  }

  /** Begins with a check at once. Resolves after its first result. */
  start(): Promise<void> {
    return new Promise((resolve) => {
      this.#onFirst = resolve
      this.#begin()
    })
  }

  stop(): void {
    this.#services.wheel.cancel(this)
    const probe = this.#probe
    this.#probe = undefined
    probe?.expire()
    this.#onFirst?.()
    this.#onFirst = undefined
  }

  /** Somebody may want the target checked sooner than its turn comes. */
  look(): void {
    const wanted = this.#services.table.checksWanted(this.#target.slot)
    if (wanted === this.#wantedSeen) return
    this.#wantedSeen = wanted
    if (this.#probe === undefined) this.#begin()
  }

  onTimeout(): number {
    if (this.#probe === undefined) this.#begin()
    else if (this.#services.stalled.totalMs > this.#stalledMs) return this.#givenBack()
    else this.#probe.expire()
    return 0
  }

  /** The time that the thread has lost is not the target's: its answer may be there, and only has to be read. */
  #givenBack(): number {
    const { totalMs } = this.#services.stalled
    const lostMs = totalMs - this.#stalledMs
    this.#stalledMs = totalMs
    return Math.min(lostMs, this.#target.config.timeoutMs)
  }

  #begin(): void {
    const { wheel, slots, clock, stalled } = this.#services
    if (!slots.tryTake()) {
      wheel.schedule(this, SLOT_WAIT_MS)
      return
    }
    const onResult = (outcome: ProbeOutcome, detail: string): void => {
      slots.giveBack()
      this.#onResult(probe, outcome, detail)
    }
    const probe = new Probe(this.#target.dialogue(), onResult, this.#target.preface)
    this.#probe = probe
    this.#begunMs = clock.steadyMs
    this.#stalledMs = stalled.totalMs
    try {
      this.#target.dial(probe)
    } catch (fault) {
      // Such as what OpenSSL says of credentials: one target's failure, not the end of all checks.
      probe.failedToDial(fault)
    }
    // A result may be there already.
    if (this.#probe !== probe) return
    // Dialling may have taken long, where it had to read authorities first.
    clock.refresh()
    wheel.schedule(this, this.#target.config.timeoutMs)
  }

  #onResult(probe: Probe, outcome: ProbeOutcome, detail: string): void {
    if (this.#probe !== probe) return
    this.#probe = undefined
    const { config, slot } = this.#target
    if (outcome === undefined) this.#services.onNotMade(slot, detail)
    else this.#judge(outcome, detail)
    this.#onFirst?.()
    this.#onFirst = undefined
    this.#services.wheel.schedule(this, nextCheckMs(config.intervalMs, this.#verdict, this.#services.random()))
  }

  #judge(reason: HealthReason, detail: string): void {
    const { config, slot } = this.#target
    const before = this.#verdict
    const thresholds = { healthy: config.healthyThreshold, unhealthy: config.unhealthyThreshold }
    this.#verdict = nextVerdict(before, reason === 'NONE', thresholds)
    if (this.#verdict.state !== before.state) this.#announce(reason, detail)
    if (reason !== 'NONE') this.#failedLately = true
    else if (this.#verdict.state === CHECK_HEALTHY && (this.#failedLately || this.#isLaterCheck())) {
      this.#failedLately = false
      this.#services.table.endEjection(slot, this.#services.clock.steadyMs)
    }
  }

  /**
   * Whether this check speaks for an ejected target: not the one that the ejection itself has asked for, which finds out
   * at once whether the target is down; the next, whose turn came.
   */
  #isLaterCheck(): boolean {
    const { table } = this.#services
    return this.#begunMs >= table.ejectedFromMs(this.#target.slot) + this.#target.config.intervalMs / 2
  }

  #announce(reason: HealthReason, detail: string): void {
    const { table, clock } = this.#services
    const { slot, slowStartMs } = this.#target
    const { state } = this.#verdict
    // The ramp first: whoever sees the target healthy sees that it starts slowly.
    if (state === CHECK_HEALTHY && slowStartMs > 0) table.setRampFrom(slot, clock.steadyMs)
    table.setCheck(slot, state, HEALTH_REASONS.indexOf(reason), clock.steadyMs)
    this.#services.onVerdict(slot, state, reason, detail)
  }
}
