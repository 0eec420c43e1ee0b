import fc from 'fast-check'
import t from 'tap'
import { HEADER_DROPPED, HEADER_LOOK_ALIKE_FLAG } from '../../../src/http/header-names.js'
import { FORM_ASTERISK, PARSE_COMPLETE, RequestParser } from '../../../src/http/request-parser.js'
import { type RequestHeadOptions, requestHeadBound, writeRequestHead } from '../../../src/http/request-writer.js'
import { SEED } from '../../random.js'
import { ACCEPTED_REQUESTS, bytes, feed, headersOf, LIMITS, mutated, type Read, readRequest, textOf } from './heads.js'

t.comment(`seed ${SEED}`)

const options = (fields: Partial<RequestHeadOptions> = {}): RequestHeadOptions => ({
  clientAddress: bytes('192.0.2.1'),
  appendForwarded: false,
  fixedLines: new Uint8Array(0),
  forwardHost: false,
  forwardedPrefix: undefined,
  requestId: bytes('made'),
  via: false,
  upgrade: '',
  rewritten: undefined,
  added: new Uint8Array(0),
  addedLength: 0,
  ...fields,
})

function write(read: Read<RequestParser>, fields: Partial<RequestHeadOptions> = {}): string {
  const set = options({ upgrade: read.parser.upgradeWebSocket ? 'websocket' : '', ...fields })
  const at = 5
  const out = new Uint8Array(at + requestHeadBound(read.parser, set))
  const end = writeRequestHead(out, at, read.parser, read.buffer, read.start, set)
  if (end === -1) throw new Error('the bound was not enough')
  return textOf(out, at, end)
}

const writeText = (head: string, fields: Partial<RequestHeadOptions> = {}): string => {
  const read = readRequest(head)
  if (read.outcome !== PARSE_COMPLETE) throw new Error(read.parser.errorDetail)
  return write(read, fields)
}

/** The lines that every request gets at its end with `options()`. */
const ADDED = 'x-request-id: made\r\nx-forwarded-for: 192.0.2.1\r\n\r\n'

t.test('a request is written with Host first, then the rest in its order and letter case', async (t) => {
  t.equal(
    writeText('GET /a?b HTTP/1.0\r\nX-One:1\r\nhOST:   h:80  \r\nx-TWO: 2  \r\nX-Three: 3\r\nX-Four:\r\n\r\n'),
    `GET /a?b HTTP/1.1\r\nHost: h:80\r\nX-One: 1\r\nx-TWO: 2\r\nX-Three: 3\r\nX-Four: \r\n${ADDED}`,
  )
})

t.test('RFC 9112 3.2: the target becomes origin form, a missing path is "/" or, for OPTIONS, "*"', async (t) => {
  for (const [line, expected] of [
    ['GET http://o:81/p?q HTTP/1.1', 'GET /p?q HTTP/1.1\r\nHost: o:81\r\n'],
    ['GET http://o HTTP/1.1', 'GET / HTTP/1.1\r\nHost: o\r\n'],
    ['GET http://o?q HTTP/1.1', 'GET /?q HTTP/1.1\r\nHost: o\r\n'],
    ['OPTIONS http://o HTTP/1.1', 'OPTIONS * HTTP/1.1\r\nHost: o\r\n'],
    ['OPTIONS http://o/ HTTP/1.1', 'OPTIONS / HTTP/1.1\r\nHost: o\r\n'],
    ['OPTIONS http://o?q HTTP/1.1', 'OPTIONS /?q HTTP/1.1\r\nHost: o\r\n'],
    ['OPTIONS * HTTP/1.1', 'OPTIONS * HTTP/1.1\r\nHost: h\r\n'],
    ['PURGE /%2e%2E//x HTTP/1.1', 'PURGE /%2e%2E//x HTTP/1.1\r\nHost: h\r\n'],
  ] as const) {
    t.equal(writeText(`${line}\r\nHost: h\r\n\r\n`), expected + ADDED, line)
  }
})

