import { once } from 'node:events'
import t, { type Test } from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import { type AccessRecord, castorBefore, startTestCastor, type TestCastor } from './support/castor.js'
import { get, RawClient, request } from './support/raw-client.js'
import { ok } from './support/raw-target.js'
import { refusingAddress, TcpTarget } from './support/tcp-peers.js'
import { eventually } from './support/waiting.js'

const FIELDS = [
  'time',
  'request_id',
  'listener',
  'client_ip',
  'client_port',
  'vip',
  'vport',
  'target',
  'target_group',
  'rule',
  'method',
  'scheme',
  'host',
  'uri',
  'protocol',
  'status',
  'target_status',
  'request_bytes',
  'sent_bytes',
  'request_ms',
  'connect_ms',
  'response_ms',
  'user_agent',
  'tls_version',
  'tls_cipher',
  'reason',
]

/** What is the same in every record of a test, checked once here. */
function common(t: Test, record: AccessRecord, castor: TestCastor, client: RawClient): void {
  t.same(Object.keys(record), FIELDS, 'the fields of the contract, in its order')
  t.match(record, {
    listener: 'web',
    client_ip: '127.0.0.1',
    client_port: client.socket.localPort!,
    vip: '127.0.0.1',
    vport: castor.port,
    target_group: 'app',
    scheme: 'http',
    rule: null,
    tls_version: null,
    tls_cipher: null,
  })
  const age = Date.now() - Date.parse(String(record.time))
  t.ok(age >= 0 && age < 60_000, `written when it happened: ${record.time}`)
}

t.test('a request that went well', async (t) => {
  const { castor, target, port } = await castorBefore(
    t,
    { answer: (_, connection) => connection.write(ok('hello')) },
    { accessLog: true },
  )
  const client = await RawClient.connect(port)
  t.teardown(() => client.close())
  const bytes = `${get('/a"b%20c?d=\u00e9'.replace('"', '%22').replace('\u00e9', '%C3%A9'), ['User-Agent: test "1"', 'Content-Length: 4'], 'POST')}body`
  const before = client.reader.total
  await client.exchange(bytes)
  const sent = client.reader.total - before
  await client.exchange(get('/second', ['X-Request-Id: mine']))
  const [first, second] = (await castor.accessRecords(2)) as [AccessRecord, AccessRecord]
  common(t, first, castor, client)
  t.match(first, {
    request_id: target.requests[0]!.header('x-request-id')!,
    target: target.address,
    method: 'POST',
    host: 'test',
    uri: '/a%22b%20c?d=%C3%A9',
    protocol: 'HTTP/1.1',
    status: 200,
    target_status: 200,
    request_bytes: bytes.length,
    sent_bytes: sent,
    user_agent: 'test "1"',
    reason: null,
  })
  for (const name of ['request_ms', 'connect_ms', 'response_ms']) {
    const ms = Number(first[name])
    t.ok(first[name] !== null && ms >= 0 && ms < 5_000, `${name}: ${first[name]}`)
  }
  t.ok(Number(first.request_ms) >= Number(first.response_ms))
  common(t, second, castor, client)
  t.match(second, { request_id: 'mine', uri: '/second', connect_ms: null, user_agent: null })
})

t.test('a request that no target took', async (t) => {
  const dead = await refusingAddress()
  const castor = await startTestCastor(t, [dead], { accessLog: true })
  const client = await RawClient.connect(castor.port)
  t.teardown(() => client.close())
  const response = await client.exchange(get('/dead', ['User-Agent: test']))
  const [record] = (await castor.accessRecords(1)) as [AccessRecord]
  common(t, record, castor, client)
  t.match(record, {
    target: dead,
    method: 'GET',
    uri: '/dead',
    host: 'test',
    user_agent: 'test',
    status: 502,
    target_status: null,
    sent_bytes: client.reader.total,
    response_ms: null,
    reason: 'CONNECT_FAILED',
  })
  t.ok(response.text.includes(`(request ${record.request_id})`), 'the client was told the id that the log has')
})

t.test('a refused request', async (t) => {
  const { castor, port } = await castorBefore(t, {}, { accessLog: true })
  const client = await RawClient.connect(port)
  t.teardown(() => client.close())
  const response = await client.exchange(get('/', ['Content-Length: x']))
  const [record] = (await castor.accessRecords(1)) as [AccessRecord]
  common(t, record, castor, client)
  t.match(record, { status: 400, reason: 'BAD_REQUEST', target: null, target_status: null, connect_ms: null })
  t.ok(response.text.includes(`(request ${record.request_id})`))
})

t.test('a WebSocket, when it ends', async (t) => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  t.teardown(() => server.close())
  server.on('connection', (socket) => socket.on('message', (data) => socket.send(data)))
  const { port: targetPort } = server.address() as { port: number }
  const castor = await startTestCastor(t, [`127.0.0.1:${targetPort}`], { accessLog: true })
  const socket = new WebSocket(`ws://127.0.0.1:${castor.port}/chat`)
  await once(socket, 'open')
  socket.send(Buffer.alloc(1_000))
  await once(socket, 'message')
  socket.close()
  await once(socket, 'close')
  const [record] = (await castor.accessRecords(1)) as [AccessRecord]
  t.same(Object.keys(record), FIELDS)
  t.match(record, { method: 'GET', uri: '/chat', status: 101, target_status: 101, reason: null })
  t.ok(Number(record.request_bytes) > 1_000, `bytes from the client: ${record.request_bytes}`)
  t.ok(Number(record.sent_bytes) > 1_000, `bytes to the client: ${record.sent_bytes}`)
})

