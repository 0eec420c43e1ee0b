// Hot path: every response's head is read here.
import type { Clock } from '../../core/clock.js'
import type { HeadLines } from '../../http/h2/head-lines.js'
import { PARSE_COMPLETE, PARSE_INCOMPLETE, type ParseOutcome } from '../../http/head-layout.js'
import type { ResponseParser } from '../../http/response-parser.js'
import { KeptBytes } from './kept-bytes.js'

/** More is to come. */
export const HEAD_INCOMPLETE = 0
/** The final response's head is there. */
export const HEAD_FINAL = 1
/** An interim response's head (1xx but 101); another head follows. */
export const HEAD_INTERIM = 2
export const HEAD_SWITCHING = 3
/** What came is no response; `fault` says why. */
export const HEAD_REFUSED = 4

/** Interim responses within a second, and their bytes; more is a target that has lost its way. */
const MAX_INTERIMS = 100
const MAX_INTERIM_BYTES = 1024 * 1024
const WINDOW_MS = 1_000

/** Reads the heads that answer one request, interim ones included, however the bytes are cut. */
export class ResponseHead {
  readonly parser: ResponseParser
  /** Where the head of the last outcome lies: in `buffer` from `start` on; what was read ends at `end`. */
  buffer: Uint8Array = new Uint8Array(0)
  start = 0
  end = 0
  /** Bytes came, if only of an interim response or half a head. */
  begun = false
  fault = ''
  readonly #kept = new KeptBytes()
  /** Loop time of the last interim response, −1 without one. */
  interimMs = -1
  readonly #clock: Clock
  #windowMs = 0
  #interims = 0
  #interimBytes = 0

  constructor(parser: ResponseParser, clock: Clock) {
    this.parser = parser
    this.#clock = clock
  }

  reset(): void {
    this.parser.reset()
    this.#kept.clear()
    this.begun = false
    this.interimMs = -1
    this.#interims = 0
    this.#interimBytes = 0
  }

  /** First byte behind the head. */
  get bodyStart(): number {
    return this.start + this.parser.headLength
  }

  /** Takes bytes as they came; borrowed. With `lines` they are one whole head, whose lines lie where those say. */
  feed(buffer: Uint8Array, length: number, lines?: HeadLines): number {
    this.begun = true
    if (lines !== undefined) {
      const { words, count } = lines
      return this.#outcome(buffer, 0, length, this.parser.adopt(buffer, 0, length, words, count))
    }
    if (this.#kept.empty) return this.#read(buffer, 0, length)
    this.#kept.append(buffer, 0, length)
    return this.#read(this.#kept.buffer, 0, this.#kept.length)
  }

  /** After HEAD_INTERIM: on to the next head. */
  next(): number {
    const at = this.bodyStart
    this.parser.reset()
    if (at < this.end) return this.#read(this.buffer, at, this.end)
    this.#kept.clear()
    return HEAD_INCOMPLETE
  }

  #read(buffer: Uint8Array, start: number, end: number): number {
    return this.#outcome(buffer, start, end, this.parser.parse(buffer, start, end))
  }

  #outcome(buffer: Uint8Array, start: number, end: number, outcome: ParseOutcome): number {
    this.buffer = buffer
    this.start = start
    this.end = end
    if (outcome === PARSE_INCOMPLETE) {
      if (this.#kept.empty || start > 0) this.#kept.replace(buffer, start, end)
      return HEAD_INCOMPLETE
    }
    if (outcome !== PARSE_COMPLETE) return this.#refuse(this.parser.errorDetail)
    const { status } = this.parser
    if (status >= 200) return HEAD_FINAL
    if (status === 101) return HEAD_SWITCHING
    return this.#mayFollow() ? HEAD_INTERIM : this.#refuse('too many interim responses')
  }

  /** A target may say for hours that it is at work, so that only how often counts. */
  #mayFollow(): boolean {
    const { nowMs } = this.#clock
    if (this.interimMs < 0 || nowMs - this.#windowMs >= WINDOW_MS) {
      this.#windowMs = nowMs
      this.#interims = 0
      this.#interimBytes = 0
    }
    this.interimMs = nowMs
    this.#interimBytes += this.parser.headLength
    return ++this.#interims <= MAX_INTERIMS && this.#interimBytes <= MAX_INTERIM_BYTES
  }

  #refuse(fault: string): number {
    this.fault = fault
    return HEAD_REFUSED
  }
}
