import t from 'tap'
import { AccessEntry, AccessLog, MAX_EXTRA_BYTES, MAX_LINE_BYTES } from '../../../src/observe/access-log.js'
import { SEED, seededRandom } from '../../random.js'

/** A log that keeps what it is given and acknowledges at once. */
function collector(): { log: AccessLog; text: () => string; chunks: Uint8Array[] } {
  const chunks: Uint8Array[] = []
  const log = new AccessLog((chunk) => {
    chunks.push(chunk)
    log.acknowledge(chunk.length)
  })
  return { log, chunks, text: () => new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks)) }
}

function oneLine(entry: AccessEntry): Record<string, unknown> {
  const { log, text } = collector()
  log.record(entry)
  log.flush()
  const lines = text().split('\n')
  if (lines.length !== 2 || lines[1] !== '') throw new Error(`${lines.length} lines instead of one`)
  return JSON.parse(lines[0]!) as Record<string, unknown>
}

const FIELDS =
  'time request_id listener client_ip client_port vip vport target target_group rule method scheme host uri protocol status target_status request_bytes sent_bytes request_ms connect_ms response_ms user_agent tls_version tls_cipher reason'

t.test('a full entry becomes one line with the fields of the contract, in order', async (t) => {
  const entry = Object.assign(new AccessEntry(), {
    timeMs: Date.UTC(2026, 1, 3, 4, 5, 6, 7),
    requestId: Buffer.from('01HX'),
    listener: 'web',
    clientIp: '2001:db8::1',
    clientPort: 50_123,
    vip: '192.0.2.1',
    vport: 443,
    target: '10.0.0.1:80',
    targetGroup: 'app',
    rule: 'beta',
    method: 'GET',
    scheme: 'https',
    host: 'example.com',
    uri: Buffer.from('GET /a?b=c HTTP/1.1'),
    uriStart: 4,
    uriEnd: 10,
    protocol: 'HTTP/1.1',
    status: 200,
    targetStatus: 204,
    requestBytes: 0,
    sentBytes: 2 ** 40 + 1,
    requestMs: 12.3456,
    connectMs: 0,
    responseMs: 1234,
    userAgent: 'curl/8',
    tlsVersion: 'TLSv1.3',
    tlsCipher: 'AES',
    reason: 'TARGET_CUT',
  })
  const line = oneLine(entry)
  t.equal(Object.keys(line).join(' '), FIELDS)
  t.same(line, {
    time: '2026-02-03T04:05:06.007Z',
    request_id: '01HX',
    listener: 'web',
    client_ip: '2001:db8::1',
    client_port: 50_123,
    vip: '192.0.2.1',
    vport: 443,
    target: '10.0.0.1:80',
    target_group: 'app',
    rule: 'beta',
    method: 'GET',
    scheme: 'https',
    host: 'example.com',
    uri: '/a?b=c',
    protocol: 'HTTP/1.1',
    status: 200,
    target_status: 204,
    request_bytes: 0,
    sent_bytes: 2 ** 40 + 1,
    request_ms: 12.346,
    connect_ms: 0,
    response_ms: 1234,
    user_agent: 'curl/8',
    tls_version: 'TLSv1.3',
    tls_cipher: 'AES',
    reason: 'TARGET_CUT',
  })
})

t.test('what is not known is null', async (t) => {
  const line = oneLine(new AccessEntry())
  const { time, request_bytes, sent_bytes, ...rest } = line
  t.equal(time, '1970-01-01T00:00:00.000Z')
  t.same([request_bytes, sent_bytes], [0, 0])
  for (const [name, value] of Object.entries(rest)) t.equal(value, null, name)
})

t.test('a reused entry leaves nothing of the request before', async (t) => {
  const { log, text } = collector()
  const entry = new AccessEntry()
  for (const [target, reason] of [
    ['a:1', 'TARGET_CUT'],
    ['b:2', ''],
    ['a:1', ''],
  ] as const) {
    entry.target = target
    entry.reason = reason
    log.record(entry)
  }
  log.flush()
  const lines = text().trimEnd().split('\n')
  t.same(
    lines.map((line) => JSON.parse(line)).map(({ target, reason }) => [target, reason]),
    [
      ['a:1', 'TARGET_CUT'],
      ['b:2', null],
      ['a:1', null],
    ],
  )
})

