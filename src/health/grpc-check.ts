import { FIELD_WORDS, type FieldList } from '../http/h2/field-list.js'
import { readHealthStatus, SERVING, statusName, writeHealthRequest } from './grpc-health-message.js'
import type { Http2Question } from './http2-dialogue.js'
import { malformed, PASSED, type ProbeFinding } from './probe-finding.js'

/** What a message of the health service may be long at most: one number, and what later versions may add. */
const MAX_MESSAGE_BYTES = 4 * 1024
/** Of each message on the wire: whether it is compressed, and its length. */
const PREFIX_BYTES = 5
const MAX_DETAIL = 120
/** By number, as the gRPC specification names them. */
const STATUS_CODES = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
] as const

export interface GrpcCheck {
  /** Name of the service that is asked about; empty = the server as a whole. */
  readonly service: string
  /** `:authority`; the target's own address when empty. */
  readonly host: string
  readonly timeoutMs: number
}

/**
 * A call of `grpc.health.v1.Health/Check` (the gRPC health checking protocol). The target passes when the call succeeds
 * and its answer is SERVING.
 */
export class GrpcHealthCall implements Http2Question {
  readonly fields: Http2Question['fields']
  readonly body: Uint8Array
  readonly #service: string
  readonly #received = new Uint8Array(PREFIX_BYTES + MAX_MESSAGE_BYTES)
  #length = 0

  constructor(check: GrpcCheck, scheme: 'http' | 'https', address: string) {
    this.#service = check.service
    const message = writeHealthRequest(check.service)
    this.body = Buffer.concat([new Uint8Array(PREFIX_BYTES), message])
    new DataView(this.body.buffer, this.body.byteOffset).setUint32(1, message.length)
    this.fields = [
      [':method', 'POST'],
      [':scheme', scheme],
      [':authority', check.host === '' ? address : check.host],
      [':path', '/grpc.health.v1.Health/Check'],
      ['te', 'trailers'],
      ['grpc-timeout', `${check.timeoutMs}m`],
      ['content-type', 'application/grpc'],
      ['user-agent', 'castor-health-check'],
    ]
  }

  onHead(status: number, fields: FieldList, endStream: boolean): ProbeFinding | undefined {
    if (status !== 200) return { reason: 'HTTP_CODE_MISMATCH', detail: `status ${status}` }
    const type = fieldValue(fields, 'content-type') ?? ''
    if (!/^application\/grpc(?:[+;]|$)/i.test(type))
      return malformed(`no gRPC: content-type ${shorten(type) || 'none'}`)
    // Trailers-Only: the head is all there is.
    return endStream ? this.onTrailers(fields) : undefined
  }

  onBody(buffer: Uint8Array, start: number, end: number): ProbeFinding | undefined {
    const length = this.#length + end - start
    if (length > this.#received.length) return malformed(`a message of more than ${MAX_MESSAGE_BYTES} bytes`)
    this.#received.set(buffer.subarray(start, end), this.#length)
    this.#length = length
    return undefined
  }

  onTrailers(fields: FieldList): ProbeFinding {
    const code = fieldValue(fields, 'grpc-status')
    if (code === undefined || !/^\d{1,3}$/.test(code)) return malformed('no grpc-status')
    if (Number(code) === 0) return this.#judgeMessage()
    const name = STATUS_CODES[Number(code)] ?? `grpc-status ${code}`
    const message = shorten(percentDecoded(fieldValue(fields, 'grpc-message') ?? ''))
    return { reason: 'GRPC_STATUS_MISMATCH', detail: message === '' ? name : `${name}: ${message}` }
  }

  onEnd(): ProbeFinding {
    return malformed('the call ended without grpc-status')
  }

  #judgeMessage(): ProbeFinding {
    const received = this.#received.subarray(0, this.#length)
    if (received.length === 0) return malformed('grpc-status OK without a message')
    if (received[0] !== 0) return malformed('a compressed message, which was not asked for')
    const view = new DataView(received.buffer, received.byteOffset, received.length)
    if (received.length < PREFIX_BYTES || view.getUint32(1) !== received.length - PREFIX_BYTES) {
      return malformed('a message whose length is not what its prefix says')
    }
    const status = readHealthStatus(received.subarray(PREFIX_BYTES))
    if (status === undefined) return malformed('a message that is no HealthCheckResponse')
    if (status === SERVING) return PASSED
    const of = this.#service === '' ? '' : ` (${this.#service})`
    return { reason: 'GRPC_NOT_SERVING', detail: `${statusName(status)}${of}` }
  }
}

function fieldValue({ bytes, offsets, count }: FieldList, name: string): string | undefined {
  const text = (at: number): string => Buffer.from(bytes.subarray(offsets[at]!, offsets[at + 1]!)).toString('latin1')
  for (let i = 0, at = 0; i < count; i++, at += FIELD_WORDS) if (text(at) === name) return text(at + 2)
  return undefined
}

/** As gRPC writes messages: what is not printable ASCII, and `%`, in percent-encoding. */
function percentDecoded(text: string): string {
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}

/** What a target says of itself, for a log: printable ASCII of bounded length. */
function shorten(text: string): string {
  return text.slice(0, MAX_DETAIL).replace(/[^\x20-\x7e]/g, '?')
}
