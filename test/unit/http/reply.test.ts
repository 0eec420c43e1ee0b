import t from 'tap'
import { METHOD_GET, METHOD_HEAD } from '../../../src/http/methods.js'
import { REPLY_BOUND, type Reply, writeReply } from '../../../src/http/reply.js'
import { FRAMING_LENGTH, FRAMING_NONE } from '../../../src/http/response-parser.js'
import { bytes, headersOf, readResponse, textOf } from './heads.js'

const reply = (fields: Partial<Reply>): Reply => ({
  status: 400,
  requestId: bytes('id-1'),
  close: true,
  head: false,
  versionMinor: 1,
  ...fields,
})

const written = (fields: Partial<Reply>): string => {
  const out = new Uint8Array(REPLY_BOUND + 200)
  return textOf(out, 7, writeReply(out, 7, reply(fields)))
}

t.test('a reply is one line of text that names status and request, framed by its length', async (t) => {
  for (const [status, line] of [
    [400, '400 Bad Request (request id-1)\n'],
    [431, '431 Request Header Fields Too Large (request id-1)\n'],
    [503, '503 Service Unavailable (request id-1)\n'],
    [599, '599 Error (request id-1)\n'],
  ] as const) {
    const text = written({ status })
    const read = readResponse(text)
    const { parser } = read
    t.match(parser, { status, contentLength: line.length, keepAlive: false, chunked: false })
    t.equal(parser.framing(METHOD_GET), FRAMING_LENGTH)
    t.equal(text.slice(parser.headLength), line)
    t.equal(headersOf(read).find(([name]) => name === 'content-type')?.[1], 'text/plain; charset=utf-8')
    const date = Date.parse(headersOf(read).find(([name]) => name === 'date')?.[1] ?? '')
    t.ok(Math.abs(Date.now() - date) < 10_000, 'RFC 9110 6.6.1: with the date')
  }
})

t.test('RFC 9110 9.3.2: an answer to HEAD tells the length and has no body', async (t) => {
  const text = written({ status: 502, head: true })
  const { parser } = readResponse(text)
  t.equal(parser.headLength, text.length)
  t.equal(parser.contentLength, '502 Bad Gateway (request id-1)\n'.length)
  t.equal(parser.framing(METHOD_HEAD), FRAMING_NONE)
})

t.test('connection, retry-after and allow are said where they are due', async (t) => {
  const lines = (fields: Partial<Reply>): string[] =>
    headersOf(readResponse(written(fields)))
      .filter(([name]) => !['date', 'content-type', 'content-length'].includes(name))
      .map(([name, value]) => `${name}: ${value}`)
  t.same(lines({ close: true }), ['connection: close'])
  t.same(lines({ close: false }), [])
  t.same(lines({ close: false, versionMinor: 0 }), ['connection: keep-alive'])
  t.same(lines({ status: 503, retryAfterSeconds: 1, close: false }), ['retry-after: 1'])
  t.same(lines({ status: 405, close: false }), ['allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH, TRACE'])
})

t.test('without a request there is none to name', async (t) => {
  t.match(written({ status: 408, requestId: new Uint8Array(0) }), /\r\n\r\n408 Request Timeout\n$/)
})

t.test('the bound holds for every status, and less room is told', async (t) => {
  const requestId = bytes('i'.repeat(128))
  const out = new Uint8Array(REPLY_BOUND + requestId.length)
  for (let status = 300; status < 600; status++) {
    const end = writeReply(out, 0, reply({ status, requestId, retryAfterSeconds: 86_400, versionMinor: 0 }))
    t.ok(end > 0 && end <= out.length)
  }
  t.equal(writeReply(out, 1, reply({ requestId })), -1)
})
