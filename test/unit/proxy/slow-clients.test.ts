import t from 'tap'
import { MemoryCastor, type Peer } from '../../fuzz/memory-castor.js'

/* Clients that take or send slowly, over minutes of a clock that tests move. */

const IDLE_TIMEOUT_MS = 60_000
const CAPACITY = 4_096
const PIECE = 500
const BODY = 'x'.repeat(7_000)
const ANSWER = `HTTP/1.1 200 OK\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`

/** The client reads a piece, and no more before it is told to. */
function readsInPieces(client: Peer): void {
  const { onData } = client
  client.conn.readSize = PIECE
  client.onData = (conn, buffer, length) => {
    conn.pause()
    onData.call(client, conn, buffer, length)
  }
}

for (const [what, request] of [
  ['which ends the connection', 'GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n'],
  ['given before the request is whole', 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nsome'],
] as const) {
  t.test(`an answer ${what} has as long again whenever its client takes some of it`, async (t) => {
    const castor = new MemoryCastor({ capacityBytes: CAPACITY, protection: { bodyMinRate: '0B/s' } })
    castor.answer = () => {}
    const client = castor.connect()
    readsInPieces(client)
    client.send(request)
    castor.transport.flush()
    castor.targets[0]!.send(ANSWER)
    if (!request.startsWith('GET')) castor.targets[0]!.conn.end()
    castor.transport.flush()
    let minutes = 0
    while (!client.received.endsWith(BODY) && client.ended === '') {
      for (let n = 0; n < 45; n++) castor.elapse(1_000)
      client.conn.resume()
      castor.transport.flush()
      minutes += 0.75
    }
    t.ok(client.received.endsWith(BODY), `${client.received.length} bytes in ${minutes} minutes`)
    t.ok(minutes * 60_000 > 3 * IDLE_TIMEOUT_MS)
    client.conn.resume()
    castor.transport.flush()
    if (request.startsWith('GET')) t.equal(client.ended, 'end')
    castor.close(client)
    t.equal(castor.sessions, 0)
  })
}

t.test('what comes behind a refusal is read, but not for ever', async (t) => {
  const castor = new MemoryCastor()
  const client = castor.exchange([Buffer.from('POST / HTTP/1.1\r\nContent-Length: 9999999999\r\n\r\n')])
  t.match(client.received, /^HTTP\/1\.1 400 /)
  const piece = Buffer.alloc(1024 * 1024)
  let pieces = 0
  while (!client.conn.closed && pieces < 1_100) {
    client.send(piece)
    castor.transport.flush()
    pieces++
  }
  t.ok(client.conn.closed)
  t.ok(pieces > 1_000 && pieces <= 1_026, `cut after ${pieces} MiB`)
  t.equal(castor.sessions, 0)
})

t.test('a client that waits to be told to send its body is not thought slow', async (t) => {
  const castor = new MemoryCastor()
  const head = 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n'
  const client = castor.exchange([Buffer.from(head)])
  // More than the grace that a body has to begin.
  for (let n = 0; n < 45; n++) castor.elapse(1_000)
  t.equal(client.received, '')
  castor.targets[0]!.send('HTTP/1.1 100 Continue\r\n\r\n')
  castor.transport.flush()
  t.match(client.received, /^HTTP\/1\.1 100 /)
  // Its grace begins here.
  for (let n = 0; n < 15; n++) castor.elapse(1_000)
  client.send('body')
  castor.transport.flush()
  t.match(client.received, /HTTP\/1\.1 200 /)
  castor.close(client)
})

t.test('a target that never says whether the body may come is answered for with 504', async (t) => {
  const castor = new MemoryCastor({ accessLog: true })
  const head = 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n'
  const client = castor.exchange([Buffer.from(head)])
  for (let n = 0; n < 62; n++) castor.elapse(1_000)
  t.match(client.received, /^HTTP\/1\.1 504 /)
  t.match(castor.accessRecords, [{ status: 504, reason: 'RESPONSE_TIMEOUT' }])
  castor.close(client)
})

t.test('a client that sends nothing of its body though it was told to is thought slow', async (t) => {
  const castor = new MemoryCastor({ accessLog: true })
  const head = 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n'
  const client = castor.exchange([Buffer.from(head)])
  castor.targets[0]!.send('HTTP/1.1 100 Continue\r\n\r\n')
  castor.transport.flush()
  // The grace of a body, which is shorter than the idle time-out.
  for (let n = 0; n < 25; n++) castor.elapse(1_000)
  t.match(client.received, /^HTTP\/1\.1 100 .*HTTP\/1\.1 408 /s)
  t.match(castor.accessRecords, [{ status: 408, reason: 'BODY_TOO_SLOW' }])
  castor.close(client)
})
