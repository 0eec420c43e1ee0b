import { once } from 'node:events'
import { constants } from 'node:http2'
import { Client, credentials, Metadata, type ServiceError, type StatusObject, status } from '@grpc/grpc-js'
import t from 'tap'
import { type Balancer, startBalancer } from './support/balancer.js'
import { type AccessRecord, castorBefore, type Test } from './support/castor.js'
import { answerOf, connectTo } from './support/http2-peers.js'
import { request } from './support/raw-client.js'
import { answer, RawTarget, type Script } from './support/raw-target.js'
import { until } from './support/until.js'
import { within } from './support/waiting.js'

const same = (value: Buffer): Buffer => value

/** A unary call, and how it ended. */
function call(client: Client, headers: Readonly<Record<string, string>> = {}): Promise<ServiceError> {
  const metadata = new Metadata()
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value)
  return within(
    'the end of the call',
    new Promise((resolve, reject) => {
      client.makeUnaryRequest('/test.Echo/Unary', same, same, Buffer.from('x'), metadata, (error) =>
        error === null ? reject(new Error('the call succeeded')) : resolve(error),
      )
    }),
  )
}

function clientOf(t: Test, port: number): Client {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure())
  t.teardown(() => client.close())
  return client
}

interface Case {
  /** Also the name of the listener and its group. */
  readonly name: string
  readonly what: string
  readonly before: Script | readonly string[]
  readonly listener?: object
  readonly group?: object
  readonly headers?: Readonly<Record<string, string>>
  readonly code: number
  readonly http: number
  readonly text: string
  readonly reason: string
}

const CASES: readonly Case[] = [
  {
    name: 'none',
    what: 'no target',
    before: [],
    code: status.UNAVAILABLE,
    http: 503,
    text: '503 Service Unavailable: NO_TARGET',
    reason: 'NO_TARGET',
  },
  {
    name: 'refusing',
    what: 'a target that refuses the connection',
    before: ['127.0.0.1:1'],
    group: { protocol: 'h2c' },
    code: status.UNAVAILABLE,
    http: 502,
    text: '502 Bad Gateway: CONNECT_FAILED',
    reason: 'CONNECT_FAILED',
  },
  {
    name: 'resetting',
    what: 'a target that resets before it answers',
    before: { answer: (_request, connection) => connection.reset() },
    code: status.UNAVAILABLE,
    http: 502,
    text: '502 Bad Gateway: TARGET_RESET',
    reason: 'TARGET_RESET',
  },
  {
    name: 'nonsense',
    what: 'a target that answers nonsense',
    before: { answer: (_request, connection) => connection.write('SMTP ready\r\n\r\n') },
    code: status.UNAVAILABLE,
    http: 502,
    text: '502 Bad Gateway: BAD_RESPONSE',
    reason: 'BAD_RESPONSE',
  },
  {
    name: 'slow',
    what: 'a target that is too slow',
    before: { answer: () => {} },
    group: { timeouts: { response: '50ms' } },
    code: status.UNAVAILABLE,
    http: 504,
    text: '504 Gateway Timeout: RESPONSE_TIMEOUT',
    reason: 'RESPONSE_TIMEOUT',
  },
  {
    name: 'many',
    what: 'a request with too many headers',
    before: {},
    headers: Object.fromEntries(Array.from({ length: 140 }, (_, i) => [`x-${i}`, 'y'])),
    code: status.UNKNOWN,
    http: 431,
    text: '431 Request Header Fields Too Large: TOO_MANY_HEADERS',
    reason: 'TOO_MANY_HEADERS',
  },
  {
    name: 'large',
    what: 'a request with too large headers',
    before: {},
    headers: { 'x-large': 'y'.repeat(40_000) },
    code: status.UNKNOWN,
    http: 431,
    text: '431 Request Header Fields Too Large: HEADER_TOO_LARGE',
    reason: 'HEADER_TOO_LARGE',
  },
  {
    name: 'expecting',
    what: 'an expectation that nobody knows',
    before: {},
    headers: { expect: 'the unexpected' },
    code: status.UNKNOWN,
    http: 417,
    text: '417 Expectation Failed: BAD_REQUEST',
    reason: 'BAD_REQUEST',
  },
  {
    name: 'redirecting',
    what: 'a listener that sends everybody to https',
    before: {},
    listener: { redirectToHttps: true },
    code: status.UNKNOWN,
    http: 308,
    text: '308 Permanent Redirect',
    reason: '',
  },
]

/** One balancer for all cases: a listener and a group for each. */
async function allCases(t: Test): Promise<Balancer> {
  const addresses = await Promise.all(
    CASES.map(async ({ before }) => {
      if (isList(before)) return before
      const target = await RawTarget.start(before)
      t.teardown(() => target.stop())
      return [target.address]
    }),
  )
  const config = {
    workers: 1,
    listeners: CASES.map(({ name, listener }) => ({
      name,
      protocol: 'http',
      listen: '127.0.0.1:0',
      targetGroup: name,
      http2: true,
      ...listener,
    })),
    targetGroups: CASES.map(({ name, group }, i) => ({
      name,
      protocol: 'http',
      targets: addresses[i]!.map((address) => ({ address })),
      ...group,
    })),
  }
  return startBalancer(t, config, { accessLog: true })
}

