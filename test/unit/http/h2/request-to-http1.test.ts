import t from 'tap'
import {
  REQUEST_MALFORMED,
  REQUEST_READY,
  REQUEST_UNKNOWN_PROTOCOL,
  RequestToHttp1,
} from '../../../../src/http/h2/request-to-http1.js'
import { PARSE_COMPLETE, PARSE_REFUSED, RequestParser } from '../../../../src/http/request-parser.js'
import { type Field, fieldList as listOf } from './rig.js'

const GET: readonly Field[] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':authority', 'a.example'],
  [':path', '/x?y=1'],
]
const with_ = (...more: Field[]): Field[] => [...GET, ...more]
const without = (name: string, ...more: Field[]): Field[] => [...GET.filter(([other]) => other !== name), ...more]
const instead = (name: string, value: string): Field[] =>
  GET.map(([other, old]) => [other, other === name ? value : old] as const)

const writer = new RequestToHttp1()
const LIMITS = { maxHeaderBytes: 32_768, maxHeaders: 128, maxTargetBytes: 8_192 }

function headOf(fields: readonly Field[], endStream = true): string {
  const outcome = writer.write(listOf(fields), endStream)
  if (outcome !== REQUEST_READY) throw new Error(`outcome ${outcome}: ${writer.detail}`)
  return Buffer.from(writer.head.bytes.subarray(0, writer.head.length)).toString('latin1')
}

/** What the HTTP/1.1 parser says of the head: 0 = complete, else the status. */
function parsed(fields: readonly Field[], endStream = true): { status: number; parser: RequestParser } {
  headOf(fields, endStream)
  const parser = new RequestParser(LIMITS)
  parser.reset()
  const outcome = parser.parse(writer.head.bytes, 0, writer.head.length)
  if (outcome !== PARSE_COMPLETE && outcome !== PARSE_REFUSED) throw new Error('half a head')
  return { status: outcome === PARSE_COMPLETE ? 0 : parser.errorStatus, parser }
}

t.test('what the fields say is said in HTTP/1.1', async (t) => {
  const CASES: readonly (readonly [what: string, fields: readonly Field[], endStream: boolean, head: string])[] = [
    ['a plain GET', GET, true, 'GET /x?y=1 HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n'],
    [
      'Host stands in for :authority',
      without(':authority', ['host', 'b.example']),
      true,
      'GET /x?y=1 HTTP/1.1\r\nhost: b.example\r\nconnection: close\r\n\r\n',
    ],
    [
      'a Host that says the same as :authority is one',
      with_(['host', 'A.example']),
      true,
      'GET /x?y=1 HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n',
    ],
    [
      'crumbs of a cookie become one field (8.2.3)',
      with_(['cookie', 'a=1'], ['accept', '*/*'], ['cookie', 'b=2'], ['cookie', 'c=3']),
      true,
      'GET /x?y=1 HTTP/1.1\r\nhost: a.example\r\naccept: */*\r\ncookie: a=1; b=2; c=3\r\nconnection: close\r\n\r\n',
    ],
    [
      'te: trailers goes on (8.2.2)',
      with_(['te', 'trailers']),
      true,
      'GET /x?y=1 HTTP/1.1\r\nhost: a.example\r\nte: trailers\r\nconnection: close\r\n\r\n',
    ],
    [
      'a length is kept',
      with_(['content-length', '5']),
      false,
      'GET /x?y=1 HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\ncontent-length: 5\r\n\r\n',
    ],
    [
      'content of unknown length is chunked',
      GET,
      false,
      'GET /x?y=1 HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n',
    ],
    [
      'an empty field is one',
      with_(['x-empty', '']),
      true,
      'GET /x?y=1 HTTP/1.1\r\nhost: a.example\r\nx-empty: \r\nconnection: close\r\n\r\n',
    ],
    [
      'OPTIONS *',
      [
        [':method', 'OPTIONS'],
        [':scheme', 'https'],
        [':path', '*'],
        [':authority', 'a.example'],
      ],
      true,
      'OPTIONS * HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n',
    ],
  ]
  for (const [what, fields, endStream, head] of CASES) {
    t.equal(headOf(fields, endStream), head, what)
    t.equal(parsed(fields, endStream).status, 0, `${what}: a head that the parser takes`)
  }
})

