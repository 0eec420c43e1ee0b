import t from 'tap'
import { HEADER_DROPPED } from '../../../src/http/header-names.js'
import { PARSE_COMPLETE } from '../../../src/http/request-parser.js'
import { headersOf, LIMITS, outcomeName, readRequest } from './heads.js'

const LINE = 'POST / HTTP/1.1\r\n'
const HOST = 'Host: h\r\n'
const post = (fields: string): string => `${LINE}${HOST}${fields}\r\n`

t.test('RFC 9112 5: field lines are read with their own case, white space around values taken off', async (t) => {
  const read = readRequest(
    post('X-A:1\r\nx-B: \t two  words \t\r\nX-Empty:\r\nX-Blank: \t \r\n!#$%&\'*+-.^_`|~: "\\\xff"\r\n'),
  )
  t.equal(outcomeName(read.outcome), 'complete')
  t.same(
    headersOf(read).map(([name, value]) => [name, value]),
    [
      ['Host', 'h'],
      ['X-A', '1'],
      ['x-B', 'two  words'],
      ['X-Empty', ''],
      ['X-Blank', ''],
      ["!#$%&'*+-.^_`|~", '"\\\xff"'],
    ],
  )
})

type Refusal = readonly [section: string, fields: string, status: number, detail: string]
const FIELDS: readonly Refusal[] = [
  ['RFC 9112 5.1: no white space before the colon', 'X-A : 1\r\n', 400, 'white space in or after a field name'],
  ['RFC 9112 5.1: no white space before the colon', 'X-A\t: 1\r\n', 400, 'white space in or after a field name'],
  ['RFC 9112 5.1: no white space in a name', 'X A: 1\r\n', 400, 'white space in or after a field name'],
  ['RFC 9112 5.2: no folding', 'X-A: 1\r\n 2\r\n', 400, 'white space at the start of a field line'],
  ['RFC 9112 5.2: no folding', 'X-A: 1\r\n\t2\r\n', 400, 'white space at the start of a field line'],
  ['RFC 9110 5.1: a name is a token', ': 1\r\n', 400, 'empty field name'],
  ['RFC 9110 5.1: a name is a token', 'X(A): 1\r\n', 400, 'character not allowed here'],
  ['RFC 9110 5.1: a name is a token', 'X\xc9: 1\r\n', 400, 'byte beyond ASCII'],
  ['RFC 9110 5.1: a name is a token', 'X\0: 1\r\n', 400, 'NUL byte'],
  ['RFC 9110 5.1: a name is a token', '"X": 1\r\n', 400, 'character not allowed here'],
  ['RFC 9112 5: a line has a colon', 'X-A\r\n', 400, 'field line without a colon'],
  ['RFC 9110 5.5: no NUL', 'X-A: a\0b\r\n', 400, 'NUL byte'],
  ['RFC 9110 5.5: no control characters', 'X-A: a\x01b\r\n', 400, 'control character'],
  ['RFC 9110 5.5: no control characters', 'X-A: a\x7fb\r\n', 400, 'control character'],
  ['RFC 9110 5.5: no control characters', 'X-A:\x0b1\r\n', 400, 'control character'],
  ['RFC 9112 2.2: CRLF only', 'X-A: a\nX-B: b\r\n', 400, 'bare LF'],
  ['RFC 9112 2.2: CRLF only', 'X-A: a\rX-B: b\r\n', 400, 'bare CR'],
  ['RFC 9112 2.2: CRLF only', 'X-A: a\r\r\n', 400, 'bare CR'],
  ['RFC 9112 2.2: CRLF only', '\n', 400, 'bare LF'],
  ['RFC 9112 2.2: CRLF only', '\rX', 400, 'bare CR'],
  ['RFC 9112 3.2: one Host', 'Host: h\r\n', 400, 'repeated Host'],
  ['RFC 9112 3.2: one Host, in any case', 'hOST: other\r\n', 400, 'repeated Host'],
  ['RFC 9112 6.3: Content-Length is digits', 'Content-Length: +5\r\n', 400, 'invalid Content-Length'],
  ['RFC 9112 6.3: Content-Length is digits', 'Content-Length: -5\r\n', 400, 'invalid Content-Length'],
  ['RFC 9112 6.3: Content-Length is digits', 'Content-Length: 0x5\r\n', 400, 'invalid Content-Length'],
  ['RFC 9112 6.3: Content-Length is digits', 'Content-Length: 5 5\r\n', 400, 'invalid Content-Length'],
  ['RFC 9112 6.3: Content-Length is digits', 'Content-Length: 5.0\r\n', 400, 'invalid Content-Length'],
  ['RFC 9112 6.3: Content-Length is digits', 'Content-Length: 1e3\r\n', 400, 'invalid Content-Length'],
  ['RFC 9112 6.3: Content-Length is digits', 'Content-Length: "5"\r\n', 400, 'invalid Content-Length'],
  ['RFC 9112 6.3: Content-Length is digits', 'Content-Length: \xb2\r\n', 400, 'invalid Content-Length'],
  ['RFC 9112 6.3: Content-Length is digits', 'Content-Length:\r\n', 400, 'invalid Content-Length'],
  ['RFC 9112 6.3: one length, not a list', 'Content-Length: 5, 5\r\n', 400, 'invalid Content-Length'],
  ['RFC 9112 6.3: one length, not a list', 'Content-Length: 5,\r\n', 400, 'invalid Content-Length'],
  ['RFC 9112 6.3: one length', 'Content-Length: 5\r\nContent-Length: 6\r\n', 400, 'repeated Content-Length'],
  [
    'RFC 9112 6.3: not even the same twice',
    'Content-Length: 5\r\ncontent-length: 5\r\n',
    400,
    'repeated Content-Length',
  ],
  ['RFC 9110 8.6: no overflow', 'Content-Length: 9007199254740992\r\n', 400, 'invalid Content-Length'],
  ['RFC 9110 8.6: no overflow', 'Content-Length: 18446744073709551621\r\n', 400, 'invalid Content-Length'],
  ['RFC 9110 8.6: no endless zeros', 'Content-Length: 00000000000000005\r\n', 400, 'invalid Content-Length'],
  [
    'RFC 9112 6.1: not both framings',
    'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n',
    400,
    'Transfer-Encoding beside Content-Length',
  ],
  [
    'RFC 9112 6.1: not both framings',
    'Transfer-Encoding: chunked\r\nContent-Length: 0\r\n',
    400,
    'Content-Length beside Transfer-Encoding',
  ],
  [
    'RFC 9112 6.1: chunked once',
    'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n',
    400,
    'repeated Transfer-Encoding',
  ],
  ['RFC 9112 6.1: chunked once', 'Transfer-Encoding: chunked, chunked\r\n', 400, 'invalid Transfer-Encoding'],
  ['RFC 9112 6.3: chunked last', 'Transfer-Encoding: chunked, gzip\r\n', 400, 'invalid Transfer-Encoding'],
  ['RFC 9112 7: chunked has no parameters', 'Transfer-Encoding: chunked;a=b\r\n', 400, 'invalid Transfer-Encoding'],
  ['RFC 9112 6.1: no empty elements', 'Transfer-Encoding: chunked,\r\n', 400, 'invalid Transfer-Encoding'],
  ['RFC 9112 6.1: no empty elements', 'Transfer-Encoding: ,chunked\r\n', 400, 'invalid Transfer-Encoding'],
  ['RFC 9112 6.1: no empty value', 'Transfer-Encoding:\r\n', 400, 'invalid Transfer-Encoding'],
  ['RFC 9112 6.1: codings are tokens', 'Transfer-Encoding: "chunked"\r\n', 400, 'invalid Transfer-Encoding'],
  ['RFC 9112 6.1: codings are tokens', 'Transfer-Encoding: chunked chunked\r\n', 400, 'invalid Transfer-Encoding'],
  ['RFC 9112 6.1: codings are tokens', 'Transfer-Encoding: \xffchunked\r\n', 400, 'invalid Transfer-Encoding'],
  ['RFC 9112 6.1: unknown codings', 'Transfer-Encoding: gzip, chunked\r\n', 501, 'unknown transfer coding'],
  ['RFC 9112 6.1: unknown codings', 'Transfer-Encoding: identity\r\n', 501, 'unknown transfer coding'],
  ['RFC 9112 6.1: unknown codings', 'Transfer-Encoding: xchunked\r\n', 501, 'unknown transfer coding'],
  ['RFC 9110 10.1.1: unknown expectations', 'Expect: 200-ok\r\n', 417, 'unknown expectation'],
  ['RFC 9110 10.1.1: unknown expectations', 'Expect: 100-continue, x=y\r\n', 417, 'unknown expectation'],
  ['RFC 9110 10.1.1: one expectation', 'Expect: 100-continue\r\nExpect: 100-continue\r\n', 417, 'unknown expectation'],
  ['RFC 9110 7.6.1: Connection is tokens', 'Connection: close; x\r\n', 400, 'invalid Connection'],
  ['RFC 9110 7.6.1: Connection is tokens', 'Connection: a b\r\n', 400, 'invalid Connection'],
  ['RFC 9110 7.6.1: Connection is tokens', 'Connection: "close"\r\n', 400, 'invalid Connection'],
  ['Connection names are bounded', `Connection: ${'a,'.repeat(33)}\r\n`, 431, 'Connection names too much'],
  ['Connection names are bounded', `Connection: ${','.repeat(20)}\r\n`.repeat(2), 431, 'Connection names too much'],
]
const REASONS: Record<number, string> = {
  400: 'BAD_REQUEST',
  417: 'BAD_REQUEST',
  431: 'HEADER_TOO_LARGE',
  501: 'TRANSFER_CODING_UNKNOWN',
}

