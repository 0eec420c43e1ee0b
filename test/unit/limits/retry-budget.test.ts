import t from 'tap'
import { ManualClock } from '../../../src/core/clock.js'
import { RetryBudget } from '../../../src/limits/retry-budget.js'

const spend = (budget: RetryBudget): number => {
  let allowed = 0
  while (budget.tryRetry()) allowed++
  return allowed
}

t.test('retries are allowed up to the share of requests plus the minimum', async (t) => {
  const cases: { percent: number; minimum: number; requests: number; expected: number }[] = [
    { percent: 20, minimum: 0, requests: 100, expected: 20 },
    { percent: 20, minimum: 3, requests: 100, expected: 50 },
    { percent: 20, minimum: 3, requests: 0, expected: 30 },
    { percent: 20, minimum: 0, requests: 4, expected: 0 },
    { percent: 20, minimum: 0, requests: 5, expected: 1 },
    { percent: 0, minimum: 1, requests: 1_000, expected: 10 },
    { percent: 100, minimum: 0, requests: 7, expected: 7 },
  ]
  for (const { percent, minimum, requests, expected } of cases) {
    const budget = new RetryBudget(new ManualClock(123_456), percent, minimum)
    for (let n = 0; n < requests; n++) budget.countRequest()
    t.equal(spend(budget), expected, `${percent} % of ${requests} and ${minimum} a second`)
    t.equal(budget.tryRetry(), false)
  }
})

t.test('what happened more than ten seconds ago no longer counts', async (t) => {
  const clock = new ManualClock(500)
  const budget = new RetryBudget(clock, 10, 0)
  for (let n = 0; n < 100; n++) budget.countRequest()
  clock.advance(9_000)
  t.equal(spend(budget), 10, 'requests of nine seconds ago pay for retries now')
  clock.advance(1_000)
  t.equal(budget.tryRetry(), false, 'a second later they do not')
  for (let n = 0; n < 200; n++) budget.countRequest()
  t.equal(spend(budget), 10, 'retries made since still count against the new ones')
  clock.advance(9_000)
  t.equal(spend(budget), 10, 'until they leave the window too')
})

t.test('a long pause empties the window', async (t) => {
  const clock = new ManualClock()
  const budget = new RetryBudget(clock, 50, 1)
  for (let n = 0; n < 1_000; n++) budget.countRequest()
  t.equal(spend(budget), 510)
  clock.advance(3_600_000)
  t.equal(spend(budget), 10)
})

t.test('while every request fails, the load on targets rises by no more than the budget', async (t) => {
  const clock = new ManualClock()
  const budget = new RetryBudget(clock, 20, 3)
  let retries = 0
  for (let ms = 0; ms < 60_000; ms++) {
    clock.advance(1)
    budget.countRequest()
    if (budget.tryRetry()) retries++
  }
  // 60,000 requests: a fifth, and three a second.
  t.ok(retries > 11_000 && retries <= 12_000 + 180 + 30, `${retries} retries`)
})
