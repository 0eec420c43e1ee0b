import type { Conn, ConnHandler } from '../core/conn.js'
import type { CastorError } from '../core/errors.js'
import { faultOf } from '../core/fault.js'
import type { HealthReason } from '../core/target-state.js'
import { malformed, type ProbeFinding } from './probe-finding.js'

/** Where a probe stands, which is what its failure is named after. */
type Step = 'connecting' | 'sending' | 'receiving' | 'done'

/** What the system says of a connection that was made and lost again before anybody could use it. */
const INTERRUPTIONS: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED'])

/** What a target may send until it has given its answer. */
const MAX_RECEIVED_BYTES = 256 * 1024

/** How a probe talks over its connection. */
export interface ProbeDialogue {
  /** What is sent once connected; nothing for a probe that only connects, or that has `begin`. */
  readonly request: Uint8Array | undefined
  /** Of a dialogue that does its own writing: called once connected. */
  begin?(conn: Conn): void
  /** Looks at what came; undefined while more is needed. */
  onData(buffer: Uint8Array, length: number): ProbeFinding | undefined
  /** Of a dialogue that does its own writing, as in `ConnHandler`. */
  onWritable?(): void
  /** What there is to say of a connection that ended without an answer. */
  readonly lostDetail?: string
}

/** How a check came out; undefined where it could not be made, which says nothing about the target. */
export type ProbeOutcome = HealthReason | undefined

/** One check of one target, from dial to verdict. Its connection is never used again. */
export class Probe implements ConnHandler {
  readonly #dialogue: ProbeDialogue
  readonly #onResult: (outcome: ProbeOutcome, detail: string) => void
  readonly #preface: Uint8Array | undefined
  #step: Step = 'connecting'
  #conn: Conn | undefined
  #receivedBytes = 0

  /**
   * `onResult` is called exactly once, with `NONE` when the target passed. The detail is what the system or TLS said of a
   * connection that failed, such as ECONNREFUSED or CERT_HAS_EXPIRED, or what was wrong with an answer; empty where there
   * is nothing to add to the reason.
   * For a check that could not be made it is what this host lacks. `preface` goes ahead of all that the dialogue sends,
   * and out also where it sends nothing.
   */
  constructor(
    dialogue: ProbeDialogue,
    onResult: (outcome: ProbeOutcome, detail: string) => void,
    preface?: Uint8Array,
  ) {
    this.#preface = preface
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
    const preface = this.#preface
    const { request } = this.#dialogue
    if (preface !== undefined) conn.write(preface, 0, preface.length)
    if (this.#dialogue.begin !== undefined) {
      this.#step = 'receiving'
      this.#dialogue.begin(conn)
      return
    }
    if (request === undefined) {
      this.#finish('NONE')
      return
    }
    this.#step = conn.write(request, 0, request.length) ? 'receiving' : 'sending'
  }

  onWritable(): void {
    if (this.#step === 'sending') this.#step = 'receiving'
    else if (this.#step === 'receiving') this.#dialogue.onWritable?.()
  }

  onData(_conn: Conn, buffer: Uint8Array, length: number): void {
    if (this.#step === 'done') return
    this.#receivedBytes += length
    let found = this.#dialogue.onData(buffer, length)
    // Such as interim responses or PINGs without end: what is left of the time is not the target's to fill.
    if (this.#receivedBytes > MAX_RECEIVED_BYTES) found ??= malformed(`${MAX_RECEIVED_BYTES} bytes and no answer`)
    if (found !== undefined) this.#finish(found.reason, found.detail)
  }

  onEnd(): void {
    this.#lost()
  }

  onClose(_conn: Conn, cause?: CastorError): void {
    if (cause !== undefined && faultOf(cause, 'target') === 'us') {
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
        this.#finish('RECEIVE_RESPONSE_FAILED', detail || this.#dialogue.lostDetail)
        return
      case 'done':
        return
    }
  }

  #finish(outcome: ProbeOutcome, detail = ''): void {
    if (this.#step === 'done') return
    this.#step = 'done'
    // A reset spares both sides a connection in TIME_WAIT for each check, and would overtake a preface.
    if (this.#preface !== undefined && outcome === 'NONE') this.#conn?.close()
    else this.#conn?.abort()
    this.#conn = undefined
    this.#onResult(outcome, detail)
  }
}

/** A target that accepts connections is well. */
export const TCP_DIALOGUE: ProbeDialogue = { request: undefined, onData: () => undefined }
