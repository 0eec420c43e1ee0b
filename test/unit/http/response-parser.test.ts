import t from 'tap'
import { TOLERATE_BARE_LF, TOLERATE_SHORT_STATUS_LINE } from '../../../src/core/tolerances.js'
import { HEADER_DROPPED } from '../../../src/http/header-names.js'
import { METHOD_GET, METHOD_HEAD, METHOD_POST } from '../../../src/http/methods.js'
import {
  FRAMING_CHUNKED,
  FRAMING_LENGTH,
  FRAMING_NONE,
  FRAMING_UNTIL_CLOSE,
  ResponseParser,
} from '../../../src/http/response-parser.js'
import { bytes, feed, headersOf, LIMITS, outcomeName, readResponse } from './heads.js'

const BOTH = TOLERATE_BARE_LF | TOLERATE_SHORT_STATUS_LINE

t.test('RFC 9112 4: a status line', async (t) => {
  for (const [line, status, minor, reason] of [
    ['HTTP/1.1 200 OK', 200, 1, 'OK'],
    ['HTTP/1.0 404 Not Found', 404, 0, 'Not Found'],
    ['HTTP/1.1 599 ', 599, 1, ''],
    ['HTTP/1.2 200 OK', 200, 1, 'OK'],
    ['HTTP/1.9 200 OK', 200, 1, 'OK'],
    ['HTTP/1.1 100  \tcaf\xe9 ', 100, 1, ' \tcaf\xe9 '],
  ] as const) {
    const { parser, buffer, start, outcome } = readResponse(`${line}\r\n\r\n`)
    t.equal(outcomeName(outcome), 'complete', line)
    t.match(parser, { status, versionMinor: minor, headLength: line.length + 4 })
    t.equal(parser.text(buffer, start, parser.reasonStart, parser.reasonEnd), reason)
  }
})