for (const [section, fields, status, detail] of FIELDS) {
  t.test(`${section}: ${JSON.stringify(fields)} is refused`, async (t) => {
    const { parser, outcome } = readRequest(post(fields))
    t.equal(outcomeName(outcome), 'refused')
    t.match(parser, { errorStatus: status, errorDetail: detail, errorReason: REASONS[status]! })
  })
}

t.test('RFC 9112 3.2: Host must be there, be valid, and name something', async (t) => {
  for (const [head, expected] of [
    ['GET / HTTP/1.1\r\n\r\n', 'no Host'],
    ['GET http://h/ HTTP/1.1\r\n\r\n', 'no Host'],
    ['GET / HTTP/1.1\r\nHost:\r\n\r\n', 'empty Host'],
    ['GET / HTTP/1.0\r\nHost: \r\n\r\n', 'empty Host'],
    ['GET http://h/ HTTP/1.1\r\nHost: a b\r\n\r\n', 'invalid Host'],
    ['GET http://h/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n', 'repeated Host'],
    ['GET / HTTP/1.1\r\nHost: u@h\r\n\r\n', 'invalid Host'],
    ['GET / HTTP/1.1\r\nHost: http://h\r\n\r\n', 'invalid Host'],
    ['GET / HTTP/1.1\r\nHost: a, b\r\n\r\n', 'invalid Host'],
    ['GET / HTTP/1.0\r\n\r\n', ''],
    ['OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n', ''],
    ['OPTIONS * HTTP/1.1\r\n\r\n', 'no Host'],
  ] as const) {
    const { parser, outcome } = readRequest(head)
    t.equal(outcomeName(outcome), expected === '' ? 'complete' : 'refused', head)
    t.equal(parser.errorDetail, expected)
  }
  t.equal(readRequest('GET / HTTP/1.0\r\n\r\n').parser.hostStart, -1)
})