t.test('RFC 9112 3.2: HTTP/1.0 without Host gets the default one, else an empty one', async (t) => {
  const head = 'GET / HTTP/1.0\r\n\r\n'
  t.equal(writeText(head), `GET / HTTP/1.1\r\nHost: \r\n${ADDED}`)
  t.equal(writeText(head, { defaultHost: bytes('app:9001') }), `GET / HTTP/1.1\r\nHost: app:9001\r\n${ADDED}`)
  t.notMatch(writeText(head, { forwardHost: true, forwardedPrefix: bytes('for=x') }), /x-forwarded-host|host="/)
})

t.test('RFC 9110 7.6.1: hop-by-hop fields, those Connection names and look-alikes stay behind', async (t) => {
  const written = writeText(
    'GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: 5\r\nProxy-Connection: close\r\n' +
      'Upgrade: h2c\r\nHTTP2-Settings: x\r\nTE: gzip\r\nProxy-Authorization: p\r\nProxy-Authenticate: p\r\n' +
      'X-Hop: 1\r\nContent_Length: 3\r\nTransfer_Encoding: chunked\r\nX_Forwarded_For: 6.6.6.6\r\n' +
      'X_Request_Id: 7\r\nKeep_Alive: 8\r\nTrailer: x-sum\r\nAuthorization: kept\r\nCookie: kept\r\nuser_agent: kept\r\n\r\n',
  )
  t.equal(
    written,
    'GET / HTTP/1.1\r\nHost: h\r\nTrailer: x-sum\r\nAuthorization: kept\r\nCookie: kept\r\nuser_agent: kept\r\n' +
      ADDED,
  )
})

t.test('RFC 9112 6: framing is written from what was understood', async (t) => {
  for (const [fields, expected] of [
    ['Content-Length: 0005', 'content-length: 5\r\n'],
    ['Content-Length: 0', 'content-length: 0\r\n'],
    ['Transfer-Encoding: CHUNKED', 'transfer-encoding: chunked\r\n'],
    ['Expect: 100-Continue\r\nContent-Length: 5', 'content-length: 5\r\nexpect: 100-continue\r\n'],
    ['Expect: 100-continue', ''],
    ['TE: trailers', 'connection: te\r\nte: trailers\r\n'],
    ['TE: trailers\r\nTE: gzip\r\nConnection: TE', 'connection: te\r\nte: trailers\r\n'],
  ] as const) {
    t.equal(
      writeText(`POST / HTTP/1.1\r\nHost: h\r\n${fields}\r\n\r\n`),
      `POST / HTTP/1.1\r\nHost: h\r\n${expected}${ADDED}`,
      fields,
    )
  }
  t.equal(
    writeText(
      'GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\nTE: trailers\r\nSec-WebSocket-Key: k\r\n\r\n',
    ),
    `GET / HTTP/1.1\r\nHost: h\r\nSec-WebSocket-Key: k\r\nconnection: upgrade\r\nupgrade: websocket\r\n${ADDED}`,
  )
})

const CLIENT_FORWARDED =
  'GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n' +
  'X-Forwarded-Prefix: /p\r\nForwarded: for=2.2.2.2\r\nX-Forwarded-For: 3.3.3.3\r\nX-Forwarded-For:\r\n\r\n'
const OURS = {
  fixedLines: bytes('x-forwarded-proto: http\r\nx-forwarded-port: 80\r\nx-extra: 1\r\n'),
  forwardHost: true,
  forwardedPrefix: bytes('for=192.0.2.1;proto=http'),
}

t.test('what an untrusted client says of itself is replaced', async (t) => {
  t.equal(
    writeText(CLIENT_FORWARDED, OURS),
    'GET / HTTP/1.1\r\nHost: h\r\nx-request-id: made\r\nx-forwarded-for: 192.0.2.1\r\nx-forwarded-host: h\r\n' +
      'forwarded: for=192.0.2.1;proto=http;host="h"\r\n' +
      'x-forwarded-proto: http\r\nx-forwarded-port: 80\r\nx-extra: 1\r\n\r\n',
  )
  t.equal(writeText(CLIENT_FORWARDED), `GET / HTTP/1.1\r\nHost: h\r\n${ADDED}`, 'also where Castor says nothing')
})

t.test('what a trusted peer says is kept, appended to, and never said twice', async (t) => {
  t.equal(
    writeText(CLIENT_FORWARDED, { ...OURS, appendForwarded: true }),
    'GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Prefix: /p\r\n' +
      'x-request-id: made\r\nx-forwarded-for: 1.1.1.1, 3.3.3.3, 192.0.2.1\r\n' +
      'forwarded: for=2.2.2.2, for=192.0.2.1;proto=http;host="h"\r\nx-forwarded-port: 80\r\nx-extra: 1\r\n\r\n',
  )
  t.equal(
    writeText('GET / HTTP/1.1\r\nHost: h\r\nForwarded: for=2.2.2.2\r\n\r\n', { appendForwarded: true }),
    `GET / HTTP/1.1\r\nHost: h\r\nForwarded: for=2.2.2.2\r\n${ADDED}`,
    'Forwarded passes as it came when Castor adds none',
  )
})

t.test('the request id is kept or made, Via added when asked', async (t) => {
  const head = (fields: string, minor = 1): string => `GET / HTTP/1.${minor}\r\nHost: h\r\n${fields}\r\n`
  t.match(writeText(head('X-Request-Id: kept\r\n')), /Host: h\r\nx-request-id: kept\r\nx-forwarded-for/)
  t.match(writeText(head('X-Request-Id: not kept\r\n')), /Host: h\r\nx-request-id: made\r\nx-forwarded-for/)
  t.match(writeText(head('X-Request-Id: a\r\nX-Request-Id: b\r\n')), /Host: h\r\nx-request-id: made\r\nx-forwarded-for/)
  t.match(writeText(head('Via: 1.0 p\r\n'), { via: true }), /Via: 1.0 p\r\n(.*\r\n)*via: 1.1 castor\r\n\r\n$/)
  t.match(writeText(head('', 0), { via: true }), /\r\nvia: 1.0 castor\r\n\r\n$/, 'the version it came with')
})

t.test('room that is too small is told, and nothing is written', async (t) => {
  const { parser, buffer, start } = readRequest(ACCEPTED_REQUESTS[0])
  const set = options(OURS)
  const out = new Uint8Array(requestHeadBound(parser, set) - 1)
  t.equal(writeRequestHead(out, 0, parser, buffer, start, set), -1)
  t.ok(out.every((byte) => byte === 0))
})

t.test('what is written reads as what was read', async (t) => {
  let compared = 0
  fc.assert(
    fc.property(mutated(ACCEPTED_REQUESTS, 3), fc.boolean(), (input, trusted) => {
      const read = feed(new RequestParser(LIMITS), input)
      if (read.outcome !== PARSE_COMPLETE) return true
      compared++
      const again = readRequest(write(read, { ...OURS, defaultHost: bytes('d'), appendForwarded: trusted, via: true }))
      const { parser } = again
      if (again.outcome !== PARSE_COMPLETE) return false
      const path = (of: Read<RequestParser>): string =>
        of.parser.text(of.buffer, of.start, of.parser.pathStart, of.parser.pathEnd)
      const host = (of: Read<RequestParser>): string =>
        of.parser.text(of.buffer, of.start, of.parser.hostStart, of.parser.hostEnd)
      const kept = (of: Read<RequestParser>): string[] =>
        headersOf(of)
          .filter(([, , id]) => id === 0)
          .map(([name, value]) => `${name}:${value}`)
      const first = path(read)
      const second = path(again)
      t.same(
        kept(again).filter((line) => line !== 'x-extra:1'),
        kept(read),
      )
      return (
        parser.method === read.parser.method &&
        (second === first || (parser.targetForm === FORM_ASTERISK && first === '') || second === `/${first}`) &&
        host(again) === (read.parser.hostStart === -1 ? 'd' : host(read)) &&
        parser.contentLength === read.parser.contentLength &&
        parser.chunked === read.parser.chunked &&
        parser.expectContinue === read.parser.expectContinue &&
        parser.upgradeWebSocket === read.parser.upgradeWebSocket &&
        parser.keepAlive &&
        headersOf(again).every(([, , id]) => id < HEADER_LOOK_ALIKE_FLAG && id !== HEADER_DROPPED)
      )
    }),
    { seed: SEED, numRuns: 2000 },
  )
  t.ok(compared > 300, `${compared} inputs were accepted`)
})