const OK = 'HTTP/1.1 200 OK\r\n'
const REFUSED: readonly [section: string, head: string, detail: string][] = [
  ['RFC 9112 4: status line', 'http/1.1 200 OK\r\n', 'malformed status line'],
  ['RFC 9112 4: status line', '\r\nHTTP/1.1 200 OK\r\n', 'malformed status line'],
  ['RFC 9112 4: status line', ' HTTP/1.1 200 OK\r\n', 'malformed status line'],
  ['RFC 9112 4: status line', 'HTTP/1.1  200 OK\r\n', 'malformed status'],
  ['RFC 9112 4: status line', 'HTTP/1.1\t200 OK\r\n', 'malformed status line'],
  ['RFC 9112 4: status line', 'HTTP/1.11 200 OK\r\n', 'malformed status line'],
  ['RFC 9112 4: status line', 'ICY 200 OK\r\n', 'malformed status line'],
  ['RFC 9112 4: status line', '<html>', 'malformed status line'],
  ['RFC 9112 4: versions', 'HTTP/1.x 200 OK\r\n', 'malformed status line'],
  ['RFC 9112 4: versions', 'HTTP/0.9 200 OK\r\n', 'malformed status line'],
  ['RFC 9112 4: versions', 'HTTP/2.0 200 OK\r\n', 'malformed status line'],
  ['RFC 9112 4: three digits', 'HTTP/1.1 20 OK\r\n', 'malformed status'],
  ['RFC 9112 4: three digits', 'HTTP/1.1 2000 OK\r\n', 'no space after the status'],
  ['RFC 9112 4: three digits', 'HTTP/1.1 20x OK\r\n', 'malformed status'],
  ['RFC 9112 4: three digits', 'HTTP/1.1 +20 OK\r\n', 'malformed status'],
  ['RFC 9110 15: 100 to 599', 'HTTP/1.1 099 OK\r\n', 'status out of range'],
  ['RFC 9110 15: 100 to 599', 'HTTP/1.1 000 OK\r\n', 'status out of range'],
  ['RFC 9110 15: 100 to 599', 'HTTP/1.1 600 OK\r\n', 'status out of range'],
  ['RFC 9112 4: the space after the status', 'HTTP/1.1 200\r\n', 'no space after the status'],
  ['RFC 9112 2.2: CRLF only', 'HTTP/1.1 200 OK\n', 'bare LF'],
  ['RFC 9112 2.2: CRLF only', 'HTTP/1.1 200 OK\rX: y\r\n', 'bare CR'],
  ['RFC 9112 4: no NUL in the reason', 'HTTP/1.1 200 O\0K\r\n', 'NUL byte'],
  ['RFC 9112 4: no controls in the reason', 'HTTP/1.1 200 O\x1bK\r\n', 'control character'],
  ['RFC 9112 5.1: no white space before the colon', `${OK}X-A : 1\r\n`, 'white space in or after a field name'],
  ['RFC 9112 5.2: no folding', `${OK}X-A: 1\r\n 2\r\n`, 'white space at the start of a field line'],
  ['RFC 9112 5: header injection by a bare LF', `${OK}X-A: 1\nSet-Cookie: a=b\r\n`, 'bare LF'],
  ['RFC 9112 5: header injection by a bare CR', `${OK}X-A: 1\rSet-Cookie: a=b\r\n`, 'bare CR'],
  ['RFC 9110 5.5: no NUL', `${OK}X-A: \0\r\n`, 'NUL byte'],
  ['RFC 9112 6.3: one length', `${OK}Content-Length: 1\r\nContent-Length: 2\r\n`, 'repeated Content-Length'],
  ['RFC 9112 6.3: one length', `${OK}Content-Length: 1\r\nContent-Length: 1\r\n`, 'repeated Content-Length'],
  ['RFC 9112 6.3: one length', `${OK}Content-Length: 1, 1\r\n`, 'invalid Content-Length'],
  ['RFC 9112 6.3: digits', `${OK}Content-Length: -1\r\n`, 'invalid Content-Length'],
  ['RFC 9112 6.3: digits', `${OK}Content-Length: \r\n`, 'invalid Content-Length'],
  [
    'RFC 9112 6.3: not both framings',
    `${OK}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n`,
    'Transfer-Encoding beside Content-Length',
  ],
  [
    'RFC 9112 6.3: not both framings',
    `${OK}Transfer-Encoding: chunked\r\nContent-Length: 1\r\n`,
    'Content-Length beside Transfer-Encoding',
  ],
  ['RFC 9112 6.1: codings', `${OK}Transfer-Encoding: gzip, chunked\r\n`, 'unknown transfer coding'],
  ['RFC 9112 6.1: codings', `${OK}Transfer-Encoding: identity\r\n`, 'unknown transfer coding'],
  ['RFC 9112 6.1: codings', `${OK}Transfer-Encoding: chunked, chunked\r\n`, 'invalid Transfer-Encoding'],
  [
    'RFC 9112 6.1: codings',
    `${OK}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n`,
    'repeated Transfer-Encoding',
  ],
  [
    'RFC 9112 6.1: not in HTTP/1.0',
    'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n',
    'Transfer-Encoding in HTTP/1.0',
  ],
  ['RFC 9112 6.1: no coding in 1xx', 'HTTP/1.1 100 C\r\nTransfer-Encoding: chunked\r\n\r\n', 'body where none may be'],
  ['RFC 9110 8.6: no length in 204', 'HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n', 'body where none may be'],
  ['RFC 9110 8.6: no length in 1xx', 'HTTP/1.1 103 E\r\nContent-Length: 5\r\n\r\n', 'body where none may be'],
  ['RFC 9110 7.6.1: Connection is tokens', `${OK}Connection: a b\r\n`, 'invalid Connection'],
]

for (const [section, head, detail] of REFUSED) {
  t.test(`${section}: ${JSON.stringify(head)} is refused`, async (t) => {
    const { parser, outcome } = readResponse(head)
    t.equal(outcomeName(outcome), 'refused')
    t.match(parser, { errorStatus: 502, errorReason: 'BAD_RESPONSE', errorDetail: detail })
  })
}