t.test('RFC 9112 6.1: Transfer-Encoding in HTTP/1.0 is refused', async (t) => {
  const { parser } = readRequest('POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n')
  t.match(parser, { errorStatus: 400, errorDetail: 'Transfer-Encoding in HTTP/1.0' })
})

t.test('RFC 9112 6.3: bodies are framed the same for every method', async (t) => {
  for (const method of ['GET', 'HEAD', 'DELETE', 'OPTIONS', 'POST', 'X']) {
    for (const [field, contentLength, chunked, hasBody] of [
      ['', -1, false, false],
      ['Content-Length: 0\r\n', 0, false, false],
      ['Content-Length: 007\r\n', 7, false, true],
      ['CONTENT-LENGTH: 9007199254740991\r\n', Number.MAX_SAFE_INTEGER, false, true],
      ['Transfer-Encoding: chunked\r\n', -1, true, true],
      ['transfer-encoding: \tChunKED\r\n', -1, true, true],
    ] as const) {
      const { parser, outcome } = readRequest(`${method} / HTTP/1.1\r\n${HOST}${field}\r\n`)
      t.equal(outcome, PARSE_COMPLETE)
      t.match(parser, { contentLength, chunked, hasBody }, `${method} ${field}`)
    }
  }
})

t.test('RFC 9112 9.3: who wants the connection to stay', async (t) => {
  for (const [version, connection, keepAlive] of [
    ['1.1', undefined, true],
    ['1.1', 'keep-alive', true],
    ['1.1', 'close', false],
    ['1.1', 'Close', false],
    ['1.1', 'foo, CLOSE ,bar', false],
    ['1.1', 'keep-alive, close', false],
    ['1.1', ', ,', true],
    ['1.0', undefined, false],
    ['1.0', 'Keep-Alive', true],
    ['1.0', 'close, keep-alive', false],
    ['1.0', 'upgrade', false],
  ] as const) {
    const line = connection === undefined ? '' : `Connection: ${connection}\r\n`
    const { parser } = readRequest(`GET / HTTP/${version}\r\n${HOST}${line}\r\n`)
    t.equal(parser.keepAlive, keepAlive, `${version} ${connection}`)
  }
})

