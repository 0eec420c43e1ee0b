import t from 'tap'
import { escapeBytes } from '../fuzz/escapes.js'
import { Fuzzer } from '../fuzz/fuzzer.js'
import { RequestReader } from '../fuzz/request-reader.js'
import type { Finding } from '../fuzz/subject.js'
import { SEED, seededRandom } from '../random.js'
import { findTool } from '../tools.js'

const SECONDS = 5
const NEIGHBOURS = ['nginx', 'haproxy'] as const

t.comment(`seed ${SEED}`)

t.test('five seconds of what nobody should send: everybody agrees about what is accepted', async (t) => {
  const installed = NEIGHBOURS.filter((name) => findTool(name) !== undefined)
  if (process.env.CI === 'true') t.same(installed, NEIGHBOURS, 'CI has them all')
  const fuzzer = await Fuzzer.start(seededRandom(SEED), installed)
  t.teardown(() => fuzzer.stop())
  await fuzzer.run(SECONDS * 1000, ({ kind, detail, input, faults }: Finding) => {
    t.fail(`${kind} (${detail}): ${escapeBytes(faults.join('; '))}\n| ${escapeBytes(input)}`)
  })
  const { counts } = fuzzer
  t.comment(JSON.stringify(counts))
  t.same(fuzzer.neighbours, installed)
  for (const kind of ['requests', 'responses', 'frames', 'realRequests', 'realResponses', 'accepted'] as const) {
    t.ok(counts[kind] > 10, `${kind}: ${counts[kind]}`)
  }
})

t.test('the target that judges what reaches it lets nothing ambiguous pass', async (t) => {
  const good = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n'
  for (const [text, whole, fault] of [
    [good + good, 2, ''],
    ['POST / HTTP/1.1\r\nHost: h\r\ncontent-length: 3\r\n\r\nabc', 1, ''],
    ['POST / HTTP/1.1\r\nHost: h\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx: y\r\n\r\n', 1, ''],
    ['POST / HTTP/1.1\r\nHost: h\r\ncontent-length: 3\r\n\r\nab', 0, ''],
    ['POST / HTTP/1.1\r\nHost: h\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n', 0, ''],
    ['GET / HTTP/1.1\nHost: h\r\n\r\n', 0, 'no plain head'],
    ['GET / HTTP/1.1\r\nHost : h\r\n\r\n', 0, 'no plain head'],
    ['GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n', 0, 'not one Host'],
    ['GET / HTTP/1.1\r\n\r\n', 0, 'not one Host'],
    ['POST / HTTP/1.1\r\nHost: h\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n', 0, 'not one framing'],
    ['POST / HTTP/1.1\r\nHost: h\r\ncontent-length: +3\r\n\r\nabc', 0, 'a length'],
    ['POST / HTTP/1.1\r\nHost: h\r\ntransfer-encoding: Chunked\r\n\r\n', 0, 'a coding'],
    ['POST / HTTP/1.1\r\nHost: h\r\ntransfer-encoding: chunked\r\n\r\n3 \r\nabc', 0, 'a chunk size'],
    ['POST / HTTP/1.1\r\nHost: h\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabcd\r\n', 0, 'a chunk not ended'],
  ] as const) {
    for (const pieces of [[text], [...text]]) {
      const reader = new RequestReader()
      for (const piece of pieces) reader.feed(piece)
      t.equal(reader.requests.length, whole, JSON.stringify(text))
      t.equal(reader.fault.split(':')[0]!.startsWith(fault), true, reader.fault)
      t.equal(reader.fault === '', fault === '')
    }
  }
})
