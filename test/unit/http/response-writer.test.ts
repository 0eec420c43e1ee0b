import fc from 'fast-check'
import t from 'tap'
import { PARSE_COMPLETE } from '../../../src/http/head-layout.js'
import { ResponseParser } from '../../../src/http/response-parser.js'
import { type ResponseHeadOptions, responseHeadBound, writeResponseHead } from '../../../src/http/response-writer.js'
import { SEED } from '../../random.js'
import {
  ACCEPTED_RESPONSES,
  bytes,
  feed,
  headersOf,
  LIMITS,
  mutated,
  type Read,
  readResponse,
  textOf,
} from './heads.js'

t.comment(`seed ${SEED}`)

const options = (fields: Partial<ResponseHeadOptions> = {}): ResponseHeadOptions => ({
  clientMinor: 1,
  chunked: false,
  close: false,
  keepAliveHeader: false,
  via: false,
  added: new Uint8Array(0),
  addedLength: 0,
  ...fields,
})

function write(read: Read<ResponseParser>, fields: Partial<ResponseHeadOptions> = {}): string {
  const set = options(fields)
  const at = 5
  const out = new Uint8Array(at + responseHeadBound(read.parser, set))
  const end = writeResponseHead(out, at, read.parser, read.buffer, read.start, set)
  if (end === -1) throw new Error('the bound was not enough')
  return textOf(out, at, end)
}

t.test('a response is written as HTTP/1.1 with its reason and fields, without those of the connection', async (t) => {
  for (const [head, fields, expected] of [
    [
      'HTTP/1.0 200 Fine\r\nX-One:1\r\nServer: s\r\nConnection: keep-alive, x-hop\r\nKeep-Alive: timeout=5\r\n' +
        'X-Hop: 1\r\nContent-Length: 005\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d \r\nX-Last: z\r\n',
      {},
      'HTTP/1.1 200 Fine\r\nX-One: 1\r\nServer: s\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nX-Last: z\r\ncontent-length: 5\r\n',
    ],
    [
      'HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n',
      { chunked: true },
      'HTTP/1.1 200 \r\ntransfer-encoding: chunked\r\n',
    ],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n', { close: true }, 'HTTP/1.1 200 OK\r\nconnection: close\r\n'],
    ['HTTP/1.1 200 OK\r\n', { keepAliveHeader: true }, 'HTTP/1.1 200 OK\r\nconnection: keep-alive\r\n'],
    ['HTTP/1.1 304 N\r\nContent-Length: 9\r\n', {}, 'HTTP/1.1 304 N\r\ncontent-length: 9\r\n'],
    ['HTTP/1.1 204 N\r\nContent-Length: 0\r\n', {}, 'HTTP/1.1 204 N\r\n'],
    [
      'HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Accept: a\r\n',
      {},
      'HTTP/1.1 101 S\r\nSec-WebSocket-Accept: a\r\nconnection: upgrade\r\nupgrade: WebSocket\r\n',
    ],
    ['HTTP/1.1 200 OK\r\nVia: 1.1 p\r\n', { via: true }, 'HTTP/1.1 200 OK\r\nVia: 1.1 p\r\nvia: 1.1 castor\r\n'],
    ['HTTP/1.0 200 OK\r\n', { via: true }, 'HTTP/1.1 200 OK\r\nvia: 1.0 castor\r\n'],
    ['HTTP/1.1 200 OK\r\n', { extraLines: bytes('x: y\r\n') }, 'HTTP/1.1 200 OK\r\nx: y\r\n'],
    [
      'HTTP/1.1 200 OK\r\nContent_Length: 7\r\nTransfer_Encoding: chunked\r\nX_Request_Id: kept\r\nUpgrade: h2c\r\n' +
        'Proxy-Authenticate: p\r\nWWW-Authenticate: kept\r\nTrailer: x\r\n',
      {},
      'HTTP/1.1 200 OK\r\nX_Request_Id: kept\r\nWWW-Authenticate: kept\r\nTrailer: x\r\n',
    ],
  ] as const) {
    t.equal(write(readResponse(`${head}\r\n`), fields), `${expected}\r\n`)
  }
})

t.test('room that is too small is told, and nothing is written', async (t) => {
  const { parser, buffer, start } = readResponse(ACCEPTED_RESPONSES[0])
  const out = new Uint8Array(responseHeadBound(parser, options()) - 1)
  t.equal(writeResponseHead(out, 0, parser, buffer, start, options()), -1)
  t.ok(out.every((byte) => byte === 0))
})

t.test('what is written reads as what was read', async (t) => {
  let compared = 0
  fc.assert(
    fc.property(mutated(ACCEPTED_RESPONSES, 3), (input) => {
      const read = feed(new ResponseParser(LIMITS), input)
      if (read.outcome !== PARSE_COMPLETE) return true
      compared++
      const again = readResponse(
        write(read, { chunked: read.parser.chunked, close: !read.parser.keepAlive, via: true }),
      )
      const kept = (of: Read<ResponseParser>): string[] =>
        headersOf(of)
          .filter(([, , id]) => id === 0)
          .map(([name, value]) => `${name}:${value}`)
      t.same(kept(again), kept(read))
      const reason = (of: Read<ResponseParser>): string =>
        of.parser.text(of.buffer, of.start, of.parser.reasonStart, of.parser.reasonEnd)
      return (
        again.outcome === PARSE_COMPLETE &&
        reason(again) === reason(read) &&
        again.parser.status === read.parser.status &&
        again.parser.contentLength === read.parser.contentLength &&
        again.parser.chunked === read.parser.chunked &&
        again.parser.upgrade === read.parser.upgrade &&
        (again.parser.upgrade || again.parser.keepAlive === read.parser.keepAlive)
      )
    }),
    { seed: SEED, numRuns: 2000 },
  )
  t.ok(compared > 300, `${compared} inputs were accepted`)
})
