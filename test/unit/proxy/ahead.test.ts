import t from 'tap'
import { AheadBudget, SHARE_BYTES, WIDE_BYTES } from '../../../src/proxy/h2/ahead.js'

t.test('of a client connection’s streams so many may have more than their share as its room is for', async (t) => {
  const budget = new AheadBudget()
  const widened = (): number => {
    let count = 0
    while (count < 1_000 && budget.widen()) count++
    return count
  }
  t.equal(widened() * WIDE_BYTES, 1024 * 1024)
  t.notOk(budget.widen())
  budget.giveBack()
  t.equal(widened(), 1, 'what one gives back another may have')
  t.equal(SHARE_BYTES, 16 * 1024, 'and each has that in any case')
})
