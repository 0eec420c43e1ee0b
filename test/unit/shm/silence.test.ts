import t from 'tap'
import { pollMs, Silence } from '../../../src/shm/silence.js'

const PERIOD_MS = 100

t.test('silence is the time without a turn, as far as the looking thread was awake', (t) => {
  const cases: { name: string; looks: [turns: number, sinceMs: number][]; silentMs: number }[] = [
    { name: 'the first look', looks: [[5, 100]], silentMs: 0 },
    {
      name: 'a thread that turns',
      looks: [
        [5, 100],
        [6, 100],
        [7, 100],
      ],
      silentMs: 0,
    },
    {
      name: 'one that stands still',
      looks: [
        [5, 100],
        [5, 100],
        [5, 90],
      ],
      silentMs: 190,
    },
    {
      name: 'one that turns again',
      looks: [
        [5, 100],
        [5, 100],
        [6, 100],
      ],
      silentMs: 0,
    },
    {
      name: 'a count that has wrapped',
      looks: [
        [2 ** 31 - 1, 100],
        [-(2 ** 31), 100],
      ],
      silentMs: 0,
    },
    {
      name: 'a process that was stopped for a minute',
      looks: [
        [5, 100],
        [5, 60_000],
      ],
      silentMs: PERIOD_MS,
    },
    {
      name: 'two looks close together after it',
      looks: [
        [5, 100],
        [5, 60_000],
        [5, 1],
      ],
      silentMs: PERIOD_MS + 1,
    },
  ]
  for (const { name, looks, silentMs } of cases) {
    const silence = new Silence()
    let last = 0
    for (const [turns, sinceMs] of looks) last = silence.look(turns, sinceMs, PERIOD_MS)
    t.equal(last, silentMs, name)
  }
  const silence = new Silence()
  silence.look(5, 100, PERIOD_MS)
  silence.look(5, 100, PERIOD_MS)
  silence.reset()
  t.equal(silence.look(5, 100, PERIOD_MS), 0, 'another thread begins anew')
  t.end()
})

t.test('a limit is looked after at least ten times, and no less often than once a second', (t) => {
  t.equal(pollMs(1_000), 100)
  t.equal(pollMs(10_000), 1_000)
  t.equal(pollMs(600_000), 1_000)
  t.equal(pollMs(0), 1_000)
  t.end()
})