const isList = (before: Script | readonly string[]): before is readonly string[] => Array.isArray(before)

const balancer = await allCases(t)
const none = balancer.portOf('none')

for (const { name, what, headers, code, http, text, reason } of CASES) {
  t.test(`gRPC: ${what} is told by grpc-status and grpc-message`, async (t) => {
    const error = await call(clientOf(t, balancer.portOf(name)), headers)
    t.equal(error.code, code)
    let record: AccessRecord | undefined
    await until('its record', async () => {
      record = (await balancer.accessRecords(0)).find(({ listener }) => listener === name)
      return record !== undefined
    })
    t.equal(error.details, `${text} (request ${record!.request_id})`)
    t.equal(record!.status, http, 'log: the status that any other client would have got')
    t.equal(record!.reason ?? '', reason)
    const labels = [`listener="${name}"`, `code="${http}"`]
    t.equal((await balancer.metrics()).sum('castor_requests_total', ...labels), 1)
  })
}

t.test('gRPC: a call that waits while Castor stops is told so', async (t) => {
  let asked = false
  const script: Script = {
    answer: () => {
      asked = true
    },
  }
  const { castor, port } = await castorBefore(t, script, { listener: { http2: true }, shutdownTimeout: '100ms' })
  const ended = call(clientOf(t, port))
  await until('the target was asked', () => asked)
  await castor.running.stop()
  const error = await ended
  t.equal(error.code, status.UNAVAILABLE)
  t.match(error.details, /^503 Service Unavailable: SHUTTING_DOWN \(request /)
})

t.test('gRPC: the id that a client gave its call is in the message', async (t) => {
  const error = await call(clientOf(t, none), { 'x-request-id': 'a+b/c=d:e~f' })
  t.equal(error.details, '503 Service Unavailable: NO_TARGET (request a+b/c=d:e~f)')
})

const fieldsOf = (type: string) => ({
  ':method': 'POST',
  ':path': '/test.Echo/Unary',
  'content-type': type,
  te: 'trailers',
})

for (const type of ['application/grpc', 'application/grpc+proto', 'Application/gRPC+json', 'application/grpc;x=y']) {
  t.test(`${type}: one HEADERS frame that ends the stream is the whole answer`, async (t) => {
    const session = await connectTo(t, none)
    const stream = session.request(fieldsOf(type), { endStream: false })
    const [fields, flags] = await within('an answer', once(stream, 'response'))
    t.equal(fields[':status'], 200)
    t.equal(fields['content-type'], 'application/grpc')
    t.equal(fields['grpc-status'], '14')
    t.match(fields['grpc-message'], /^503 Service Unavailable: NO_TARGET \(request [\w-]+\)$/)
    t.notOk('content-length' in fields, 'nothing that speaks of a body')
    t.ok((flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0, 'Trailers-Only')
    stream.close()
  })
}

t.test('what is not gRPC is answered in text', async (t) => {
  const session = await connectTo(t, none)
  // The last two: a browser’s gRPC-Web and others have the HTTP status to go by, and may not be let see other fields.
  for (const type of ['application/json', 'application/grpc-web+proto', 'application/grpcx', 'text/application/grpc']) {
    const answered = await answerOf(session.request(fieldsOf(type)))
    t.equal(answered.status, 503, type)
    t.match(String(answered.body), /^503 Service Unavailable \(request /, type)
  }
  const http1 = await request(
    none,
    'POST / HTTP/1.1\r\nHost: test\r\nContent-Type: application/grpc\r\nContent-Length: 0\r\n\r\n',
  )
  t.equal(http1.status, 503, 'by HTTP/1.1 nobody speaks gRPC')
})

t.test('a stream that served a gRPC call and is used again answers the next one in its own way', async (t) => {
  const session = await connectTo(t, none)
  for (const type of ['application/grpc', 'application/json', 'application/grpc']) {
    const answered = await answerOf(session.request(fieldsOf(type)))
    t.equal(answered.status, type === 'application/json' ? 503 : 200, type)
  }
})

t.test('gRPC: a target that is cut after its answer began never looks like success', async (t) => {
  const lines = ['Content-Type: application/grpc', 'Transfer-Encoding: chunked']
  const script: Script = {
    answer: (_request, connection) => {
      connection.write(answer('200 OK', lines, '6\r\n\0\0\0\0\x01a\r\n'))
      connection.end()
    },
  }
  const { castor, port } = await castorBefore(t, script, { listener: { http2: true }, accessLog: true })
  const stream = clientOf(t, port).makeServerStreamRequest('/test.Echo/Count', same, same, Buffer.from('x'))
  const messages: Buffer[] = []
  stream.on('data', (message: Buffer) => messages.push(message))
  stream.on('error', () => {})
  const end = await within('the end', new Promise<StatusObject>((resolve) => stream.on('status', resolve)))
  t.equal(end.code, status.INTERNAL)
  t.match(end.details, /RST_STREAM with code 2/)
  t.same(messages, [Buffer.from('a')], 'what came before is delivered')
  const [record] = await castor.accessRecords(1)
  t.match(record, { status: 200, reason: 'TARGET_CUT' })
})
