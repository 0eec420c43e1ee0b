import { deepStrictEqual as deepEqual } from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { responseCorpus } from '../../fuzz/corpus.js'
import { escapeBytes } from '../../fuzz/escapes.js'
import { Generator } from '../../fuzz/generator.js'
import { MemoryCastor, type Peer } from '../../fuzz/memory-castor.js'
import { cutAt } from '../../fuzz/pieces.js'
import { checkResponse } from '../../fuzz/response-oracle.js'
import { SEED, seededRandom } from '../../random.js'

t.comment(`seed ${SEED}`)
const RUNS = { seed: SEED, numRuns: 1500 }
/** So little that every writer has to wait for its reader. */
const TIGHT = { capacityBytes: 48 }

const places = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 8 })
const cut = (input: Buffer, at: readonly number[]): Uint8Array[] =>
  cutAt(
    input,
    at.map((place) => Math.floor(place * input.length)),
  )

/** Answers without what differs from one run to the next by itself. */
const timeless = (text: string): string => text.replace(/\b[0-9a-f]{32}\b/g, 'id').replace(/\r\ndate: [^\r]+/g, '')

/** Everything that a client and a target can tell of what was done. */
function told(castor: MemoryCastor, client: Peer): unknown {
  const requests = castor.targets.flatMap(({ reader }) => reader.requests)
  const facts = {
    answers: timeless(client.received),
    ended: client.ended,
    requests: requests.map(({ head, body, trailers }) => [timeless(head), body, trailers]),
    faults: castor.targets.map(({ reader }) => reader.fault).filter((fault) => fault !== ''),
  }
  castor.close(client)
  return { ...facts, sessions: castor.sessions }
}

t.test('any stream of requests comes to the same however it is cut, and however slowly it is taken', async (t) => {
  const roomy = new MemoryCastor()
  const tight = new MemoryCastor(TIGHT)
  let forwarded = 0
  fc.assert(
    fc.property(fc.nat(), places, (seed, at) => {
      const input = new Generator(seededRandom(seed)).requests()
      roomy.begin()
      const whole = told(roomy, roomy.exchange([input]))
      forwarded += roomy.targets.length
      for (const castor of [roomy, tight]) {
        castor.begin()
        deepEqual(told(castor, castor.exchange(cut(input, at))), whole, escapeBytes(input))
      }
    }),
    RUNS,
  )
  t.ok(forwarded > RUNS.numRuns / 10, `${forwarded} inputs came to the target, so this tells something`)
})

t.test('any answer of a target comes to the same however it is cut, and however slowly it is taken', async (t) => {
  const castors = [new MemoryCastor(), new MemoryCastor(TIGHT)]
  let whole = 0
  fc.assert(
    fc.property(fc.nat(), places, fc.constantFrom('GET', 'HEAD'), fc.boolean(), (seed, at, method, closes) => {
      const answer = new Generator(seededRandom(seed)).response()
      const results = [castors[0]!, ...castors].map((castor, turn) => {
        castor.begin()
        castor.answer = (peer) => {
          for (const piece of turn === 0 ? [answer] : cut(answer, at)) {
            peer.send(piece)
            castor.transport.flush()
          }
          if (closes) peer.conn.end()
        }
        const client = castor.exchange([Buffer.from(`${method} / HTTP/1.1\r\nHost: h\r\n\r\n`)])
        return { idle: castor.idleTargets, ...(told(castor, client) as { readonly answers: string }) }
      })
      if (results[0]!.answers.startsWith('HTTP/1.1 200')) whole++
      // How a body is cut into chunks is the only thing that may differ.
      const [first, ...others] = results.map((result) => ({ ...result, answers: unchunked(result.answers) }))
      for (const other of others) deepEqual(other, first, escapeBytes(answer))
    }),
    RUNS,
  )
  t.ok(whole > RUNS.numRuns / 10, `${whole} answers were passed on, so this tells something`)
})

/** The text with the data of chunks put together, whole or not. */
function unchunked(text: string): string {
  const coding = text.indexOf('transfer-encoding: chunked')
  if (coding < 0) return text
  const start = text.indexOf('\r\n\r\n', coding) + 4
  let body = ''
  let at = start
  for (;;) {
    const lineEnd = text.indexOf('\r\n', at)
    const size = Number.parseInt(text.slice(at, lineEnd), 16)
    if (lineEnd < 0 || !(size > 0)) return `${text.slice(0, start)}${body}|${text.slice(at)}`
    body += text.slice(lineEnd + 2, lineEnd + 2 + size)
    at = lineEnd + 4 + size
  }
}