t.test('every byte a client can send is read back as its latin-1 character', async (t) => {
  const all = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
  for (const name of ['host', 'uri', 'userAgent'] as const) {
    const field = name === 'userAgent' ? 'user_agent' : name
    for (let byte = 0; byte < 256; byte++) {
      const entry = new AccessEntry()
      entry[name] = all
      entry[`${name}Start`] = byte
      entry[`${name}End`] = byte + 1
      const line = oneLine(entry)
      if (line[field] !== String.fromCharCode(byte)) t.fail(`${name} ${byte}: ${JSON.stringify(line[field])}`)
    }
    for (const start of [0, 128]) {
      const half = new AccessEntry()
      half[name] = all
      half[`${name}Start`] = start
      half[`${name}End`] = start + 128
      t.equal(oneLine(half)[field], all.toString('latin1', start, start + 128), `${name} from ${start}`)
    }
  }
})

t.test('the bytes written are printable ASCII, whatever came in', async (t) => {
  const { log, chunks } = collector()
  const entry = new AccessEntry()
  entry.uri = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
  entry.uriEnd = 256
  entry.listener = 'wéb\u{1f600}\n'
  log.record(entry)
  log.flush()
  const bytes = Buffer.concat(chunks)
  t.ok(bytes.subarray(0, -1).every((byte) => byte >= 0x20 && byte < 0x7f))
  t.equal(bytes.at(-1), 0x0a)
  t.equal(JSON.parse(bytes.toString()).listener, 'wéb\u{1f600}\n')
})

t.test('random entries come back as they went in', async (t) => {
  t.comment(`seed ${SEED}`)
  const random = seededRandom(SEED)
  const { log, text } = collector()
  const entry = new AccessEntry()
  const expected: unknown[] = []
  const below = (limit: number): number => Math.floor(random() * limit)
  for (let i = 0; i < 3000; i++) {
    const bytes = Buffer.from(Array.from({ length: below(90) }, () => below(random() < 0.8 ? 128 : 256)))
    const start = below(bytes.length + 1)
    const end = start + below(bytes.length - start + 1)
    entry.uri = bytes
    entry.uriStart = start
    entry.uriEnd = end
    entry.host = Array.from({ length: below(40) }, () => String.fromCharCode(below(0x3000))).join('')
    entry.timeMs = 1.7e12 + below(1e10) + random()
    entry.sentBytes = below(2 ** 50)
    entry.requestMs = random() * 10 ** below(7)
    entry.status = 100 + below(500)
    entry.method = ['GET', 'POST', 'PURGE'][below(3)]!
    log.record(entry)
    expected.push([
      bytes.toString('latin1', start, end) || null,
      entry.host || null,
      new Date(Math.floor(entry.timeMs)).toISOString(),
      entry.sentBytes,
      Number(entry.requestMs.toFixed(3)),
      entry.status,
      entry.method,
    ])
  }
  log.flush()
  const lines = text().trimEnd().split('\n')
  t.equal(lines.length, expected.length)
  for (const [index, line] of lines.entries()) {
    const { uri, host, time, sent_bytes, request_ms, status, method } = JSON.parse(line)
    const wanted = expected[index] as unknown[]
    // Halves may round either way from binary fractions.
    if (Math.abs(request_ms - (wanted[4] as number)) <= 0.0010001) wanted[4] = request_ms
    const same = JSON.stringify([uri, host, time, sent_bytes, request_ms, status, method]) === JSON.stringify(wanted)
    if (!same) t.fail(`line ${index}: ${line} is not ${JSON.stringify(wanted)}`)
  }
})

