import { deepStrictEqual as deepEqual } from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { REQUEST_READY, RequestToHttp1 } from '../../../../src/http/h2/request-to-http1.js'
import { ResponseToHttp1 } from '../../../../src/http/h2/response-to-http1.js'
import { HEADER_STRIDE, type HeadLimits } from '../../../../src/http/head-layout.js'
import { RequestParser } from '../../../../src/http/request-parser.js'
import { ResponseParser } from '../../../../src/http/response-parser.js'
import { SEED } from '../../../random.js'
import { type Field, fieldList as listOf } from './rig.js'

t.comment(`seed ${SEED}`)

const NAMES = [
  ...[
    'accept',
    'x-a',
    'x_a',
    'cookie',
    'cookie',
    'host',
    'user-agent',
    'x-request-id',
    'x-forwarded-for',
    'x_forwarded_for',
  ],
  ...[
    'authorization',
    'expect',
    'te',
    'content-type',
    'content_length',
    'transfer_encoding',
    'x-forwarded-host',
    'upgrade-x',
  ],
  ...['forwarded', 'http2-settings', 'content-length', 'proxy-authorization', 'sec-websocket-key'],
]
const VALUES = [
  '',
  'a',
  'a b',
  'trailers',
  '100-continue',
  'a.example',
  '5',
  '0',
  'NTLM x',
  'Negotiate',
  'a=1',
  '\x80\xff',
  'x\ty',
]
const TARGETS = ['/', '/a?b=c', '/%41', '/%4', '/%00', '*', '/a^|`', '/a?{}', `/${'x'.repeat(60)}`]

const field = fc.tuple(fc.constantFrom(...NAMES), fc.oneof(fc.constantFrom(...VALUES), fc.string({ maxLength: 12 })))
const request = fc.record({
  method: fc.constantFrom('GET', 'POST', 'OPTIONS', 'CONNECT', 'PUT', 'brew'),
  authority: fc.constantFrom('a.example', 'a.example:8080', '[::1]', 'a@b', '', 'a:b:c', undefined),
  path: fc.constantFrom(...TARGETS),
  more: fc.array(field, { maxLength: 9 }),
  endStream: fc.boolean(),
})
const limits = fc.record({
  maxHeaderBytes: fc.integer({ min: 20, max: 400 }),
  maxHeaders: fc.integer({ min: 1, max: 12 }),
  maxTargetBytes: fc.constantFrom(10, 64, 400),
})

/** All that a parser says of a head. */
function said(parser: RequestParser | ResponseParser): Record<string, unknown> {
  const { headers, headerCount, errorStatus } = parser
  const all = Object.fromEntries(Object.entries(parser).filter(([, value]) => typeof value !== 'object'))
  // What has been read of a head that is refused is of no meaning.
  if (errorStatus !== 0) return { errorStatus, errorReason: parser.errorReason, errorDetail: parser.errorDetail }
  return { ...all, headers: [...headers.subarray(0, headerCount * HEADER_STRIDE)] }
}

const writer = new RequestToHttp1()

/** Undefined where the fields make no request by RFC 9113. */
function bothWays(fields: readonly Field[], endStream: boolean, bounds: HeadLimits): [unknown, unknown] | undefined {
  if (writer.write(listOf(fields), endStream) !== REQUEST_READY) return undefined
  const { head, lines } = writer
  // Somewhere in a buffer, as in the arena.
  const start = 7
  const buffer = new Uint8Array(head.length + 20).fill(0x0d)
  buffer.set(head.bytes.subarray(0, head.length), start)
  const words = new Int32Array(lines.count * HEADER_STRIDE + 3)
  words.set(lines.words.subarray(0, lines.count * HEADER_STRIDE), 3)
  const [read, adopted] = [new RequestParser(bounds), new RequestParser(bounds)]
  const outcome = read.parse(buffer, start, start + head.length)
  deepEqual(adopted.adopt(buffer, start, start + head.length, words, 3, lines.count), outcome)
  deepEqual(adopted.parse(buffer, start, start + head.length), outcome, 'and says so again')
  return [said(adopted), said(read)]
}