t.test('a body that nothing frames for an HTTP/1.0 client ends by a reset when it is cut', async (t) => {
  const castor = new MemoryCastor()
  const cuts = responseCorpus().filter((entry) => entry.cut && entry.minor === 0)
  t.ok(cuts.length > 3)
  for (const entry of cuts) {
    castor.begin()
    castor.answer = (peer) => {
      peer.send(entry.bytes)
      castor.transport.flush()
      if (entry.end === 'close') peer.conn.end()
      if (entry.end === 'reset') peer.conn.abort()
    }
    const client = castor.exchange([Buffer.from(`${entry.method} / HTTP/1.0\r\nHost: h\r\n\r\n`)])
    // What arrived goes out first; then the cut is shown.
    castor.elapse(1_200)
    const framed = /content-length/i.test(client.received)
    t.equal(client.ended, framed ? 'end' : 'reset', entry.name)
    castor.close(client)
  }
})

t.test('a client that was waited for and has taken everything is shown a cut at once', async (t) => {
  const castor = new MemoryCastor({ capacityBytes: 64 })
  const bytes = Buffer.from(
    'HTTP/1.1 200 OK\r\nX-Long: of more than the buffer holds\r\nTransfer-Encoding: chunked\r\n\r\n',
  )
  for (const method of ['GET', 'POST'] as const) {
    t.same(checkResponse(castor, { bytes, cuts: [32, 39, 69], method, minor: 0, closes: true }), [], method)
  }
})

t.test('a request with an empty chunked body is not sent again without that body', async (t) => {
  const castor = new MemoryCastor()
  castor.begin()
  castor.answer = (peer, index) => {
    if (index === 0) peer.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    else peer.conn.abort()
  }
  const put = 'PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'
  const client = castor.exchange([Buffer.from('GET / HTTP/1.1\r\nHost: h\r\n\r\n'), Buffer.from(put)])
  t.match(client.received, /^HTTP\/1\.1 200 .*HTTP\/1\.1 502 /s)
  for (const { reader } of castor.targets) t.equal(reader.rest, '', 'no target waits for a last chunk')
  t.equal(castor.targets.length, 1)
})

t.test('heads and trailers larger than what is written at once are refused or passed on, never cut', async (t) => {
  const castor = new MemoryCastor({ protection: { maxHeaderBytes: '128KiB', maxHeaders: 1000 } })
  const host = 'h'.repeat(90_000)
  const huge = 'a'.repeat(300_000)
  const large = 'a'.repeat(120_000)

  castor.begin()
  const refused = castor.exchange([Buffer.from(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`)])
  t.match(refused.received, /^HTTP\/1\.1 431 /)
  t.equal(castor.targets.length, 0)
  castor.close(refused)

  castor.begin()
  castor.answer = (peer) => peer.send(`HTTP/1.1 200 OK\r\nX-A: ${huge}\r\nContent-Length: 0\r\n\r\n`)
  const nonsense = castor.exchange([Buffer.from('GET / HTTP/1.1\r\nHost: h\r\n\r\n')])
  t.match(nonsense.received, /^HTTP\/1\.1 502 /)
  castor.close(nonsense)

  castor.begin()
  const chunked = 'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n'
  const client = castor.exchange([Buffer.from(`${chunked}x-sum: ${large}\r\n\r\n`)])
  t.match(client.received, /^HTTP\/1\.1 200 /)
  const [request] = castor.targets.flatMap(({ reader }) => reader.requests)
  t.equal(request?.body, 'abc')
  t.same(request?.trailers, [`x-sum: ${large}`])
  castor.close(client)
})

t.test('a connection serves nobody once its target has moved or its certificates were replaced', async (t) => {
  const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
  const request = Buffer.from('GET / HTTP/1.1\r\nHost: h\r\n\r\n')
  const changes = {
    moved: (castor: MemoryCastor) => castor.moveTarget(),
    renewed: (castor: MemoryCastor) => castor.renewTls(),
  }
  for (const [name, change] of Object.entries(changes)) {
    const castor = new MemoryCastor()
    castor.answer = (peer) => peer.send(ok)
    castor.exchange([request])
    t.equal(castor.idleTargets, 1)
    change(castor)
    t.equal(castor.idleTargets, 0, `${name}: what was idle is closed`)

    const other = new MemoryCastor()
    other.answer = () => {}
    const client = other.exchange([request])
    const [busy] = other.targets
    change(other)
    busy!.send(ok)
    other.transport.flush()
    t.match(client.received, /^HTTP\/1.1 200 OK/, `${name}: what is under way goes on`)
    t.equal(other.idleTargets, 0, `${name}: and its connection is not kept`)
    t.equal(busy!.ended, 'end')
    other.answer = (peer) => peer.send(ok)
    client.send(request)
    other.transport.flush()
    t.equal(other.targets.length, 2, `${name}: the next request dials`)
    if (name === 'moved') t.equal(other.targets[1]!.conn.local.address, '192.0.2.3')
  }
})
