import t from 'tap'
import { castorBefore } from './support/castor.js'
import { get, RawClient, request } from './support/raw-client.js'
import { answer, ok } from './support/raw-target.js'
import { eventually, timed } from './support/waiting.js'

const LINE = /^(\d{3}) [A-Z][A-Za-z -]+ \(request ([0-9a-f]{32})\)\n$/

interface Refusal {
  readonly name: string
  readonly bytes: string
  readonly status: number
  readonly reason: string
}

const REFUSED: readonly Refusal[] = [
  { name: 'no request line', bytes: 'hello\r\n\r\n', status: 400, reason: 'BAD_REQUEST' },
  { name: 'no Host', bytes: 'GET / HTTP/1.1\r\n\r\n', status: 400, reason: 'BAD_REQUEST' },
  { name: 'two Hosts', bytes: get('/', ['Host: other']), status: 400, reason: 'BAD_REQUEST' },
  { name: 'bare LF', bytes: 'GET / HTTP/1.1\nHost: a\n\n', status: 400, reason: 'BAD_REQUEST' },
  { name: 'a folded line', bytes: get('/', ['X-A: b', ' c']), status: 400, reason: 'BAD_REQUEST' },
  { name: 'a space before the colon', bytes: get('/', ['X-A : b']), status: 400, reason: 'BAD_REQUEST' },
  {
    name: 'two lengths',
    bytes: get('/', ['Content-Length: 1', 'Content-Length: 1'], 'POST'),
    status: 400,
    reason: 'BAD_REQUEST',
  },
  {
    name: 'length and chunks',
    bytes: get('/', ['Content-Length: 1', 'Transfer-Encoding: chunked'], 'POST'),
    status: 400,
    reason: 'BAD_REQUEST',
  },
  {
    name: 'broken chunks',
    bytes: `${get('/', ['Transfer-Encoding: chunked'], 'POST')}zz\r\n`,
    status: 400,
    reason: 'BAD_BODY',
  },
  {
    name: 'an unknown transfer coding',
    bytes: get('/', ['Transfer-Encoding: gzip, chunked'], 'POST'),
    status: 501,
    reason: 'TRANSFER_CODING_UNKNOWN',
  },
  { name: 'CONNECT', bytes: 'CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n', status: 405, reason: 'METHOD_NOT_ALLOWED' },
  { name: 'version 2', bytes: 'GET / HTTP/2.0\r\nHost: a\r\n\r\n', status: 505, reason: 'BAD_VERSION' },
  { name: 'a long target', bytes: get(`/${'a'.repeat(9_000)}`), status: 414, reason: 'TARGET_LINE_TOO_LONG' },
  {
    name: 'an oversized head',
    bytes: get('/', [`X-A: ${'a'.repeat(40_000)}`]),
    status: 431,
    reason: 'HEADER_TOO_LARGE',
  },
  {
    name: 'too many headers',
    bytes: get(
      '/',
      Array.from({ length: 200 }, (_, i) => `X-${i}: a`),
    ),
    status: 431,
    reason: 'TOO_MANY_HEADERS',
  },
]

t.test('what cannot be taken is answered in one line, and the connection closed', async (t) => {
  const { castor, target, port } = await castorBefore(t, {}, { accessLog: true })
  for (const { name, bytes, status } of REFUSED) {
    const client = await RawClient.connect(port)
    // An ordinary request before it: the refusal concerns no other.
    t.equal((await client.exchange(get('/before'))).status, 200, name)
    client.send(bytes)
    const response = await client.response()
    t.equal(response.status, status, name)
    t.equal(response.header('connection'), 'close', name)
    t.equal(response.framing, 'length', name)
    const [, said] = LINE.exec(response.text) ?? []
    t.equal(said, String(status), `${name}: ${JSON.stringify(response.text)}`)
    if (status === 405) t.match(response.header('allow'), /GET/)
    t.equal(await client.ending(), 'end', name)
    t.equal(client.reader.waiting, 0, `${name}: nothing more`)
    client.close()
  }
  t.equal(target.requests.length, REFUSED.length, 'none of them reached the target whole')
  const records = await castor.accessRecords(REFUSED.length * 2)
  t.same(
    records.filter(({ status }) => status !== 200).map(({ status, reason }) => [status, reason]),
    REFUSED.map(({ status, reason }) => [status, reason]),
  )
})

