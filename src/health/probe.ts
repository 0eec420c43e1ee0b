import type { Conn, ConnHandler } from '../core/conn.js'
import type { CastorError } from '../core/errors.js'
import type { HealthReason } from '../core/target-state.js'

/** Where a probe stands, which is what its failure is named after. */
type Step = 'connecting' | 'sending' | 'receiving' | 'done'

/** What the system says of a connection that was made and lost again before anybody could use it. */
const INTERRUPTIONS: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED'])

/** How a probe talks over its connection. */
export interface ProbeDialogue {
  /** What is sent once connected; nothing for a probe that only connects. */
  readonly request: Uint8Array | undefined
  /** What goes ahead of it, and also where nothing follows. */
  readonly preface?: Uint8Array | undefined
  /** Looks at what came: `NONE` when it is a good answer, a reason when it is not, undefined while more is needed. */
  onData(buffer: Uint8Array, length: number): HealthReason | undefined
}

/** How a check came out; undefined where it could not be made, which says nothing about the target. */
export type ProbeOutcome = HealthReason | undefined

/** One check of one target, from dial to verdict. Its connection is never used again. */
export class Probe implements ConnHandler {
  readonly #dialogue: ProbeDialogue
  readonly #onResult: (outcome: ProbeOutcome, detail: string) => void
  #step: Step = 'connecting'
  #conn: Conn | undefined

  /**
   * `onResult` is called exactly once, with `NONE` when the target passed. The detail is what the system or TLS said of a
   * connection that failed, such as ECONNREFUSED or CERT_HAS_EXPIRED; empty where there is nothing to add to the reason.
   * For a check that could not be made it is what this host lacks.
   */
  constructor(dialogue: ProbeDialogue, onResult: (outcome: ProbeOutcome, detail: string) => void) {
    this.#dialogue = dialogue
    this.#onResult = onResult
  }

  /** The connection that is being dialled with this probe as its handler. */
  attach(conn: Conn): void {
    if (this.#step === 'done') conn.abort()
    else this.#conn = conn
  }

  /** There is nowhere to dial to. */
  unreachable(): void {
    this.#finish('CONNECT_FAILED')
  }

  /** Dialling threw before there was a connection. */
  failedToDial(fault: unknown): void {
    this.#finish('CONNECT_FAILED', fault instanceof Error ? fault.message : String(fault))
  }

  /** It took too long. */
  expire(): void {
    switch (this.#step) {
      case 'connecting':
        this.#finish((this.#conn?.dialledMs ?? 0) < 0 ? undefined : 'CONNECT_TIMEOUT')
        return
      case 'sending':
        this.#finish('REQUEST_TIMEOUT')
        return
      case 'receiving':
        this.#finish('RECEIVE_RESPONSE_TIMEOUT')
        return
      case 'done':
        return
    }
  }

  onOpen(conn: Conn): void {
    this.#conn = conn
    const { preface, request } = this.#dialogue
    if (preface !== undefined) conn.write(preface, 0, preface.length)
    if (request === undefined) {
      this.#finish('NONE')
      return
    }
    this.#step = conn.write(request, 0, request.length) ? 'receiving' : 'sending'
  }

  onWritable(): void {
    if (this.#step === 'sending') this.#step = 'receiving'
  }

  onData(_conn: Conn, buffer: Uint8Array, length: number): void {
    if (this.#step === 'done') return
    const reason = this.#dialogue.onData(buffer, length)
    if (reason !== undefined) this.#finish(reason)
  }

  onEnd(): void {
    this.#lost()
  }

  onClose(_conn: Conn, cause?: CastorError): void {
    if (cause?.code === 'LOCAL_SHORTAGE') {
      this.#finish(undefined, cause.message)
      return
    }
    // A target that refuses never had the connection; one that resets or closes it had, if only for a moment.
    const refused = cause?.code === 'CONNECT_FAILED' && !INTERRUPTIONS.has(cause.message)
    if (refused) this.#finish('CONNECT_FAILED', cause.message)
    else this.#lost(cause?.message)
  }

  #lost(detail = ''): void {
    switch (this.#step) {
      case 'connecting':
        this.#finish('CONNECT_INTERRUPT', detail)
        return
      case 'sending':
        this.#finish('REQUEST_FAILED', detail)
        return
      case 'receiving':
        this.#finish('RECEIVE_RESPONSE_FAILED', detail)
        return
      case 'done':
        return
    }
  }

  #finish(outcome: ProbeOutcome, detail = ''): void {
    if (this.#step === 'done') return
    this.#step = 'done'
    // A reset spares both sides a connection in TIME_WAIT for each check, and would overtake a preface.
    if (this.#dialogue.preface !== undefined && outcome === 'NONE') this.#conn?.close()
    else this.#conn?.abort()
    this.#conn = undefined
    this.#onResult(outcome, detail)
  }
}

/** A target that accepts connections is well. */
export const TCP_DIALOGUE: ProbeDialogue = { request: undefined, onData: () => undefined }

/** The same talk behind something that the target must be told first. */
export class PrefacedDialogue implements ProbeDialogue {
  readonly preface: Uint8Array
  readonly #dialogue: ProbeDialogue

  constructor(preface: Uint8Array, dialogue: ProbeDialogue) {
    this.preface = preface
    this.#dialogue = dialogue
  }

  get request(): Uint8Array | undefined {
    return this.#dialogue.request
  }

  onData(buffer: Uint8Array, length: number): HealthReason | undefined {
    return this.#dialogue.onData(buffer, length)
  }
}
