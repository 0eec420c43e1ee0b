import { CHUNK_DATA, CHUNK_END, CHUNK_NEED_MORE, ChunkedDecoder } from '../../src/http/chunked-decoder.js'
import { type HeadLimits, VALUE_END, VALUE_START } from '../../src/http/head-layout.js'
import { HEADER_HOST } from '../../src/http/header-names.js'
import {
  FORM_ABSOLUTE,
  METHOD_OPTIONS,
  PARSE_COMPLETE,
  PARSE_INCOMPLETE,
  RequestParser,
} from '../../src/http/request-parser.js'
import { FRAMING_CHUNKED, FRAMING_LENGTH, FRAMING_NONE, ResponseParser } from '../../src/http/response-parser.js'

/** The limits of the default configuration. */
export const LIMITS: HeadLimits = { maxHeaderBytes: 32_768, maxHeaders: 128, maxTargetBytes: 8192 }

export interface AcceptedRequest {
  readonly method: string
  /** As it goes to the target: path and query, or "*". */
  readonly target: string
  readonly host: string
  /** As the client sent them. */
  readonly rawTarget: string
  readonly rawHost: string
  readonly body: string
  readonly keepAlive: boolean
  readonly upgrade: boolean
}

/** How a stream of requests ends: between two, within one, or with one that is refused. */
export type StreamEnd = 'between' | 'in-head' | 'in-body' | 'refused' | 'bad-body' | 'closed'

export interface CastorReading {
  readonly accepted: readonly AcceptedRequest[]
  readonly end: StreamEnd
  readonly refusal: number
  /** The method of a request that is refused for its body. */
  readonly refusedMethod: string
  /** First byte behind the last accepted request. */
  readonly position: number
}

const parser = new RequestParser(LIMITS)
const decoder = new ChunkedDecoder(LIMITS)

/** What the engine makes of a stream of requests, by itself: nothing is sent anywhere. */
export function readAsCastor(bytes: Uint8Array): CastorReading {
  const accepted: AcceptedRequest[] = []
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
  let at = 0
  let refusedMethod = ''
  const ended = (end: StreamEnd, refusal = 0): CastorReading => ({
    accepted,
    end,
    refusal,
    refusedMethod,
    position: at,
  })
  while (at < bytes.length) {
    parser.reset()
    const outcome = parser.parse(bytes, at, bytes.length)
    if (outcome === PARSE_INCOMPLETE) return ended('in-head')
    if (outcome !== PARSE_COMPLETE) return ended('refused', parser.errorStatus)
    const slice = (from: number, to: number): string => text.slice(at + from, at + to)
    const bodyStart = at + parser.headLength
    const body = readBody(bytes, text, bodyStart)
    if (typeof body === 'string') {
      refusedMethod = slice(parser.methodStart, parser.methodEnd)
      return ended(body, body === 'bad-body' ? 400 : 0)
    }
    let target = slice(parser.pathStart, parser.pathEnd)
    if (parser.targetForm === FORM_ABSOLUTE && !target.startsWith('/')) {
      target = target === '' && parser.method === METHOD_OPTIONS ? '*' : `/${target}`
    }
    accepted.push({
      method: slice(parser.methodStart, parser.methodEnd),
      target,
      host: parser.hostStart === -1 ? '' : slice(parser.hostStart, parser.hostEnd),
      rawTarget: slice(parser.targetStart, parser.targetEnd),
      rawHost: rawHost(slice),
      body: body.text,
      keepAlive: parser.keepAlive,
      upgrade: parser.upgradeWebSocket,
    })
    at = body.end
    if (!parser.keepAlive) return ended('closed')
  }
  return ended('between')
}

/** The value of Host, which an absolute target replaces. */
function rawHost(slice: (from: number, to: number) => string): string {
  const entry = parser.find(HEADER_HOST)
  return entry < 0 ? '' : slice(parser.headers[entry + VALUE_START]!, parser.headers[entry + VALUE_END]!)
}

interface Body {
  readonly text: string
  readonly end: number
}

function readBody(bytes: Uint8Array, text: string, from: number): Body | 'in-body' | 'bad-body' {
  if (parser.chunked) return readChunks(bytes, text, from)
  const end = from + Math.max(parser.contentLength, 0)
  return end > bytes.length ? 'in-body' : { text: text.slice(from, end), end }
}

function readChunks(bytes: Uint8Array, text: string, from: number): Body | 'in-body' | 'bad-body' {
  decoder.reset()
  let body = ''
  let outcome = decoder.next(bytes, from, bytes.length)
  for (; outcome === CHUNK_DATA; outcome = decoder.next(bytes, decoder.position, bytes.length)) {
    body += text.slice(decoder.dataStart, decoder.dataEnd)
  }
  if (outcome === CHUNK_END) return { text: body, end: decoder.position }
  return outcome === CHUNK_NEED_MORE ? 'in-body' : 'bad-body'
}

export interface ResponseReading {
  readonly interims: readonly number[]
  /** `whole`, `cut` after the head, `nonsense` before it, `waits` where the stream would have to go on. */
  readonly end: 'whole' | 'cut' | 'nonsense' | 'waits' | 'switched'
  readonly status: number
  readonly body: string
  /** Bytes came behind the response. */
  readonly extra: boolean
}

const responseParser = new ResponseParser(LIMITS)
const MAX_INTERIM = 100

/** What the engine makes of the bytes that answer one request, after which the target ends its stream where `closes`. */
export function readResponseAsCastor(bytes: Uint8Array, method: number, closes: boolean): ResponseReading {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
  const interims: number[] = []
  const ended = (end: ResponseReading['end'], status = 0, body = '', extra = false): ResponseReading => ({
    interims,
    end,
    status,
    body,
    extra,
  })
  let at = 0
  for (;;) {
    responseParser.reset()
    const outcome = responseParser.parse(bytes, at, bytes.length)
    if (outcome === PARSE_INCOMPLETE) return ended(closes ? 'nonsense' : 'waits')
    if (outcome !== PARSE_COMPLETE) return ended('nonsense')
    at += responseParser.headLength
    const { status } = responseParser
    if (status === 101) return ended('switched')
    if (status >= 200) break
    if (interims.length === MAX_INTERIM) return ended('nonsense')
    interims.push(status)
  }
  const { status, contentLength } = responseParser
  switch (responseParser.framing(method)) {
    case FRAMING_NONE:
      return ended('whole', status, '', at < bytes.length)
    case FRAMING_LENGTH: {
      const body = text.slice(at, at + contentLength)
      if (body.length === contentLength) return ended('whole', status, body, at + contentLength < bytes.length)
      return ended(closes ? 'cut' : 'waits', status, body)
    }
    case FRAMING_CHUNKED: {
      const body = readChunks(bytes, text, at)
      if (typeof body === 'object') return ended('whole', status, body.text, body.end < bytes.length)
      return ended(closes || body === 'bad-body' ? 'cut' : 'waits', status)
    }
    default:
      return ended(closes ? 'whole' : 'waits', status, text.slice(at))
  }
}
