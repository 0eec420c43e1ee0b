import fc from 'fast-check'
import {
  HEADER_ID,
  HEADER_STRIDE,
  type HeadLimits,
  NAME_END,
  NAME_START,
  PARSE_COMPLETE,
  PARSE_INCOMPLETE,
  PARSE_REFUSED,
  VALUE_END,
  VALUE_START,
} from '../../../src/http/head-layout.js'
import type { HeadParser } from '../../../src/http/head-parser.js'
import { RequestParser } from '../../../src/http/request-parser.js'
import { ResponseParser } from '../../../src/http/response-parser.js'

export const LIMITS: HeadLimits = { maxHeaderBytes: 32_768, maxHeaders: 128, maxTargetBytes: 8192 }

export const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'))

export const textOf = (buffer: Uint8Array, from = 0, to = buffer.length): string =>
  Buffer.from(buffer.buffer, buffer.byteOffset + from, to - from).toString('latin1')

type Parser = RequestParser | ResponseParser

export interface Read<P> {
  readonly parser: P
  readonly outcome: number
  /** Holds the head at `start`. */
  readonly buffer: Uint8Array
  readonly start: number
}

/**
 * Feeds `input` as the proxy does: all bytes so far at each call, first up to each cut, then whole. Each call gets a new
 * buffer, at another place in it, with `guard` all around what the parser may look at.
 */
export function feed<P extends Parser>(parser: P, input: Uint8Array, cuts: readonly number[] = [], guard = 0): Read<P> {
  parser.reset()
  const ends = [...cuts.filter((cut) => cut < input.length), input.length].sort((a, b) => a - b)
  let last: Read<P> | undefined
  for (const [turn, length] of ends.entries()) {
    const start = 3 + (turn % 5)
    const buffer = new Uint8Array(start + length + 4).fill(guard)
    buffer.set(input.subarray(0, length), start)
    last = { parser, outcome: parser.parse(buffer, start, start + length), buffer, start }
    if (last.outcome !== PARSE_INCOMPLETE) return last
  }
  return last!
}

export const readRequest = (text: string, limits = LIMITS): Read<RequestParser> =>
  feed(new RequestParser(limits), bytes(text))

export const readResponse = (text: string, limits = LIMITS): Read<ResponseParser> =>
  feed(new ResponseParser(limits), bytes(text))

export function headersOf({ parser, buffer, start }: Read<HeadParser>): [name: string, value: string, id: number][] {
  return Array.from({ length: parser.headerCount }, (_, index) => {
    const entry = parser.headers.subarray(index * HEADER_STRIDE, (index + 1) * HEADER_STRIDE)
    return [
      parser.text(buffer, start, entry[NAME_START]!, entry[NAME_END]!),
      parser.text(buffer, start, entry[VALUE_START]!, entry[VALUE_END]!),
      entry[HEADER_ID]!,
    ]
  })
}

/** Everything a parser says in public, for comparing: each number and flag, each header, or the error. */
export function factsOf(read: Read<Parser>): Record<string, unknown> {
  const { parser, outcome } = read
  if (outcome === PARSE_INCOMPLETE) return { outcome }
  if (outcome === PARSE_REFUSED) {
    return { outcome, status: parser.errorStatus, reason: parser.errorReason, detail: parser.errorDetail }
  }
  const facts: Record<string, unknown> = { outcome, headers: headersOf(read) }
  for (const [key, value] of Object.entries(parser)) {
    if (typeof value === 'number' || typeof value === 'boolean') facts[key] = value
  }
  return facts
}

export const outcomeName = (outcome: number): string =>
  outcome === PARSE_COMPLETE ? 'complete' : outcome === PARSE_REFUSED ? 'refused' : 'incomplete'

/** Requests that are accepted, in many shapes, for properties to start from. */
export const ACCEPTED_REQUESTS = [
  'GET / HTTP/1.1\r\nHost: a.example\r\n\r\n',
  'GET / HTTP/1.0\r\n\r\n',
  '\r\nHEAD /x?y=1&z=%20 HTTP/1.1\r\nHost: a.example:8080\r\nConnection: keep-alive\r\n\r\n',
  'POST /f HTTP/1.1\r\nHost: [::1]:80\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n',
  'PUT /f HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\nTrailer: x-sum\r\n\r\n',
  'OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n',
  'GET http://other.example:81/p/a?q HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n',
  'OPTIONS http://other.example HTTP/1.1\r\nHost: h\r\n\r\n',
  'GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n',
  'DELETE /a HTTP/1.1\r\nHost:h\r\nConnection: close, X-Hop\r\nX-Hop:1 \r\nX-Empty:\r\nX_Forwarded_For: 1\r\n\r\n',
  'PURGE /%41/../b;c=(1) HTTP/1.1\r\nhOsT: \t h \t\r\nX-Request-Id: abc-123\r\nCookie: a=b; c="d"\r\n\r\n',
  'GET /caf%C3%A9 HTTP/1.0\r\nHost: 192.0.2.1\r\nConnection: keep-alive\r\nUser-Agent: \xe9\xff\r\n\r\n',
] as const

/** Responses that are accepted. */
export const ACCEPTED_RESPONSES = [
  'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\n',
  'HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n',
  'HTTP/1.0 404 Not Found\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.1 204 No Content\r\n\r\n',
  'HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\nETag: "x"\r\n\r\n',
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: a\r\n\r\n',
  'HTTP/1.1 100 Continue\r\n\r\n',
  'HTTP/1.1 500 caf\xe9 \t.\r\nKeep-Alive: timeout=5, max=100\r\nConnection: X-Hop\r\nX-Hop:\t1 \r\n\r\n',
] as const

/** Bytes on which parsers stumble. */
const TROUBLE = [...'\r\n\t\0 :;,/?#%*@[]"\\_-0129+abcxH', '\x7f', '\x80', '\xff'].map((c) => c.charCodeAt(0))

/** One of `seeds` with up to `most` bytes changed, put in, left out or doubled. */
export function mutated(seeds: readonly string[], most: number): fc.Arbitrary<Uint8Array> {
  const change = fc.record({
    at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    kind: fc.constantFrom('change', 'insert', 'remove', 'line'),
    byte: fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...TROUBLE) }, { weight: 1, arbitrary: fc.nat(255) }),
  })
  return fc.tuple(fc.constantFrom(...seeds), fc.array(change, { maxLength: most })).map(([seed, changes]) => {
    const mutant = [...bytes(seed)]
    for (const { at, kind, byte } of changes) {
      const index = Math.floor(at * mutant.length)
      if (kind === 'change') mutant[index] = byte
      else if (kind === 'insert') mutant.splice(index, 0, byte)
      else if (kind === 'remove') mutant.splice(index, 1)
      else mutant.splice(index, 0, ...mutant.slice(index, index + 12))
    }
    return Uint8Array.from(mutant)
  })
}

/** Places to cut an input of any length: fractions of it. */
export const cutPlaces = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 6 })

export const cutsOf = (places: readonly number[], length: number): number[] =>
  places.map((place) => Math.floor(place * length))