t.test('RFC 9110 7.6.1: fields that Connection names are marked, but not those that others rest on', async (t) => {
  const read = readRequest(
    post(
      'X-Hop: 1\r\nConnection: x-hop, X-Later, Host, Content-Length, cookie, X-Forwarded-For, X-Forwarded-Any, ' +
        'Authorization, Forwarded, X-Request-Id, Via\r\nContent-Length: 3\r\nCookie: a\r\nX-Forwarded-For: 1\r\n' +
        'X-Forwarded-Any: 1\r\nAuthorization: b\r\nForwarded: for=x\r\nX-Request-Id: i\r\nVia: v\r\nX-LATER: 1\r\n' +
        'x-hop: 2\r\nX-Hops: 3\r\n',
    ),
  )
  t.equal(read.parser.connectionNames, 3)
  t.same(
    headersOf(read)
      .filter(([, , id]) => id === HEADER_DROPPED)
      .map(([name, value]) => `${name}=${value}`),
    ['X-Hop=1', 'X-LATER=1', 'x-hop=2'],
  )
  t.equal(read.parser.contentLength, 3)
})

t.test('RFC 9110 7.8: WebSocket is asked for with GET, HTTP/1.1, Connection: upgrade and that one token', async (t) => {
  const upgrade = 'Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n'
  for (const [head, expected] of [
    [`GET / HTTP/1.1\r\n${HOST}${upgrade}`, true],
    [`GET / HTTP/1.1\r\n${HOST}${upgrade}Content-Length: 0\r\n`, true],
    [`POST / HTTP/1.1\r\n${HOST}${upgrade}`, false],
    [`GET / HTTP/1.0\r\n${HOST}${upgrade}`, false],
    [`GET / HTTP/1.1\r\n${HOST}${upgrade}Content-Length: 1\r\n`, false],
    [`GET / HTTP/1.1\r\n${HOST}${upgrade}Transfer-Encoding: chunked\r\n`, false],
    [`GET / HTTP/1.1\r\n${HOST}Upgrade: websocket\r\n`, false],
    [`GET / HTTP/1.1\r\n${HOST}Connection: upgrade\r\n`, false],
    [`GET / HTTP/1.1\r\n${HOST}Connection: upgrade\r\nUpgrade: h2c\r\n`, false],
    [`GET / HTTP/1.1\r\n${HOST}Connection: upgrade\r\nUpgrade: websocket, h2c\r\n`, false],
    [`GET / HTTP/1.1\r\n${HOST}${upgrade}Upgrade: websocket\r\n`, false],
    [`GET / HTTP/1.1\r\n${HOST}${upgrade}Upgrade: h2c\r\n`, false],
  ] as const) {
    const { parser, outcome } = readRequest(`${head}\r\n`)
    t.equal(outcome, PARSE_COMPLETE)
    t.equal(parser.upgradeWebSocket, expected, head)
  }
})

