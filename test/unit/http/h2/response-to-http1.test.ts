import t from 'tap'
import { ResponseToHttp1 } from '../../../../src/http/h2/response-to-http1.js'
import { PARSE_COMPLETE } from '../../../../src/http/head-layout.js'
import { ResponseParser } from '../../../../src/http/response-parser.js'
import { type Field, fieldList as listOf } from './rig.js'

const writer = new ResponseToHttp1()
const OK: Field = [':status', '200']

interface Options {
  readonly endStream?: boolean
  readonly noBody?: boolean
  readonly key?: string
}

function write(fields: readonly Field[], { endStream = false, noBody = false, key = '' }: Options = {}): boolean {
  return writer.write(listOf(fields), endStream, noBody, key)
}

const written = (): string => Buffer.from(writer.head.bytes.subarray(0, writer.head.length)).toString('latin1')

t.test('what the fields say is said in HTTP/1.1', async (t) => {
  const CASES: readonly (readonly [what: string, fields: readonly Field[], options: Options, head: string])[] = [
    ['unknown length', [OK], {}, 'HTTP/1.1 200 OK\r\n\r\n'],
    ['a length', [OK, ['content-length', '5']], {}, 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n'],
    ['no content', [OK], { endStream: true }, 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'],
    [
      'an answer to HEAD keeps its length',
      [OK, ['content-length', '5']],
      { endStream: true, noBody: true },
      'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n',
    ],
    ['204', [[':status', '204']], { endStream: true }, 'HTTP/1.1 204 No Content\r\n\r\n'],
    [
      '304 keeps its length',
      [
        [':status', '304'],
        ['content-length', '5'],
      ],
      { endStream: true },
      'HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n',
    ],
    [
      'an interim response',
      [
        [':status', '103'],
        ['link', '</a>'],
      ],
      {},
      'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n',
    ],
    [
      'a status without a name',
      [[':status', '299']],
      { endStream: true },
      'HTTP/1.1 299 \r\ncontent-length: 0\r\n\r\n',
    ],
    [
      'gRPC has trailers to come, whatever the length',
      [OK, ['content-type', 'application/grpc'], ['content-length', '5']],
      {},
      'HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\n\r\n',
    ],
    [
      'a handshake that succeeded',
      [OK, ['sec-websocket-protocol', 'chat']],
      { key: 'dGhlIHNhbXBsZSBub25jZQ==' },
      'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-protocol: chat\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n',
    ],
  ]
  for (const [what, fields, options, head] of CASES) {
    t.ok(write(fields, options), what)
    t.equal(written(), head, what)
    const parser = new ResponseParser({ maxHeaderBytes: 4096, maxHeaders: 16, maxTargetBytes: 0 })
    parser.reset()
    t.equal(parser.parse(writer.head.bytes, 0, writer.head.length), PARSE_COMPLETE, `${what}: the parser takes it`)
  }
})

t.test('fields that make no response are malformed', async (t) => {
  const CASES: readonly (readonly [what: string, fields: readonly Field[], options?: Options])[] = [
    ['no field at all', []],
    ['no :status', [['server', 'x']]],
    ['a :status that is no number', [[':status', '2x0']]],
    ['a :status of two digits', [[':status', '20']]],
    ['a :status out of range', [[':status', '600']]],
    ['101', [[':status', '101']]],
    ['an interim response that ends the stream', [[':status', '103']], { endStream: true }],
    [':status twice', [OK, OK]],
    ['a pseudo-header field of requests', [OK, [':path', '/']]],
    ['a name in upper case', [OK, ['Server', 'x']]],
    ['a value with a line end', [OK, ['server', 'x\r\ny: z']]],
    ['transfer-encoding', [OK, ['transfer-encoding', 'chunked']]],
    ['connection', [OK, ['connection', 'close']]],
    ['content-length twice', [OK, ['content-length', '1'], ['content-length', '1']]],
    ['content-length that is none', [OK, ['content-length', '-1']]],
    ['content-length without content', [OK, ['content-length', '5']], { endStream: true }],
  ]
  for (const [what, fields, options] of CASES) t.notOk(write(fields, options), what)
})