t.test('RFC 9112 6.3: how the body is framed', async (t) => {
  const length = 'Content-Length: 5\r\n'
  const chunked = 'Transfer-Encoding: chunked\r\n'
  for (const [method, status, fields, framing] of [
    [METHOD_GET, 200, length, FRAMING_LENGTH],
    [METHOD_GET, 200, 'Content-Length: 0\r\n', FRAMING_NONE],
    [METHOD_GET, 200, chunked, FRAMING_CHUNKED],
    [METHOD_POST, 500, '', FRAMING_UNTIL_CLOSE],
    [METHOD_HEAD, 200, length, FRAMING_NONE],
    [METHOD_HEAD, 200, chunked, FRAMING_NONE],
    [METHOD_HEAD, 200, '', FRAMING_NONE],
    [METHOD_GET, 304, length, FRAMING_NONE],
    [METHOD_GET, 304, chunked, FRAMING_NONE],
    [METHOD_GET, 204, '', FRAMING_NONE],
    [METHOD_GET, 204, 'Content-Length: 0\r\n', FRAMING_NONE],
    [METHOD_GET, 100, '', FRAMING_NONE],
    [METHOD_GET, 205, length, FRAMING_LENGTH],
  ] as const) {
    const { parser, outcome } = readResponse(`HTTP/1.1 ${status} X\r\n${fields}\r\n`)
    t.equal(outcomeName(outcome), 'complete')
    t.equal(parser.framing(method), framing, `${method} ${status} ${fields}`)
  }
  t.equal(readResponse('HTTP/1.1 204 X\r\nContent-Length: 0\r\n\r\n').parser.contentLength, -1, 'and is not passed on')
})

t.test('RFC 9112 9.3: whether the target keeps the connection, and for how long', async (t) => {
  for (const [version, fields, keepAlive, seconds] of [
    ['1.1', '', true, -1],
    ['1.1', 'Connection: close\r\n', false, -1],
    ['1.0', '', false, -1],
    ['1.0', 'Connection: keep-alive\r\n', true, -1],
    ['1.1', 'Keep-Alive: timeout=5\r\n', true, 5],
    ['1.1', 'Keep-Alive: max=100, TimeOut=15\r\n', true, 15],
    ['1.1', 'Keep-Alive: timeout=99999999999999\r\n', true, 86_400],
    ['1.1', 'Keep-Alive: timeout=\r\n', true, -1],
    ['1.1', 'Keep-Alive: timeouts=5, timeout 5\r\n', true, -1],
  ] as const) {
    const { parser } = readResponse(`HTTP/${version} 200 OK\r\n${fields}\r\n`)
    t.match(parser, { keepAlive, keepAliveTimeoutSeconds: seconds }, `${version} ${fields}`)
  }
})

t.test('RFC 9110 7.8: a switch to another protocol', async (t) => {
  const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\n'
  for (const [head, expected] of [
    [`HTTP/1.1 101 S\r\n${upgrade}`, true],
    [`HTTP/1.1 200 S\r\n${upgrade}`, false],
    [`HTTP/1.0 101 S\r\n${upgrade}`, false],
    ['HTTP/1.1 101 S\r\nConnection: Upgrade\r\n', false],
    ['HTTP/1.1 101 S\r\nUpgrade: websocket\r\n', false],
    ['HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n', true],
    [`HTTP/1.1 101 S\r\n${upgrade}Upgrade: websocket\r\n`, false],
  ] as const) {
    t.equal(readResponse(`${head}\r\n`).parser.upgrade, expected, head)
  }
})

t.test('fields that Connection names are marked', async (t) => {
  const read = readResponse(`${OK}Connection: x-hop, set-cookie\r\nX-Hop: 1\r\nSet-Cookie: a\r\n\r\n`)
  t.same(
    headersOf(read)
      .filter(([, , id]) => id === HEADER_DROPPED)
      .map(([name]) => name),
    ['X-Hop'],
  )
})

t.test('limits', async (t) => {
  const head = `${OK}X-A: 1\r\n\r\n`
  t.equal(outcomeName(readResponse(head, { ...LIMITS, maxHeaderBytes: head.length }).outcome), 'complete')
  t.match(readResponse(head, { ...LIMITS, maxHeaderBytes: head.length - 1 }).parser, { errorDetail: 'head too large' })
  t.match(readResponse(head, { ...LIMITS, maxHeaders: 0 }).parser, { errorDetail: 'too many headers' })
})

const TOLERATED: readonly [faults: number, head: string, status: number, reason: string, fields: [string, string][]][] =
  [
    [TOLERATE_SHORT_STATUS_LINE, 'HTTP/1.1 200\r\nX: y\r\n\r\n', 200, '', [['X', 'y']]],
    [TOLERATE_SHORT_STATUS_LINE, 'HTTP/1.1 204 None\r\n\r\n', 204, 'None', []],
    [
      TOLERATE_BARE_LF,
      'HTTP/1.1 200 OK\nX: y \nZ:\n\n',
      200,
      'OK',
      [
        ['X', 'y'],
        ['Z', ''],
      ],
    ],
    [
      TOLERATE_BARE_LF,
      'HTTP/1.0 404 \nX: y\r\nZ: z\n\r\n',
      404,
      '',
      [
        ['X', 'y'],
        ['Z', 'z'],
      ],
    ],
    [BOTH, 'HTTP/1.1 503\n\n', 503, '', []],
  ]

