import fc from 'fast-check'
import t from 'tap'
import { Affinity } from '../../../src/proxy/stickiness.js'
import { type Waiter, WaitList } from '../../../src/proxy/wait-list.js'
import { SEED } from '../../random.js'

const waiter = (waitTicket: number): Waiter => ({
  client: { family: 4, address: '192.0.2.1', port: 1 },
  hash: -1,
  affinity: new Affinity(),
  tried: [],
  waitNext: null,
  waitPrevious: null,
  waitTicket,
  waitSlot: -1,
  onTurn() {},
})

function ticketsOf(list: WaitList): number[] {
  const found: number[] = []
  for (let at = list.head; at !== null; at = at.waitNext) found.push(at.waitTicket)
  return found
}

t.test('however they come and go, the oldest is first', async (t) => {
  t.comment(`seed ${SEED}`)
  const steps = fc.array(fc.record({ ticket: fc.integer({ min: 1, max: 1_000_000 }), leaves: fc.boolean() }), {
    maxLength: 50,
  })
  fc.assert(
    fc.property(steps, (all) => {
      const list = new WaitList()
      let there: Waiter[] = []
      for (const { ticket, leaves } of all) {
        if (leaves && there.length > 0) {
          const gone = there[ticket % there.length]!
          there = there.filter((other) => other !== gone)
          list.remove(gone)
          if (gone.waitNext !== null || gone.waitPrevious !== null) return false
        } else if (!there.some(({ waitTicket }) => waitTicket === ticket)) {
          const come = waiter(ticket)
          there.push(come)
          list.insert(come)
        }
        const expected = there.map(({ waitTicket }) => waitTicket).sort((a, b) => a - b)
        if (ticketsOf(list).join() !== expected.join()) return false
      }
      return true
    }),
    { seed: SEED, numRuns: 500 },
  )
})
