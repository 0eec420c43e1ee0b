import t from 'tap'
import { ManualClock } from '../../../src/core/clock.js'
import { ResponseParser } from '../../../src/http/response-parser.js'
import { HEAD_INTERIM, HEAD_REFUSED, ResponseHead } from '../../../src/proxy/h1/response-head.js'

const KIB = 1024
const LIMITS = { maxHeaderBytes: 32 * KIB, maxHeaders: 100, maxTargetBytes: 0 }

/** How many interim responses with so much in their heads are taken, `everyMs` apart, of as many as `most`. */
function taken(bytes: number, everyMs: number, most: number): number {
  const clock = new ManualClock()
  const head = new ResponseHead(new ResponseParser(LIMITS), clock)
  const interim = Buffer.from(`HTTP/1.1 103 Early Hints\r\nX: ${'x'.repeat(bytes)}\r\n\r\n`)
  for (let count = 0; count < most; count++) {
    const outcome = head.feed(interim, interim.length)
    if (outcome === HEAD_REFUSED) return count
    if (outcome !== HEAD_INTERIM) throw new Error(`outcome ${outcome}`)
    head.next()
    clock.advance(everyMs)
  }
  return most
}

t.test(
  'interim responses are bounded within a second, by their count and by their bytes, and not over hours',
  async (t) => {
    t.equal(taken(10, 0, 1_000), 100, 'small ones by their count')
    t.ok(taken(30 * KIB, 0, 1_000) < 40, 'large ones by their bytes')
    t.equal(taken(10, 100, 10_000), 10_000, 'ten a second for a thousand seconds')
    t.equal(taken(30 * KIB, 100, 1_000), 1_000, 'and large ones')
  },
)
