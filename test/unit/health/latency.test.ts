import t from 'tap'
import { fadedLatency, failedLatency, peakEwma } from '../../../src/health/latency.js'

t.test('a slower answer counts whole at once', async (t) => {
  t.equal(peakEwma(10, 250, 5), 250)
  t.equal(peakEwma(0, 3, 5), 3, 'the first one too')
})

t.test('a faster one pulls the average down by the time that passed', async (t) => {
  t.equal(peakEwma(100, 10, 0), 100)
  const soon = peakEwma(100, 10, 100)
  const later = peakEwma(100, 10, 10_000)
  t.ok(soon > 98 && soon < 100, `${soon}`)
  t.ok(later > 40 && later < 45, `${later}`)
  t.ok(peakEwma(100, 10, 1e6) - 10 < 1e-9)
  t.equal(peakEwma(100, 10, -5), 100, 'a clock that went back')
})

t.test('without answers it fades', async (t) => {
  t.equal(fadedLatency(100, 0), 100)
  t.ok(Math.abs(fadedLatency(100, 10_000) - 36.79) < 0.01)
  t.equal(fadedLatency(100, -5), 100)
})

t.test('failures add up, however fast they come', async (t) => {
  t.equal(failedLatency(0, 0.2), 20, 'also where nothing was known')
  t.equal(failedLatency(80, 0.2), 160)
  t.equal(failedLatency(80, -1), 160, 'without an answer')
  t.equal(failedLatency(80, 900), 900, 'a slow one counts whole')
  let average = 0.5
  for (let i = 0; i < 50; i++) average = failedLatency(average, 0.2)
  t.equal(average, 60_000, 'and not without end')
})