t.test('a client that is still sending can read the refusal', async (t) => {
  const { port } = await castorBefore(t)
  const rest = Buffer.alloc(700_000, 'x')
  for (const { name, bytes, status } of REFUSED) {
    const client = await RawClient.connect(port)
    client.send(bytes)
    client.send(rest)
    // Reads only when all of it has left: by then a connection closed on unread bytes would have been reset.
    await eventually('all is sent', () => client.socket.writableLength === 0)
    t.equal((await client.response()).status, status, name)
    t.equal(await client.ending(), 'end', name)
    client.close()
  }
})

t.test('the refusal of one pipelined request comes behind the answers to those before it', async (t) => {
  const { target, port } = await castorBefore(t)
  const client = await RawClient.connect(port)
  client.send(`${get('/1')}${get('/2')}BAD\r\n\r\n${get('/3')}`)
  t.equal((await client.response()).text, '/1')
  t.equal((await client.response()).text, '/2')
  t.equal((await client.response()).status, 400)
  t.equal(await client.ending(), 'end')
  t.equal(target.requests.length, 2)
})

t.test('a head that takes longer than headerTimeout is answered 408', async (t) => {
  const { castor, port } = await castorBefore(t, {}, { protection: { headerTimeout: '300ms' }, accessLog: true })
  const client = await RawClient.connect(port)
  const begun = timed(client.response())
  // A byte now and then does not help: the time is that of the whole head.
  for (const byte of 'GET / HTTP/1.1\r\nHost: ') {
    if (client.reader.total > 0) break
    client.send(byte)
    await new Promise((resolve) => setTimeout(resolve, 30))
  }
  const { ms, value: response } = await begun
  t.equal(response.status, 408)
  t.equal(response.header('connection'), 'close')
  t.ok(ms >= 280 && ms < 1_500, `after ${Math.round(ms)} ms`)
  t.equal(await client.ending(), 'end')
  t.match(await castor.accessRecords(1), [{ status: 408, reason: 'HEADER_TIMEOUT' }])
})

t.test('a connection between requests may be silent longer than headerTimeout', async (t) => {
  const { port } = await castorBefore(t, {}, { protection: { headerTimeout: '100ms' } })
  const client = await RawClient.connect(port)
  t.teardown(() => client.close())
  for (let i = 0; i < 2; i++) {
    // The time of somebody who began when this one fell silent is over.
    for (let waited = 0; waited < 3; waited++) t.equal((await request(port, 'GET / HTTP/1.1\r\n')).status, 408)
    t.equal((await client.exchange(get())).status, 200)
  }
})

t.test('maxHeaderBytes and maxHeaders are what the file says, to the byte and the header', async (t) => {
  const { port } = await castorBefore(t, {}, { protection: { maxHeaderBytes: '1KiB', maxHeaders: 4 } })
  const sized = (bytes: number): string => {
    const bare = get('/', ['X-A: ']).length
    return get('/', [`X-A: ${'a'.repeat(bytes - bare)}`])
  }
  t.equal((await request(port, sized(1_024))).status, 200)
  t.equal((await request(port, sized(1_025))).status, 431)
  t.equal((await request(port, get('/', ['A: 1', 'B: 2', 'C: 3']))).status, 200)
  t.equal((await request(port, get('/', ['A: 1', 'B: 2', 'C: 3', 'D: 4']))).status, 431)
})

