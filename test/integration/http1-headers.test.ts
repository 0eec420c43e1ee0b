import { networkInterfaces } from 'node:os'
import t from 'tap'
import { castorBefore } from './support/castor.js'
import { type Fields, values } from './support/message.js'
import { get, RawClient, request } from './support/raw-client.js'
import { ok, type TargetRequest } from './support/raw-target.js'

/** The fields that begin with `x-forwarded-` or are Forwarded, sorted, names in lower case. */
function forwarded(fields: Fields): string[][] {
  return fields
    .map(([name, text]) => [name.toLowerCase(), text])
    .filter(([name]) => name!.startsWith('x-forwarded-') || name === 'forwarded')
    .sort(([a], [b]) => (a! < b! ? -1 : 1))
}

const FORGED = [
  'X-Forwarded-For: 192.0.2.1',
  'X-Forwarded-Proto: https',
  'X-Forwarded-Port: 443',
  'X-Forwarded-Host: forged.example',
  'X-Forwarded-LBIP: 192.0.2.2',
  'X-Forwarded-Client-Port: 1',
  'X-Forwarded-Server: forged',
  'Forwarded: for=192.0.2.3',
]

t.test('targets are told who the client is and what it dialled, by default', async (t) => {
  const { target, port } = await castorBefore(t)
  await request(port, get('/', FORGED))
  t.same(
    forwarded(target.requests[0]!.fields),
    [
      ['x-forwarded-for', '127.0.0.1'],
      ['x-forwarded-host', 'test'],
      ['x-forwarded-port', String(port)],
      ['x-forwarded-proto', 'http'],
    ],
    'what an untrusted client claims is replaced or dropped',
  )
})

t.test('the further headers are sent when asked for', async (t) => {
  const { target, port } = await castorBefore(
    t,
    {},
    { group: { forwarded: { vip: true, clientPort: true, rfc7239: true, via: true } } },
  )
  const client = await RawClient.connect(port)
  t.teardown(() => client.close())
  const response = await client.exchange(get('/', FORGED))
  t.same(forwarded(target.requests[0]!.fields), [
    ['forwarded', 'for=127.0.0.1;proto=http;host="test"'],
    ['x-forwarded-client-port', String(client.socket.localPort)],
    ['x-forwarded-for', '127.0.0.1'],
    ['x-forwarded-host', 'test'],
    ['x-forwarded-lbip', '127.0.0.1'],
    ['x-forwarded-port', String(port)],
    ['x-forwarded-proto', 'http'],
  ])
  t.same(values(target.requests[0]!.fields, 'via'), ['1.1 castor'])
  t.same(values(response.fields, 'via'), ['1.1 castor'])
})

t.test('none but X-Forwarded-For is sent where the file says so', async (t) => {
  const { target, port } = await castorBefore(
    t,
    {},
    { group: { forwarded: { proto: false, port: false, host: false } } },
  )
  await request(port, get('/', FORGED))
  t.same(forwarded(target.requests[0]!.fields), [['x-forwarded-for', '127.0.0.1']])
  t.same(values(target.requests[0]!.fields, 'via'), [])
})

t.test('a trusted proxy’s headers are appended to and kept', async (t) => {
  const { target, port } = await castorBefore(
    t,
    {},
    {
      listener: { trustForwardedFrom: ['127.0.0.0/8'] },
      group: { forwarded: { rfc7239: true } },
    },
  )
  await request(port, get('/', [...FORGED, 'X-Forwarded-For: 198.51.100.7']))
  t.same(forwarded(target.requests[0]!.fields), [
    ['forwarded', 'for=192.0.2.3, for=127.0.0.1;proto=http;host="test"'],
    ['x-forwarded-client-port', '1'],
    ['x-forwarded-for', '192.0.2.1, 198.51.100.7, 127.0.0.1'],
    ['x-forwarded-host', 'forged.example'],
    ['x-forwarded-lbip', '192.0.2.2'],
    ['x-forwarded-port', '443'],
    ['x-forwarded-proto', 'https'],
    ['x-forwarded-server', 'forged'],
  ])
  await request(port, get())
  t.same(forwarded(target.requests[1]!.fields).slice(0, 2), [
    ['forwarded', 'for=127.0.0.1;proto=http;host="test"'],
    ['x-forwarded-for', '127.0.0.1'],
  ])
})

t.test('names that differ from these only by an underscore are removed', async (t) => {
  const { target, port } = await castorBefore(t)
  await request(
    port,
    get('/', ['X_Forwarded_For: 192.0.2.1', 'x_forwarded-proto: https', 'X_Request-Id: a', 'X_Own: kept']),
  )
  const names = target.requests[0]!.fields.map(([name]) => name)
  t.same(
    names.filter((name) => name.includes('_')),
    ['X_Own'],
  )
})