t.test('fields that make no request are malformed', async (t) => {
  const CASES: readonly (readonly [what: string, fields: readonly Field[], endStream?: boolean])[] = [
    ['8.3: a pseudo-header field behind another field', without(':path', ['accept', '*/*'], [':path', '/'])],
    ['8.3: an unknown pseudo-header field', [[':foo', 'x'], ...GET]],
    ['8.3: a pseudo-header field of responses', [...GET, [':status', '200']]],
    ['8.3: a pseudo-header field twice', [...GET, [':path', '/']]],
    ['8.3: a pseudo-header field in upper case', [...without(':path'), [':PATH', '/']]],
    ['8.3.1: no :method', without(':method')],
    ['8.3.1: an empty :method', instead(':method', '')],
    ['8.3.1: a :method with a space', instead(':method', 'GET /')],
    ['8.3.1: no :scheme', without(':scheme')],
    ['8.3.1: an empty :scheme', instead(':scheme', '')],
    ['8.3.1: another :scheme', instead(':scheme', 'ftp')],
    ['8.3.1: no :path', without(':path')],
    ['8.3.1: an empty :path', instead(':path', '')],
    ['8.3.1: a :path that is none', instead(':path', 'http://b.example/')],
    ['8.3.1: a :path with a space', instead(':path', '/ HTTP/1.1')],
    ['8.3.1: a :path with a line end', instead(':path', '/\r\nx: y')],
    ['8.3.1: a :path with a NUL', instead(':path', '/\0')],
    ['8.3.1: an :authority with a line end', instead(':authority', 'a\r\nx: y')],
    ['8.3.1: :authority and Host differ', with_(['host', 'b.example'])],
    ['8.3.1: Host twice', with_(['host', 'a.example'], ['host', 'a.example'])],
    ['8.2.1: a name in upper case', with_(['X-Foo', '1'])],
    ['8.2.1: an empty name', with_(['', '1'])],
    ['8.2.1: a name with a space', with_(['x foo', '1'])],
    ['8.2.1: a name with a colon', with_(['x:foo', '1'])],
    ['8.2.1: a name with a line end', with_(['x\r\ny', '1'])],
    ['8.2.1: a name beyond ASCII', with_(['x\xe9', '1'])],
    ['8.2.1: a value with CR', with_(['x', 'a\rb'])],
    ['8.2.1: a value with LF', with_(['x', 'a\nb'])],
    ['8.2.1: a value with NUL', with_(['x', 'a\0b'])],
    ['8.2.1: a value that begins with a space', with_(['x', ' a'])],
    ['8.2.1: a value that ends with a tab', with_(['x', 'a\t'])],
    ['8.2.1: a cookie with LF', with_(['cookie', 'a=1\n'])],
    ['8.2.2: connection', with_(['connection', 'close'])],
    ['8.2.2: keep-alive', with_(['keep-alive', 'timeout=5'])],
    ['8.2.2: proxy-connection', with_(['proxy-connection', 'keep-alive'])],
    ['8.2.2: transfer-encoding', with_(['transfer-encoding', 'chunked'])],
    ['8.2.2: upgrade', with_(['upgrade', 'websocket'])],
    ['8.2.2: te with more than trailers', with_(['te', 'trailers, gzip'])],
    ['8.1.1: content-length twice', with_(['content-length', '5'], ['content-length', '5']), false],
    ['8.1.1: content-length that is none', with_(['content-length', '+5']), false],
    ['8.1.1: content-length without content', with_(['content-length', '5']), true],
    [
      '8.5: CONNECT with a path',
      [
        [':method', 'CONNECT'],
        [':authority', 'a:1'],
        [':path', '/'],
        [':scheme', 'http'],
      ],
    ],
    ['8.5: CONNECT without an authority', [[':method', 'CONNECT']]],
    ['RFC 8441 4: :protocol without CONNECT', [...GET, [':protocol', 'websocket']]],
    ['no field at all', []],
  ]
  for (const [what, fields, endStream = true] of CASES) {
    t.equal(writer.write(listOf(fields), endStream), REQUEST_MALFORMED, what)
    t.match(writer.detail, /^(RFC 8441 4|8\.[\d.]+): /, `${what}: ${writer.detail}`)
  }
})

