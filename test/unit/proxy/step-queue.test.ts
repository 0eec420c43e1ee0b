import { pino } from 'pino'
import t from 'tap'
import { type Stepping, StepQueue } from '../../../src/proxy/h2/step-queue.js'

const log = pino({ level: 'silent' })

/** A queue whose turns end when the test says so. */
function queue(): { readonly steps: StepQueue; turn(): void; waiting(): number } {
  const callbacks: (() => void)[] = []
  return {
    steps: new StepQueue(log, (callback) => callbacks.push(callback)),
    turn: () => callbacks.shift()?.(),
    waiting: () => callbacks.length,
  }
}

function counting(step: () => void = () => {}): Stepping & { steps: number; aborts: number } {
  return {
    steps: 0,
    aborts: 0,
    step() {
      this.steps++
      step()
    },
    abort() {
      this.aborts++
    },
  }
}

t.test('what waits has its step once, turn after turn, however many there were before', async (t) => {
  const { steps, turn, waiting } = queue()
  for (const count of [3, 1, 2000, 2, 1500, 5]) {
    const these = Array.from({ length: count }, () => counting())
    for (const one of these) steps.add(one)
    t.equal(waiting(), 1, 'one callback for all')
    turn()
    t.ok(these.every((one) => one.steps === 1))
    t.equal(waiting(), 0)
  }
})

t.test('what is added during a step waits for the next turn', async (t) => {
  const { steps, turn } = queue()
  const later = counting()
  const first = counting(() => steps.add(later))
  steps.add(first)
  turn()
  t.equal(later.steps, 0)
  turn()
  t.equal(later.steps, 1)
  t.equal(first.steps, 1)
})

t.test('a step that throws ends its own, and those behind it have theirs', async (t) => {
  const { steps, turn } = queue()
  const faulty = counting(() => {
    throw new Error('a fault')
  })
  const next = counting()
  steps.add(faulty)
  steps.add(next)
  turn()
  t.equal(faulty.aborts, 1)
  t.equal(next.steps, 1)
  turn()
  t.equal(faulty.steps, 1)
})
