import fc from 'fast-check'
import t from 'tap'
import { TOLERATE_BARE_LF, TOLERATE_SHORT_STATUS_LINE } from '../../../src/core/tolerances.js'
import type { HeadLimits } from '../../../src/http/head-layout.js'
import { PARSE_COMPLETE, PARSE_INCOMPLETE, RequestParser } from '../../../src/http/request-parser.js'
import { ResponseParser } from '../../../src/http/response-parser.js'
import { SEED } from '../../random.js'
import {
  ACCEPTED_REQUESTS,
  ACCEPTED_RESPONSES,
  bytes,
  cutPlaces,
  cutsOf,
  factsOf,
  feed,
  LIMITS,
  mutated,
  outcomeName,
} from './heads.js'

t.comment(`seed ${SEED}`)
const RUNS = { seed: SEED, numRuns: 3000 }
const TOLERATED = ACCEPTED_RESPONSES.map((head) => head.replaceAll('\r\n', '\n').replace(/^(\S+ \d+) .*/, '$1'))
const tolerant = (limits: HeadLimits): ResponseParser => {
  const parser = new ResponseParser(limits)
  parser.tolerate(TOLERATE_BARE_LF | TOLERATE_SHORT_STATUS_LINE)
  return parser
}
const TIGHT = { maxHeaderBytes: 90, maxHeaders: 3, maxTargetBytes: 20 }

const CRLF_LINES = /^(\r\n)?([^\r\n\0]+\r\n)+\r\n$/
const LF_LINES = /^([^\r\n\0]+\r?\n)+\r?\n$/

for (const [kind, make, seeds, form] of [
  ['request', (limits = LIMITS) => new RequestParser(limits), ACCEPTED_REQUESTS, CRLF_LINES],
  ['response', (limits = LIMITS) => new ResponseParser(limits), ACCEPTED_RESPONSES, CRLF_LINES],
  [
    'response with everything tolerated',
    (limits = LIMITS) => tolerant(limits),
    [...TOLERATED, ...ACCEPTED_RESPONSES] as const,
    LF_LINES,
  ],
] as const) {
  t.test(`each ${kind} of the collection is accepted`, async (t) => {
    for (const seed of seeds) {
      const { parser, outcome } = feed(make(), bytes(seed))
      t.equal(outcomeName(outcome), 'complete', JSON.stringify(seed))
      t.equal(parser.headLength, seed.length)
    }
  })

  t.test(`a ${kind} cut at every byte reads the same`, async (t) => {
    for (const seed of seeds) {
      const input = bytes(seed)
      const every = Array.from(input, (_, index) => index)
      t.same(factsOf(feed(make(), input, every)), factsOf(feed(make(), input)), JSON.stringify(seed))
    }
  })

  t.test(`any ${kind} reads the same however it is cut, within limits and beyond`, async () => {
    fc.assert(
      fc.property(mutated(seeds, 4), cutPlaces, fc.boolean(), (input, places, tight) => {
        const limits = tight ? TIGHT : LIMITS
        const whole = factsOf(feed(make(limits), input))
        const cut = factsOf(feed(make(limits), input, cutsOf(places, input.length)))
        return JSON.stringify(cut) === JSON.stringify(whole)
      }),
      { ...RUNS, numRuns: 1500 },
    )
  })

  t.test(`what lies around a ${kind} makes no difference`, async () => {
    fc.assert(
      fc.property(mutated(seeds, 3), fc.constantFrom(0x0a, 0x0d, 0x20, 0x3a, 0x41), (input, guard) => {
        const facts = JSON.stringify(factsOf(feed(make(), input, [], guard)))
        return facts === JSON.stringify(factsOf(feed(make(), input, [], 0)))
      }),
      RUNS,
    )
  })

  t.test(`an accepted ${kind} ends with its blank line, and nothing after it is looked at`, async () => {
    let accepted = 0
    fc.assert(
      fc.property(mutated(seeds, 2), fc.uint8Array({ maxLength: 20 }), (input, more) => {
        const { parser, outcome } = feed(make(), input)
        if (outcome !== PARSE_COMPLETE) return true
        accepted++
        const text = Buffer.from(input).toString('latin1')
        const head = text.slice(0, parser.headLength)
        if (!form.test(head)) return false
        const followed = Buffer.concat([input.subarray(0, parser.headLength), more])
        const again = feed(make(), followed)
        return JSON.stringify(factsOf(again)) === JSON.stringify(factsOf(feed(make(), input)))
      }),
      RUNS,
    )
    t.ok(accepted > 300, `${accepted} of the inputs were accepted, so this tells something`)
  })

  t.test(`a refused ${kind} stays refused, an unfinished one asks for more`, async (t) => {
    const parser = make()
    const bad = bytes('\x01')
    t.equal(outcomeName(parser.parse(bad, 0, 1)), 'refused')
    t.equal(outcomeName(parser.parse(bytes(`\x01${seeds[0]}`), 0, 1 + seeds[0]!.length)), 'refused')
    parser.reset()
    t.equal(parser.parse(bad, 0, 0), PARSE_INCOMPLETE)
    for (let length = 0; length < seeds[0]!.length; length++) {
      t.equal(feed(make(), bytes(seeds[0]!.slice(0, length))).outcome, PARSE_INCOMPLETE)
    }
  })
}