const NONSENSE: readonly [name: string, bytes: string][] = [
  ['no status line', 'hello\r\n\r\n'],
  ['version 3', 'HTTP/3.0 200 OK\r\nContent-Length: 0\r\n\r\n'],
  ['a status of two digits', 'HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n'],
  ['a status out of range', 'HTTP/1.1 700 OK\r\nContent-Length: 0\r\n\r\n'],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'],
  ['length and chunks', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
  ['an unknown transfer coding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n'],
  ['chunks in HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
  ['a bare LF', 'HTTP/1.1 200 OK\nContent-Length: 0\n\n'],
  ['a folded line', 'HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 0\r\n\r\n'],
  ['a space before the colon', 'HTTP/1.1 200 OK\r\nX-A : b\r\nContent-Length: 0\r\n\r\n'],
  ['a NUL in a value', 'HTTP/1.1 200 OK\r\nX-A: \0\r\nContent-Length: 0\r\n\r\n'],
  ['a length on 204', 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello'],
  [
    'a switch of protocols that nobody asked for',
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
  ],
  ['an oversized head', `HTTP/1.1 200 OK\r\nX-A: ${'a'.repeat(40_000)}\r\nContent-Length: 0\r\n\r\n`],
]

t.test('a target’s nonsense is answered 502 as BAD_RESPONSE, and its connection given up', async (t) => {
  const { castor, target, port } = await castorBefore(
    t,
    {
      answer: (request, connection) => connection.write(NONSENSE[Number(request.target.slice(1))]?.[1] ?? ok()),
    },
    { accessLog: true },
  )
  const client = await RawClient.connect(port)
  t.teardown(() => client.close())
  for (const [index, [name]] of NONSENSE.entries()) {
    const response = await client.exchange(get(`/${index}`))
    t.equal(response.status, 502, name)
    t.match(response.text, LINE, name)
    t.equal(response.header('connection'), undefined, `${name}: the client is not to blame`)
    await target.connections[index]!.ending(1_000)
  }
  t.equal((await client.exchange(get('/fine'))).status, 200)
  const records = await castor.accessRecords(NONSENSE.length + 1)
  for (const record of records.slice(0, -1)) {
    t.match(record, { status: 502, reason: 'BAD_RESPONSE', target: target.address })
  }
})

t.test('chunks that break behind the head cut the response', async (t) => {
  let goOn = (): unknown => undefined
  const { castor, port } = await castorBefore(
    t,
    {
      answer: (_, connection) => {
        connection.write(answer('200 OK', ['Transfer-Encoding: chunked'], '5\r\nhello\r\n'))
        goOn = () => connection.write('nonsense\r\n')
      },
    },
    { accessLog: true },
  )
  for (const version of ['1.1', '1.0']) {
    const client = await RawClient.connect(port)
    client.send(`GET / HTTP/${version}\r\nHost: a\r\n\r\n`)
    await eventually('hello is here', () => client.reader.has('hello'))
    goOn()
    await t.rejects(client.response(), { message: /^cut short/ }, version)
    client.close()
  }
  t.match(await castor.accessRecords(2), [
    { status: 200, reason: 'BAD_RESPONSE' },
    { status: 200, reason: 'BAD_RESPONSE' },
  ])
})

t.test(
  'the answers of the balancer to HEAD have no body, and none to HTTP/1.0 keeps the connection unasked',
  async (t) => {
    const { port } = await castorBefore(t, { answer: (_, connection) => connection.write('nonsense\r\n\r\n') })
    const client = await RawClient.connect(port)
    t.teardown(() => client.close())
    const head = await client.exchange(get('/', [], 'HEAD'))
    t.equal(head.status, 502)
    t.match(head.header('content-length'), /^[1-9]/)
    t.equal((await client.exchange(get('/'))).status, 502, 'the next answer begins where it should')
    const old = await RawClient.connect(port)
    const response = await old.exchange('GET / HTTP/1.0\r\n\r\n')
    t.equal(response.status, 502)
    t.equal(response.header('connection'), 'close')
    t.equal(await old.ending(), 'end')
  },
)