t.test('a head whose lines are known is what it is when it is read, and refused for the same', async (t) => {
  const outcomes = new Map<string, number>()
  fc.assert(
    fc.property(request, limits, fc.boolean(), ({ method, authority, path, more, endStream }, small, bounded) => {
      const fields: Field[] = [
        [':method', method],
        ...(method === 'CONNECT'
          ? []
          : ([
              [':scheme', 'http'],
              [':path', path],
            ] as const)),
        ...(authority === undefined ? [] : ([[':authority', authority]] as const)),
        ...more,
      ]
      const bounds = bounded ? small : { maxHeaderBytes: 8192, maxHeaders: 64, maxTargetBytes: 400 }
      const both = bothWays(fields, endStream, bounds)
      if (both === undefined) return
      deepEqual(both[0], both[1])
      const { errorReason } = both[0] as { errorReason: string }
      outcomes.set(errorReason, (outcomes.get(errorReason) ?? 0) + 1)
    }),
    { seed: SEED, numRuns: 4000 },
  )
  t.comment(JSON.stringify([...outcomes]))
  for (const outcome of ['NONE', 'BAD_REQUEST', 'HEADER_TOO_LARGE', 'TOO_MANY_HEADERS', 'TARGET_LINE_TOO_LONG'])
    t.ok((outcomes.get(outcome) ?? 0) > 20, `${outcome} was among them`)
})

t.test('of a WebSocket handshake no lines are known', async (t) => {
  const fields: Field[] = [
    [':method', 'CONNECT'],
    [':protocol', 'websocket'],
    [':scheme', 'https'],
    [':path', '/chat'],
    [':authority', 'a.example'],
  ]
  t.equal(writer.write(listOf(fields), false), REQUEST_READY)
  t.equal(writer.lines.count, 0)
})

t.test('more lines than there was room for are all known', async (t) => {
  const many: Field[] = Array.from({ length: 100 }, (_, index) => [`x-${index}`, 'v'])
  const fields: Field[] = [[':method', 'GET'], [':scheme', 'http'], [':path', '/'], [':authority', 'a'], ...many]
  const both = bothWays(fields, true, { maxHeaderBytes: 8192, maxHeaders: 200, maxTargetBytes: 400 })!
  t.same(both[0], both[1])
  t.equal((both[0] as { headerCount: number }).headerCount, 102)
})

const answers = new ResponseToHttp1()
const ANSWER_FIELDS = [
  ...['server', 'x-a', 'x_a', 'set-cookie', 'set-cookie', 'content-type', 'content-length', 'content_length'],
  ...['www-authenticate', 'proxy-authenticate', 'trailer', 'upgrade-x', 'keep_alive', 'strict-transport-security'],
]
const answer = fc.record({
  status: fc.constantFrom('200', '204', '304', '103', '199', '404', '426', '599'),
  more: fc.array(fc.tuple(fc.constantFrom(...ANSWER_FIELDS), fc.constantFrom(...VALUES, 'application/grpc')), {
    maxLength: 9,
  }),
  endStream: fc.boolean(),
  noBody: fc.boolean(),
})

t.test('an answer’s head whose lines are known is what it is when it is read, and refused for the same', async (t) => {
  const outcomes = new Map<string, number>()
  const run = fc.property(answer, limits, fc.boolean(), ({ status, more, endStream, noBody }, small, bounded) => {
    const fields: Field[] = [[':status', status], ...more]
    if (!answers.write(listOf(fields), endStream, noBody, '')) return
    const { head, lines } = answers
    const bounds = bounded ? small : { maxHeaderBytes: 8192, maxHeaders: 64, maxTargetBytes: 400 }
    const [read, adopted] = [new ResponseParser(bounds), new ResponseParser(bounds)]
    const outcome = read.parse(head.bytes, 0, head.length)
    deepEqual(adopted.adopt(head.bytes, 0, head.length, lines.words, lines.count), outcome)
    deepEqual(said(adopted), said(read))
    const text = Buffer.from(head.bytes.subarray(0, head.length)).toString('latin1')
    const framed = /^content-length: /m.test(text)
    if (adopted.errorStatus === 0)
      deepEqual(answers.untilEnd && framed, false, 'what ends with its stream has no length')
    const seen = adopted.errorDetail || 'taken'
    outcomes.set(seen, (outcomes.get(seen) ?? 0) + 1)
  })
  fc.assert(run, { seed: SEED, numRuns: 4000 })
  t.comment(JSON.stringify([...outcomes]))
  for (const outcome of ['taken', 'head too large', 'too many headers'])
    t.ok((outcomes.get(outcome) ?? 0) > 20, `${outcome} was among them`)
})

t.test('of an answered WebSocket handshake no lines are known', async (t) => {
  t.ok(
    answers.write(
      listOf([
        [':status', '200'],
        ['server', 'x'],
      ]),
      false,
      false,
      'dGhlIHNhbXBsZSBub25jZQ==',
    ),
  )
  t.equal(answers.lines.count, 0)
})
