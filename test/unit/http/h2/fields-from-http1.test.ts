import t from 'tap'
import { FieldList } from '../../../../src/http/h2/field-list.js'
import { requestFields, responseFields, SCHEME_HTTP } from '../../../../src/http/h2/fields-from-http1.js'
import { PARSE_COMPLETE } from '../../../../src/http/head-layout.js'
import { RequestParser } from '../../../../src/http/request-parser.js'
import { ResponseParser } from '../../../../src/http/response-parser.js'
import { type Field, fieldsOf } from './rig.js'

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