t.test(
  'a target that answers nothing but nonsense is logged a few times a second, and counted each time',
  async (t) => {
    const { castor, port } = await castorBefore(t, { answer: (_, connection) => connection.write('what?\r\n\r\n') })
    const beganMs = performance.now()
    for (let n = 0; n < 200; n++) t.equal((await request(port, get())).status, 502)
    const seconds = (performance.now() - beganMs) / 1000
    const lines = castor.log.filter((line) => line.includes('target answered nonsense'))
    t.ok(lines.length >= 20 && lines.length <= 21 + seconds * 5, `${lines.length} lines in ${seconds.toFixed(1)} s`)
    const metrics = await castor.metrics()
    t.equal(metrics.get('castor_server_errors_total{listener="web",reason="BAD_RESPONSE"}'), 200)
  },
)

t.test('a target that is to speak HTTP/2 and answers nonsense does not fill the log', async (t) => {
  const target = await TcpTarget.start(t, (socket) => void socket.once('data', () => socket.end('what?\r\n\r\n')))
  const group = { protocol: 'h2c', outlierDetection: 'off', retries: 'off' }
  const castor = await startTestCastor(t, [target.address], { group })
  const beganMs = performance.now()
  for (let n = 0; n < 100; n++) t.equal((await request(castor.port, get())).status, 502)
  const seconds = (performance.now() - beganMs) / 1000
  const lines = castor.log.filter((line) => line.includes('HTTP/2 connection to a target failed'))
  t.ok(lines.length >= 20 && lines.length <= 21 + seconds * 5, `${lines.length} lines in ${seconds.toFixed(1)} s`)
})

t.test('/metrics agrees with what was sent', async (t) => {
  const { castor, target, port } = await castorBefore(t, {
    answer: (request, connection) => connection.write(ok('x'.repeat(1_000), [], `${request.target.slice(1)} Any`)),
  })
  const sent = { bytes: 0, received: 0 }
  const client = await RawClient.connect(port)
  const counts: Record<string, number> = { 200: 7, 201: 1, 404: 3, 500: 2 }
  for (const [code, count] of Object.entries(counts)) {
    for (let i = 0; i < count; i++) {
      const bytes = get(`/${code}`)
      sent.bytes += bytes.length
      await client.exchange(bytes)
    }
  }
  sent.received = client.reader.total
  const bad = await RawClient.connect(port)
  const nonsense = 'nonsense\r\n\r\n'
  await bad.exchange(nonsense)
  await bad.ending()
  // Until it has read why it was refused, its connection is kept.
  bad.close()
  await eventually(
    'the refused connection is counted as closed',
    async () => (await castor.metrics()).get('castor_connections_active{listener="web"}') === 1,
  )
  const metrics = await castor.metrics()
  const requests = (code: number | string): number | undefined =>
    metrics.get(`castor_requests_total{listener="web",target_group="app",code="${code}"}`)
  for (const [code, count] of Object.entries(counts)) t.equal(requests(code), count, code)
  t.equal(requests(400), 1)
  t.equal(metrics.get('castor_connections_total{listener="web"}'), 2)
  t.equal(metrics.get('castor_received_bytes_total{listener="web"}'), sent.bytes + nonsense.length)
  t.equal(metrics.get('castor_sent_bytes_total{listener="web"}'), sent.received + bad.reader.total)
  t.equal(metrics.get('castor_client_errors_total{listener="web",reason="BAD_REQUEST"}'), 1)
  t.equal(metrics.get(`castor_target_requests_total{target_group="app",target="${target.address}"}`), 13)
  t.equal(metrics.get('castor_request_duration_seconds_count{listener="web",target_group="app"}'), 14)
  t.equal(metrics.get('castor_upstream_response_duration_seconds_count{listener="web",target_group="app"}'), 13)
  t.equal(metrics.get('castor_upstream_connect_duration_seconds_count{listener="web",target_group="app"}'), 1)
  client.close()
  await eventually(
    'the other as well',
    async () => (await castor.metrics()).get('castor_connections_active{listener="web"}') === 0,
  )
})

t.test('counters agree over several workers', async (t) => {
  const { castor, port } = await castorBefore(t, {}, { workers: 3, accessLog: true })
  const total = 60
  for (let i = 0; i < total; i++) t.equal((await request(port, get())).status, 200)
  const metrics = await castor.metrics()
  t.equal(metrics.get('castor_requests_total{listener="web",target_group="app",code="200"}'), total)
  t.equal(metrics.get('castor_connections_total{listener="web"}'), total)
  const records = await castor.accessRecords(total)
  t.equal(new Set(records.map(({ request_id }) => request_id)).size, total, 'each request has an id of its own')
})