t.test('X-Request-Id is kept where it may be, and made where not', async (t) => {
  const { castor, target, port } = await castorBefore(t, {}, { accessLog: true })
  const cases: [lines: string[], kept: string | undefined][] = [
    [['X-Request-Id: abc-123_x.y'], 'abc-123_x.y'],
    [[`X-Request-Id: ${'a'.repeat(128)}`], 'a'.repeat(128)],
    [[], undefined],
    [['X-Request-Id:'], undefined],
    [[`X-Request-Id: ${'a'.repeat(129)}`], undefined],
    [['X-Request-Id: with "quotes"'], undefined],
    [['X-Request-Id: one', 'X-Request-Id: two'], undefined],
  ]
  for (const [lines] of cases) await request(port, get('/', lines))
  const ids = target.requests.map(({ fields }) => values(fields, 'x-request-id'))
  for (const [index, [lines, kept]] of cases.entries()) {
    t.equal(ids[index]!.length, 1, `one id: ${lines}`)
    if (kept === undefined) t.match(ids[index]![0], /^[0-9a-f]{32}$/)
    else t.equal(ids[index]![0], kept)
  }
  t.equal(new Set(ids.flat()).size, cases.length, 'no two the same')
  const records = await castor.accessRecords(cases.length)
  t.same(
    records.map(({ request_id }) => request_id),
    ids.flat(),
    'the log has the ids that the targets have',
  )
})

const HOP_BY_HOP = [
  'Connection: keep-alive, X-Hop, X-Other-Hop',
  'Keep-Alive: timeout=5',
  'Proxy-Connection: keep-alive',
  'Proxy-Authorization: Basic x',
  'TE: gzip',
  'Trailer: X-T',
  'Upgrade: h2c',
  'X-Hop: 1',
  'x-other-hop: 2',
  'X-End-To-End: 3',
]

t.test('hop-by-hop headers and those that Connection names stay behind, towards the target', async (t) => {
  const { target, port } = await castorBefore(t)
  await request(port, get('/', HOP_BY_HOP))
  const { fields } = target.requests[0]!
  for (const name of ['connection', 'keep-alive', 'proxy-connection', 'te', 'upgrade', 'x-hop', 'x-other-hop']) {
    t.same(values(fields, name), [], name)
  }
  t.same(values(fields, 'x-end-to-end'), ['3'])
})

t.test('and towards the client', async (t) => {
  const { port } = await castorBefore(t, {
    answer: (_, connection) =>
      connection.write(
        ok('', [
          'Connection: X-Hop',
          'X-Hop: 1',
          'Keep-Alive: timeout=5',
          'Upgrade: h2c',
          'Proxy-Connection: x',
          'X-Kept: 2',
        ]),
      ),
  })
  const { fields } = await request(port, get())
  for (const name of ['connection', 'x-hop', 'keep-alive', 'upgrade', 'proxy-connection'])
    t.same(values(fields, name), [])
  t.same(values(fields, 'x-kept'), ['2'])
})

t.test('Connection cannot remove what routing, framing and identity rest on', async (t) => {
  const { target, port } = await castorBefore(t)
  const named = [
    'host',
    'content-length',
    'x-forwarded-for',
    'x-forwarded-proto',
    'cookie',
    'authorization',
    'x-request-id',
  ]
  await request(
    port,
    `${get('/', [`Connection: ${named.join(', ')}`, 'Cookie: a=b', 'Authorization: x', 'Content-Length: 2'], 'POST')}hi`,
  )
  const seen = target.requests[0]!
  for (const name of named) t.equal(values(seen.fields, name).length, 1, name)
  t.equal(seen.text, 'hi')
})

t.test('everything else goes through as it came, in order, bytes beyond ASCII included', async (t) => {
  const lines = [
    'user-agent: Test/1.0 (x; y)',
    'ACCEPT: */*',
    'X-Latin: caf\xe9 \xff',
    'Cookie: a=b; c=d',
    'Cookie: e=f',
    'X-Empty:',
    'X-Spaced:   two  words \t',
    "X-!#$%&'*+.^`|~9: token",
  ]
  const { target, port } = await castorBefore(t, {
    answer: (_, connection) =>
      connection.write(ok('', ['Set-Cookie: a=b', ...lines, 'Set-Cookie: c=d', 'Date: yesterday'])),
  })
  const expected = lines.map((line): [string, string] => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon), line.slice(colon + 1).trim()]
  })
  const response = await request(port, get('/', lines))
  const mine = (fields: TargetRequest['fields']): Fields =>
    fields.filter(([name]) => expected.some(([other]) => other === name))
  t.same(mine(target.requests[0]!.fields), expected)
  t.same(mine(response.fields), expected)
  t.same(values(response.fields, 'set-cookie'), ['a=b', 'c=d'])
  t.same(values(response.fields, 'date'), ['yesterday'])
})

t.test('an IPv6 client is told of as one', async (t) => {
  const loopback6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'))
  if (!loopback6) {
    t.plan(0, 'no IPv6 here')
    return
  }
  const { target, port } = await castorBefore(
    t,
    {},
    { listener: { listen: '[::1]:0' }, group: { forwarded: { rfc7239: true, vip: true } } },
  )
  const client = await RawClient.connect(port, '::1')
  t.teardown(() => client.close())
  await client.exchange(get())
  const seen = forwarded(target.requests[0]!.fields)
  t.same(seen[0], ['forwarded', 'for="[::1]";proto=http;host="test"'])
  t.same(seen[1], ['x-forwarded-for', '::1'])
  t.same(seen[3], ['x-forwarded-lbip', '::1'])
})