t.test('what both versions have in common is refused as HTTP/1.1 refuses it', async (t) => {
  const CASES: readonly (readonly [what: string, fields: readonly Field[], status: number])[] = [
    [
      'CONNECT',
      [
        [':method', 'CONNECT'],
        [':authority', 'a.example:443'],
      ],
      405,
    ],
    ['user information in :authority', instead(':authority', 'u:p@a.example'), 400],
    ['an escape in :authority', instead(':authority', 'a%2cb'), 400],
    ['an empty :authority', instead(':authority', ''), 400],
    ['no authority at all', without(':authority'), 400],
    ['a fragment in :path', instead(':path', '/x#y'), 400],
    ['a target that is too long', instead(':path', `/${'x'.repeat(9_000)}`), 414],
    ['too many fields', with_(...Array.from({ length: 130 }, (_, i) => [`x-${i}`, '1'] as const)), 431],
    ['an unknown expectation', with_(['expect', 'more']), 417],
  ]
  for (const [what, fields, status] of CASES) t.equal(parsed(fields).status, status, what)
})

t.test('RFC 3986 3.2.2: sub-delims in :authority are valid as they are in Host', async (t) => {
  const host = "!$&'()*+,;=:8080"
  t.equal(parsed(instead(':authority', host)).status, 0)
  t.equal(parsed(without(':authority', ['host', host])).status, 0)
})

t.test('an extended CONNECT to websocket is a handshake', async (t) => {
  const connect: Field[] = [
    [':method', 'CONNECT'],
    [':protocol', 'websocket'],
    [':scheme', 'https'],
    [':path', '/chat'],
    [':authority', 'a.example'],
    ['sec-websocket-version', '13'],
    ['sec-websocket-protocol', 'chat, superchat'],
    ['sec-websocket-extensions', 'permessage-deflate'],
    ['sec-websocket-key', 'the client has no say'],
  ]
  const { status, parser } = parsed(connect, false)
  t.equal(status, 0)
  t.ok(parser.upgradeWebSocket)
  const head = headOf(connect, false)
  t.match(head, /^GET \/chat HTTP\/1\.1\r\nhost: a\.example\r\n/)
  t.match(head, /\r\nsec-websocket-protocol: chat, superchat\r\n/)
  t.match(head, /\r\nsec-websocket-extensions: permessage-deflate\r\n/)
  t.equal(head.match(/sec-websocket-key/g)!.length, 1)
  t.match(head, new RegExp(`\r\nsec-websocket-key: ${writer.webSocketKey.replaceAll('+', '\\+')}\r\n`))
  t.equal(Buffer.from(writer.webSocketKey, 'base64').length, 16)
  t.not(headOf(connect, false), head, 'each has a key of its own')
  const other = connect.map(([name, value]) => [name, name === ':protocol' ? 'connect-udp' : value] as const)
  t.equal(writer.write(listOf(other), false), REQUEST_UNKNOWN_PROTOCOL)
})

t.test('a gRPC request is told by its type', async (t) => {
  for (const [type, grpc] of [
    ['application/grpc', true],
    ['application/grpc+proto', true],
    ['application/json', false],
    ['application/grpc-web+proto', false],
    ['application/grpcx', false],
    ['application/GRPC; x=y', true],
  ] as const) {
    headOf(with_(['content-type', type]))
    t.equal(writer.grpc, grpc, type)
  }
})