t.test('numbers that are none do not break the line', async (t) => {
  const cases: [number, unknown][] = [
    [Number.NaN, null],
    [-1, null],
    [Number.POSITIVE_INFINITY, Number.MAX_SAFE_INTEGER],
    [0.9, 0],
    [1e21, Number.MAX_SAFE_INTEGER],
    [9_999_999_999, 9_999_999_999],
  ]
  for (const [value, written] of cases) {
    const entry = new AccessEntry()
    entry.sentBytes = value
    t.equal(oneLine(entry).sent_bytes, written, String(value))
  }
  for (const timeMs of [Number.NaN, -5, 1e18, Number.POSITIVE_INFINITY]) {
    const entry = new AccessEntry()
    entry.timeMs = timeMs
    t.equal(oneLine(entry).time, '1970-01-01T00:00:00.000Z', String(timeMs))
  }
  for (const requestMs of [1e300, Number.POSITIVE_INFINITY, Number.MIN_VALUE]) {
    const entry = new AccessEntry()
    entry.requestMs = requestMs
    t.type(oneLine(entry).request_ms, 'number', String(requestMs))
  }
})

t.test('a line never exceeds its bound, and a cut value shows that it was cut', async (t) => {
  const worst = new AccessEntry()
  const controls = Buffer.alloc(100_000, 1)
  const long = '\u0001'.repeat(100_000)
  for (const name of Object.keys(worst) as (keyof AccessEntry)[]) {
    if (typeof worst[name] === 'string') Object.assign(worst, { [name]: long })
  }
  for (const name of ['host', 'uri', 'userAgent'] as const) {
    worst[name] = controls
    worst[`${name}End`] = controls.length
  }
  const { log, chunks } = collector()
  for (let i = 0; i < 20; i++) log.record(worst)
  worst.extra = `,"plugins":"${'x'.repeat(MAX_EXTRA_BYTES - 13)}"`
  for (let i = 0; i < 20; i++) log.record(worst)
  log.flush()
  const lines = Buffer.concat(chunks).toString().trimEnd().split('\n')
  t.equal(lines.length, 40)
  t.equal(JSON.parse(lines[39]!).plugins.length, MAX_EXTRA_BYTES - 13)
  for (const line of lines) {
    t.ok(line.length < MAX_LINE_BYTES, `${line.length} bytes`)
    const { uri, host, rule } = JSON.parse(line)
    for (const value of [uri, host, rule]) t.ok(value.startsWith('\u0001'.repeat(10)) && value.endsWith('\u0001\u2026'))
  }
})

t.test('a value of just the length that fits is not cut', async (t) => {
  for (let length = 8170; length < 8200; length++) {
    const entry = new AccessEntry()
    entry.uri = Buffer.alloc(length, 0x61)
    entry.uriEnd = length
    const uri = oneLine(entry).uri as string
    if (uri.endsWith('\u2026')) t.ok(uri.length > 8180, `${length} bytes are cut to ${uri.length}`)
    else t.equal(uri.length, length)
  }
})

t.test('chunks hold whole lines, leave at 48 KiB and belong to the sink', async (t) => {
  const { log, chunks } = collector()
  const entry = new AccessEntry()
  while (chunks.length < 2) log.record(entry)
  t.ok(chunks[0]!.length > 48 * 1024 && chunks[0]!.length <= 64 * 1024, `${chunks[0]!.length} bytes`)
  t.equal(chunks[0]!.at(-1), 0x0a)
  t.equal(chunks[0]!.buffer.byteLength, chunks[0]!.length, 'its memory is its own and may be transferred')
  t.not(chunks[0]!.buffer, chunks[1]!.buffer)
  t.ok(log.empty)
})

t.test('when the sink is behind, records are dropped and counted until it caught up', async (t) => {
  let outstanding = 0
  const log = new AccessLog(
    (chunk) => {
      outstanding += chunk.length
    },
    { maxOutstandingBytes: 1000 },
  )
  const entry = new AccessEntry()
  for (let i = 0; i < 5; i++) log.record(entry)
  log.flush()
  t.ok(outstanding > 1000)
  for (let i = 0; i < 3; i++) log.record(entry)
  t.equal(log.dropped, 3)
  t.ok(log.empty)
  log.acknowledge(outstanding - 999)
  log.record(entry)
  t.equal(log.dropped, 3)
  t.notOk(log.empty)
})

t.test('flushing nothing hands nothing over', async (t) => {
  const { log, chunks } = collector()
  log.flush()
  t.equal(chunks.length, 0)
})
