import t from 'tap'
import { MemoryCastor, type Peer } from '../../fuzz/memory-castor.js'

/* Answers that no target was asked for, on their way to a client that reads nothing at first. */

const CAPACITY_BYTES = 48
const IDLE_TIMEOUT_MS = 60_000

const ANSWERS = [
  { what: 'a refusal', request: 'NONSENSE\r\n\r\n', redirects: false, status: 400, reason: 'BAD_REQUEST' },
  { what: 'a redirect', request: 'GET /x HTTP/1.1\r\nHost: h\r\n\r\n', redirects: true, status: 301, reason: null },
] as const

interface End {
  readonly what: string
  /** Why it was not taken; an answer that says what was wrong with its request keeps its own reason. */
  readonly reason: string | null
  readonly come: (castor: MemoryCastor, client: Peer) => unknown
}

const ENDS: readonly End[] = [
  { what: 'is reset', reason: 'CLIENT_RESET', come: (_, client) => client.conn.abort() },
  { what: 'takes nothing', reason: 'IDLE_TIMEOUT', come: (castor) => castor.elapse(IDLE_TIMEOUT_MS) },
  {
    what: 'takes it late',
    reason: null,
    come: (castor, client) => {
      client.conn.resume()
      castor.transport.flush()
      castor.elapse(1_000)
    },
  },
]

for (const { what, request, redirects, status, reason } of ANSWERS) {
  t.test(`${what} is logged when its client has taken it, or will not`, async (t) => {
    for (const end of ENDS) {
      const castor = new MemoryCastor({ capacityBytes: CAPACITY_BYTES, redirects, accessLog: true })
      const client = castor.connect()
      client.conn.pause()
      client.send(request)
      castor.transport.flush()
      t.same(castor.accessRecords, [], `a client that ${end.what}: not yet`)
      end.come(castor, client)
      castor.transport.flush()
      const records = castor.accessRecords
      t.equal(records.length, 1, `a client that ${end.what}: once`)
      t.match(records[0], { status, reason: reason ?? end.reason, target_status: null })
      const taken = end.reason === null ? client.received.length : CAPACITY_BYTES
      t.equal(records[0]!.sent_bytes, taken, `a client that ${end.what}: the bytes that it took`)
    }
  })
}

t.test('an answer that its client takes at once is logged at once', async (t) => {
  for (const { request, redirects, status, reason } of ANSWERS) {
    const castor = new MemoryCastor({ redirects, accessLog: true })
    const client = castor.exchange([Buffer.from(request)])
    t.match(castor.accessRecords, [{ status, reason, sent_bytes: client.received.length }])
  }
})
