import fc from 'fast-check'
import t from 'tap'
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
const TIGHT = { maxHeaderBytes: 90, maxHeaders: 3, maxTargetBytes: 20 }

for (const [kind, make, seeds] of [
  ['request', (limits = LIMITS) => new RequestParser(limits), ACCEPTED_REQUESTS],
  ['response', (limits = LIMITS) => new ResponseParser(limits), ACCEPTED_RESPONSES],
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
        const end = text.indexOf('\r\n\r\n')
        if (parser.headLength !== end + 4 || /[^\r]\n|\r[^\n]|\0/.test(text.slice(0, end + 4))) return false
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
    t.equal(outcomeName(parser.parse(bytes(`\x01${seeds[0]}`), 0, 1 + seeds[0].length)), 'refused')
    parser.reset()
    t.equal(parser.parse(bad, 0, 0), PARSE_INCOMPLETE)
    for (let length = 0; length < seeds[0].length; length++) {
      t.equal(feed(make(), bytes(seeds[0].slice(0, length))).outcome, PARSE_INCOMPLETE)
    }
  })
}
