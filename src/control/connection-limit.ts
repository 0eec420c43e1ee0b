import type { Listening } from '../core/acceptor.js'
import { RECORD_WORDS } from '../core/connection-record.js'
import type { Logger } from '../observe/log.js'

const POLL_MS = 20
const WARN_EVERY_MS = 10_000
/** With less room than this, connections on which nothing has come make way. */
const SHED_SHARE = 1 / 16
/** Accepting begins again a little below the limit, so that it does not flutter. */
const RESUME_SHARE = 0.02

/** Where connections go that may come in. */
export interface Admission {
  /** Connections open now. */
  readonly open: number
  dispatch(records: Int32Array, count: number): void
  /** Has so many connections closed that nothing has come on; they go a moment later, those that are young not at all. */
  shed(count: number): void
}

/**
 * Keeps to the limit exactly: accepting stops when it is reached, and who comes then waits in the kernel's queue and is
 * served when there is room. Before that, connections whose clients have said nothing are closed. What a batch brought beyond the limit, a few dozen at the most, waits here.
 */
export class ConnectionLimit {
  readonly max: number
  readonly #admission: Admission
  readonly #listenings: readonly Pick<Listening, 'pause' | 'resume'>[]
  readonly #log: Logger
  readonly #discard: (records: Int32Array, at: number) => void
  #held: Int32Array[] = []
  #look: NodeJS.Timeout | undefined
  #warnedMs = Number.NEGATIVE_INFINITY

  /** `discard` is for connections that still wait when the process stops. */
  constructor(
    max: number,
    admission: Admission,
    listenings: readonly Pick<Listening, 'pause' | 'resume'>[],
    log: Logger,
    discard: (records: Int32Array, at: number) => void,
  ) {
    this.max = max
    this.#admission = admission
    this.#listenings = listenings
    this.#log = log
    this.#discard = discard
  }

  /** Takes `count` accepted connections over. */
  admit(records: Int32Array, count: number): void {
    const room = this.#held.length > 0 ? 0 : Math.max(0, this.max - this.#admission.open)
    const placed = Math.min(count, room)
    this.#admission.dispatch(records, placed)
    for (let i = placed; i < count; i++) this.#held.push(records.slice(i * RECORD_WORDS, (i + 1) * RECORD_WORDS))
    this.#makeRoom(room - placed)
    if (placed === room && this.#look === undefined) this.#pause()
  }

  #makeRoom(room: number): void {
    const wanted = Math.ceil(this.max * SHED_SHARE) + this.#held.length
    if (room < wanted) this.#admission.shed(wanted - room)
  }

  /** Lets nobody in any more. */
  stop(): void {
    clearInterval(this.#look)
    this.#look = undefined
    for (const record of this.#held.splice(0)) this.#discard(record, 0)
  }

  #pause(): void {
    for (const listening of this.#listenings) listening.pause()
    this.#warn()
    this.#look = setInterval(() => this.#letIn(), POLL_MS)
  }

  #letIn(): void {
    let room = this.max - this.#admission.open
    for (; room > 0 && this.#held.length > 0; room--) this.#admission.dispatch(this.#held.shift()!, 1)
    this.#makeRoom(room)
    if (room < resumeRoom(this.max)) return
    clearInterval(this.#look)
    this.#look = undefined
    for (const listening of this.#listenings) listening.resume()
  }

  #warn(): void {
    if (performance.now() - this.#warnedMs < WARN_EVERY_MS) return
    this.#warnedMs = performance.now()
    this.#log.warn(
      { maxConnections: this.max },
      'the connection limit is reached: new clients wait; raise protection.maxConnections or the open-file limit',
    )
  }
}

function resumeRoom(max: number): number {
  return Math.max(1, Math.floor(max * RESUME_SHARE))
}
