import { deepStrictEqual as deepEqual } from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { FieldList } from '../../../../src/http/h2/field-list.js'
import { answerFields, requestFields, responseFields, SCHEME_HTTP } from '../../../../src/http/h2/fields-from-http1.js'
import { PARSE_COMPLETE } from '../../../../src/http/head-layout.js'
import { RequestParser } from '../../../../src/http/request-parser.js'
import { ResponseParser } from '../../../../src/http/response-parser.js'
import { type ResponseHeadOptions, writeResponseHead } from '../../../../src/http/response-writer.js'
import { SEED } from '../../../random.js'
import { type Field, fieldsOf } from './rig.js'

t.comment(`seed ${SEED}`)

const LIMITS = { maxHeaderBytes: 8192, maxHeaders: 32, maxTargetBytes: 4096 }

function fromRequest(head: string, extended = false): Field[] {
  const parser = new RequestParser(LIMITS)
  parser.reset()
  const bytes = Buffer.from(head, 'latin1')
  if (parser.parse(bytes, 0, bytes.length) !== PARSE_COMPLETE) throw new Error(parser.errorDetail)
  const list = new FieldList()
  requestFields(list, parser, bytes, 0, SCHEME_HTTP, extended)
  return fieldsOf(list)
}

function fromResponse(head: string): Field[] {
  const parser = new ResponseParser(LIMITS)
  parser.reset()
  const bytes = Buffer.from(head, 'latin1')
  if (parser.parse(bytes, 0, bytes.length) !== PARSE_COMPLETE) throw new Error(parser.errorDetail)
  const list = new FieldList()
  responseFields(list, parser, bytes, 0)
  return fieldsOf(list)
}

t.test('a request is its fields, without what concerns a connection', async (t) => {
  t.same(
    fromRequest(
      'POST /a?b HTTP/1.1\r\nHost: a.example\r\nX-Mixed: Case\r\ncontent-length: 3\r\nconnection: te\r\nte: trailers\r\n' +
        'x-forwarded-for: 1.2.3.4\r\n\r\n',
    ),
    [
      [':method', 'POST'],
      [':scheme', 'http'],
      [':authority', 'a.example'],
      [':path', '/a?b'],
      ['x-mixed', 'Case'],
      ['content-length', '3'],
      ['x-forwarded-for', '1.2.3.4'],
      ['te', 'trailers'],
    ],
  )
  t.same(fromRequest('GET / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\n\r\n').slice(4), [])
})

t.test('a WebSocket handshake is an extended CONNECT, or a GET where the target takes none', async (t) => {
  const head =
    'GET /chat HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n' +
    'connection: upgrade\r\nupgrade: websocket\r\n\r\n'
  t.same(fromRequest(head, true), [
    [':method', 'CONNECT'],
    [':protocol', 'websocket'],
    [':scheme', 'http'],
    [':authority', 'a'],
    [':path', '/chat'],
    ['sec-websocket-version', '13'],
  ])
  t.same(fromRequest(head).slice(0, 1), [[':method', 'GET']])
})

t.test('a response is its fields, without what concerns a connection', async (t) => {
  t.same(
    fromResponse(
      'HTTP/1.1 404 Gone Fishing\r\nServer: x\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nConnection: close\r\n' +
        'Keep-Alive: timeout=5\r\nTrailer: grpc-status\r\nTransfer-Encoding: chunked\r\n\r\n',
    ),
    [
      [':status', '404'],
      ['server', 'x'],
      ['set-cookie', 'a=1'],
      ['set-cookie', 'b=2'],
      ['trailer', 'grpc-status'],
    ],
  )
  t.same(fromResponse('HTTP/1.1 103 \r\nlink: </a>\r\n\r\n'), [
    [':status', '103'],
    ['link', '</a>'],
  ])
  t.same(
    fromResponse(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n' +
        'Sec-WebSocket-Protocol: chat\r\n\r\n',
    ),
    [
      [':status', '200'],
      ['sec-websocket-protocol', 'chat'],
    ],
  )
})

const NAMES = [
  ...[
    'Content-Type',
    'Set-Cookie',
    'X-Mixed',
    'connection',
    'keep-alive',
    'te',
    'trailer',
    'upgrade',
    'proxy-connection',
  ],
  ...[
    'via',
    'date',
    'Strict-Transport-Security',
    'x-forwarded-for',
    'content_length',
    'transfer_encoding',
    'proxy-authenticate',
  ],
]
const VALUES = ['a', 'x-mixed', 'close, te', 'a=1; Path=/', ' spaced \t', '', '\x80\xff', 'websocket']
const anyHeaders = fc.array(fc.tuple(fc.constantFrom(...NAMES), fc.constantFrom(...VALUES)), { maxLength: 8 })
const anyOptions = fc.record({
  clientMinor: fc.constant<1>(1),
  close: fc.constant(true),
  keepAliveHeader: fc.constant(false),
  via: fc.boolean(),
  extraLines: fc.constantFrom(undefined, Buffer.from('set-cookie: CASTOR-a=1; Path=/\r\nX-Other: 2\r\n')),
  hstsLine: fc.constantFrom(undefined, Buffer.from('strict-transport-security: max-age=1\r\n')),
})

t.test('an answer has the fields that its head as HTTP/1.1 would have had', async () => {
  const list = new FieldList()
  fc.assert(
    fc.property(
      fc.constantFrom('200 OK', '204 No Content', '304 Not Modified', '404 ', '426 Upgrade Required', '599 x'),
      fc.constantFrom('1.0', '1.1'),
      fc.constantFrom('', 'content-length: 7\r\n', 'Transfer-Encoding: chunked\r\n'),
      anyHeaders,
      anyOptions,
      (status, version, framing, headers, rest) => {
        const lines = headers.map(([name, value]) => `${name}:${value}\r\n`).join('')
        const head = Buffer.from(`HTTP/${version} ${status}\r\n${lines}${framing}\r\n`, 'latin1')
        const parser = new ResponseParser(LIMITS)
        parser.reset()
        if (parser.parse(head, 0, head.length) !== PARSE_COMPLETE) return
        const added = Buffer.from('x-added: 1\r\n')
        const options: ResponseHeadOptions = { ...rest, chunked: parser.contentLength < 0, added, addedLength: 12 }
        const out = new Uint8Array(4096)
        const end = writeResponseHead(out, 0, parser, head, 0, options)
        answerFields(list, parser, head, 0, options, false)
        deepEqual(fieldsOf(list), fromResponse(Buffer.from(out.subarray(0, end)).toString('latin1')))
      },
    ),
    { seed: SEED, numRuns: 1000 },
  )
})

t.test('an answer of trailers alone has nothing that speaks of a body', async (t) => {
  const parser = new ResponseParser(LIMITS)
  const head = Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 0\r\ngrpc-status: 12\r\n\r\n')
  const list = new FieldList()
  const options = {
    clientMinor: 1,
    chunked: false,
    close: true,
    keepAliveHeader: false,
    via: true,
    added: new Uint8Array(0),
    addedLength: 0,
  } as const
  for (const bare of [true, false]) {
    parser.reset()
    t.equal(parser.parse(head, 0, head.length), PARSE_COMPLETE)
    answerFields(list, parser, head, 0, options, bare)
    t.same(fieldsOf(list), [
      [':status', '200'],
      ['grpc-status', '12'],
      ...(bare ? [] : [['content-length', '0']]),
      ['via', '1.1 castor'],
    ])
  }
})