t.test('faults of the head that are tolerated change nothing else of what it says', async (t) => {
  for (const [faults, head, status, reason, fields] of TOLERATED) {
    const parser = new ResponseParser(LIMITS)
    parser.tolerate(faults)
    const read = feed(parser, bytes(head))
    t.equal(outcomeName(read.outcome), 'complete', JSON.stringify(head))
    t.match(parser, { status, headLength: head.length, keepAlive: !/[^\r]\n/.test(head) })
    t.equal(parser.text(read.buffer, read.start, parser.reasonStart, parser.reasonEnd), reason)
    t.same(
      headersOf(read).map(([name, value]) => [name, value]),
      fields,
    )
  }
})

t.test('what is tolerated is that alone', async (t) => {
  const CASES: readonly [faults: number, head: string, detail: string][] = [
    [TOLERATE_SHORT_STATUS_LINE, 'HTTP/1.1 200\n', 'bare LF'],
    [TOLERATE_SHORT_STATUS_LINE, 'HTTP/1.1 200\tOK\r\n', 'no space after the status'],
    [TOLERATE_SHORT_STATUS_LINE, 'HTTP/1.1 2000\r\n', 'no space after the status'],
    [TOLERATE_SHORT_STATUS_LINE, 'HTTP/1.1 20\r\n', 'malformed status'],
    [TOLERATE_SHORT_STATUS_LINE, 'HTTP/1.1 200\rX: y\r\n', 'bare CR'],
    [TOLERATE_SHORT_STATUS_LINE, 'HTTP/1.1 200 OK\r\nX: a\nb: c\r\n', 'bare LF'],
    [TOLERATE_BARE_LF, 'HTTP/1.1 200\n', 'no space after the status'],
    [TOLERATE_BARE_LF, 'HTTP/1.1 200 OK\nX: a\rb: c\n', 'bare CR'],
    [TOLERATE_BARE_LF, 'HTTP/1.1 200 OK\nX: a\r\r\n', 'bare CR'],
    [TOLERATE_BARE_LF, 'HTTP/1.1 200 OK\nX: a\nb\n', 'field line without a colon'],
    [TOLERATE_BARE_LF, 'HTTP/1.1 200 OK\nX: a\n b\n', 'white space at the start of a field line'],
    [TOLERATE_BARE_LF, 'HTTP/1.1 200 OK\nX: a\0b\n', 'NUL byte'],
    [TOLERATE_BARE_LF, 'HTTP/1.1 200 OK\nContent-Length: 1\nContent-Length: 2\n', 'repeated Content-Length'],
    [
      TOLERATE_BARE_LF,
      'HTTP/1.1 200 OK\nContent-Length: 1\nTransfer-Encoding: chunked\n',
      'Transfer-Encoding beside Content-Length',
    ],
    [BOTH, '\nHTTP/1.1 200\n', 'malformed status line'],
  ]
  for (const [faults, head, detail] of CASES) {
    const parser = new ResponseParser(LIMITS)
    parser.tolerate(faults)
    t.equal(outcomeName(feed(parser, bytes(`${head}\r\n`)).outcome), 'refused', JSON.stringify(head))
    t.equal(parser.errorDetail, detail)
  }
})

t.test(
  'a line feed in an interim head keeps no connection open either, and is forgotten with the request',
  async (t) => {
    const parser = new ResponseParser(LIMITS)
    const next = (head: string): boolean => {
      t.equal(outcomeName(feed(parser, bytes(head)).outcome), 'complete', JSON.stringify(head))
      return parser.keepAlive
    }
    parser.tolerate(TOLERATE_BARE_LF)
    next('HTTP/1.1 103 Early Hints\nLink: </a>\n\n')
    t.notOk(next('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'))
    parser.tolerate(TOLERATE_BARE_LF)
    t.ok(next('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'))
    parser.tolerate(0)
    t.equal(outcomeName(feed(parser, bytes('HTTP/1.1 200 OK\n\n')).outcome), 'refused')
  },
)
