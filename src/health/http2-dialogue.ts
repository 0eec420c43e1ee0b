import type { Clock } from '../core/clock.js'
import type { Conn } from '../core/conn.js'
import { Http2Connection } from '../http/h2/connection.js'
import {
  DEFAULT_H2_LIMITS,
  DEFAULT_H2_SETTINGS,
  H2_ERROR,
  type H2Connection,
  type H2Failure,
  type H2Handler,
  type H2Limits,
  type H2Settings,
  type H2Stream,
  type H2StreamHandler,
  type H2Turn,
} from '../http/h2/engine.js'
import { FieldList } from '../http/h2/field-list.js'
import { ResponseToHttp1 } from '../http/h2/response-to-http1.js'
import type { ProbeDialogue } from './probe.js'
import { malformed, type ProbeFinding } from './probe-finding.js'

const MAX_HEADER_BYTES = 32 * 1024

/** A check asks for little: what a target announces or sends beyond that is of no use to it. */
const SETTINGS: H2Settings = {
  ...DEFAULT_H2_SETTINGS,
  connectionWindowBytes: 65_535,
  maxUnconsumedBytes: 65_535,
  maxHeaderListBytes: MAX_HEADER_BYTES,
}
const LIMITS: H2Limits = {
  ...DEFAULT_H2_LIMITS,
  maxBlockBytes: MAX_HEADER_BYTES,
  maxDecodedBytes: 2 * MAX_HEADER_BYTES,
  maxQueuedBytes: 64 * 1024,
}
/** Whoever makes frames here flushes them. */
const NO_TURN: H2Turn = { flushLater: () => {} }
const HTTP1 = Buffer.from('HTTP/1.', 'latin1')

/** One request, and what its response says of the target. */
export interface Http2Question {
  /** Pseudo-header fields first. */
  readonly fields: readonly (readonly [string, string])[]
  readonly body: Uint8Array | undefined
  /** The final response's head. `endStream`: nothing follows. */
  onHead(status: number, fields: FieldList, endStream: boolean): ProbeFinding | undefined
  /** Bytes [start, end) of a buffer that is borrowed. */
  onBody(buffer: Uint8Array, start: number, end: number): ProbeFinding | undefined
  onTrailers(fields: FieldList): ProbeFinding
  /** The response ended without trailers. */
  onEnd(): ProbeFinding
}

/** Asks one question by HTTP/2 (RFC 9113), with prior knowledge or after ALPN. */
export class Http2Dialogue implements ProbeDialogue {
  readonly request = undefined
  readonly #question: Http2Question
  readonly #clock: Clock
  readonly #answer: Http2Answer
  #connection: H2Connection | undefined
  #heard = false

  constructor(question: Http2Question, clock: Clock) {
    this.#question = question
    this.#clock = clock
    this.#answer = new Http2Answer(question)
  }

  begin(conn: Conn): void {
    const { fields, body } = this.#question
    const answer = this.#answer
    const init = { role: 'client', settings: SETTINGS, limits: LIMITS, handler: answer, clock: this.#clock } as const
    const connection = new Http2Connection(conn, { ...init, turn: NO_TURN })
    this.#connection = connection
    connection.start()
    const stream = connection.openStream(answer)!
    stream.sendFields(fieldList(fields), body === undefined)
    if (body !== undefined) stream.sendData(body, 0, body.length, true)
    connection.flush()
  }

  onData(buffer: Uint8Array, length: number): ProbeFinding | undefined {
    if (!this.#heard) {
      this.#heard = true
      const isHttp1 = length >= HTTP1.length && HTTP1.compare(buffer, 0, HTTP1.length) === 0
      if (isHttp1) return malformed('the target answers by HTTP/1, not by HTTP/2')
    }
    this.#connection!.receive(buffer, 0, length)
    return this.#answer.finding
  }

  onWritable(): void {
    this.#connection!.onWritable()
  }

  get lostDetail(): string {
    return this.#connection?.ready === true ? '' : 'closed before it spoke HTTP/2'
  }
}

/** What the engine tells of the one stream of a check, and of its connection. */
class Http2Answer implements H2Handler, H2StreamHandler {
  readonly #question: Http2Question
  readonly #response = new ResponseToHttp1()
  #finding: ProbeFinding | undefined
  /** Why the engine ended the connection: says more than the reset of the stream, which comes first. */
  #failure: ProbeFinding | undefined
  #reset: ProbeFinding | undefined
  #headSeen = false

  constructor(question: Http2Question) {
    this.#question = question
  }

  get finding(): ProbeFinding | undefined {
    return this.#finding ?? this.#failure ?? this.#reset
  }

  onFields(_stream: H2Stream, fields: FieldList, endStream: boolean): void {
    if (this.#finding !== undefined) return
    if (this.#headSeen) {
      this.#finding = this.#question.onTrailers(fields)
      return
    }
    if (!this.#response.write(fields, endStream, false, '')) {
      this.#finding = malformed(`RFC 9113 ${this.#response.detail}`)
      return
    }
    if (this.#response.status < 200) return
    this.#headSeen = true
    this.#finding = this.#question.onHead(this.#response.status, fields, endStream)
  }

  onFieldsTooLarge(): void {
    this.#finding ??= malformed(`header fields of more than ${MAX_HEADER_BYTES} bytes`)
  }

  onData(stream: H2Stream, buffer: Uint8Array, start: number, end: number): void {
    stream.consume(end - start)
    this.#finding ??= this.#question.onBody(buffer, start, end)
  }

  onEnd(): void {
    this.#finding ??= this.#question.onEnd()
  }

  onReset(_stream: H2Stream, code: number): void {
    this.#reset ??= { reason: 'RECEIVE_RESPONSE_FAILED', detail: `the request was reset with ${errorName(code)}` }
  }

  onFailure(_connection: H2Connection, { detail }: H2Failure): void {
    this.#failure ??= malformed(detail)
  }

  onWritable(): void {}
  onStream(): void {}
  onSettings(): void {}
  onStreamsFree(): void {}
  onIdle(): void {}
  onGoAway(): void {}
}

function fieldList(fields: Http2Question['fields']): FieldList {
  const list = new FieldList()
  for (const [name, value] of fields) {
    const bytes = Buffer.from(value, 'latin1')
    list.push(Buffer.from(name, 'latin1'), 0, name.length, bytes, 0, bytes.length)
  }
  return list
}

function errorName(code: number): string {
  return Object.entries(H2_ERROR).find(([, known]) => known === code)?.[0] ?? `error ${code}`
}