t.test('RFC 9110 10.1.1: 100-continue counts in HTTP/1.1 with a body', async (t) => {
  for (const [head, expected] of [
    [`POST / HTTP/1.1\r\n${HOST}Expect: 100-Continue\r\nContent-Length: 1\r\n`, true],
    [`POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n`, true],
    [`POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n`, false],
    [`POST / HTTP/1.1\r\n${HOST}Expect: 100-continue\r\n`, false],
  ] as const) {
    t.equal(readRequest(`${head}\r\n`).parser.expectContinue, expected, head)
  }
})

t.test('a request id is kept when there is one and it is harmless', async (t) => {
  for (const [fields, kept] of [
    ['X-Request-Id: AZaz09._~+/=:-\r\n', 'AZaz09._~+/=:-'],
    [`X-Request-Id: ${'a'.repeat(128)}\r\n`, 'a'.repeat(128)],
    [`X-Request-Id: ${'a'.repeat(129)}\r\n`, undefined],
    ['X-Request-Id:\r\n', undefined],
    ['X-Request-Id: a b\r\n', undefined],
    ['X-Request-Id: a"b\r\n', undefined],
    ['X-Request-Id: a,b\r\n', undefined],
    ['X-Request-Id: a\r\nX-Request-Id: b\r\n', undefined],
    ['X_Request_Id: a\r\n', undefined],
    ['', undefined],
  ] as const) {
    const { parser, buffer, start } = readRequest(post(fields))
    const id = parser.requestIdStart
    t.equal(id === -1 ? undefined : parser.text(buffer, start, id, parser.requestIdEnd), kept, fields)
  }
})

t.test('TE: trailers and the first User-Agent are noted', async (t) => {
  const { parser, buffer, start } = readRequest(
    post('TE: deflate;q=0.5 , Trailers\r\nUser-Agent: a/1 b\r\nUser-Agent: c\r\n'),
  )
  t.equal(parser.wantsTrailers, true)
  t.equal(parser.text(buffer, start, parser.userAgentStart, parser.userAgentEnd), 'a/1 b')
  t.equal(readRequest(post('TE: trailersx\r\n')).parser.wantsTrailers, false)
})

t.test('limits refuse at the byte that goes beyond them', async (t) => {
  const head = post('X-A: 1\r\n')
  for (const [limits, outcome, reason] of [
    [{ maxHeaderBytes: head.length }, 'complete', 'NONE'],
    [{ maxHeaderBytes: head.length - 1 }, 'refused', 'HEADER_TOO_LARGE'],
    [{ maxHeaderBytes: 20 }, 'refused', 'HEADER_TOO_LARGE'],
    [{ maxHeaders: 2 }, 'complete', 'NONE'],
    [{ maxHeaders: 1 }, 'refused', 'TOO_MANY_HEADERS'],
  ] as const) {
    const read = readRequest(head, { ...LIMITS, ...limits })
    t.equal(outcomeName(read.outcome), outcome, JSON.stringify(limits))
    t.equal(read.parser.errorReason, reason)
    t.equal(read.parser.errorStatus, outcome === 'refused' ? 431 : 0)
  }
  const many = readRequest(post('X: y\r\n'.repeat(127)))
  t.equal(outcomeName(many.outcome), 'complete', 'the table of headers grows to the limit')
  t.equal(many.parser.headerCount, 128)
})

t.test('a parser is as new after reset', async (t) => {
  const { parser, buffer, start } = readRequest(
    post('Connection: close, x\r\nContent-Length: 3\r\nX: y\r\nUpgrade: websocket\r\n'),
  )
  parser.reset()
  const next = Buffer.from('GET / HTTP/1.0\r\n\r\n')
  t.equal(parser.parse(next, 0, next.length), PARSE_COMPLETE)
  t.match(parser, {
    contentLength: -1,
    hasBody: false,
    connectionNames: 0,
    headerCount: 0,
    hostStart: -1,
    keepAlive: false,
  })
  t.ok(buffer.length > start)
})
