import t from 'tap'
import { CHECK_HEALTHY, CHECK_INITIAL, CHECK_UNCHECKED, CHECK_UNHEALTHY } from '../../../src/core/target-state.js'
import { nextCheckMs, nextVerdict } from '../../../src/health/thresholds.js'

const LETTERS = new Map([
  [CHECK_UNCHECKED, 'n'],
  [CHECK_INITIAL, 'i'],
  [CHECK_HEALTHY, 'h'],
  [CHECK_UNHEALTHY, 'u'],
])

/** Results are + and −; the verdicts come back as letters, one a result. */
const CASES: readonly [string, number, string, string][] = [
  ['the first check decides: well', CHECK_INITIAL, '+', 'h'],
  ['the first check decides: ill', CHECK_INITIAL, '-', 'u'],
  ['a target nobody checked is decided on by one check too', CHECK_UNCHECKED, '-', 'u'],
  ['three failures in a row take a target out', CHECK_HEALTHY, '---', 'hhu'],
  ['a pass between failures begins the row anew', CHECK_HEALTHY, '--+--', 'hhhhh'],
  ['two passes in a row bring it back', CHECK_UNHEALTHY, '++', 'uh'],
  ['a failure between passes begins the row anew', CHECK_UNHEALTHY, '+-+-++', 'uuuuuh'],
  ['after a change the next row begins at nothing', CHECK_HEALTHY, '---++---', 'hhuuhhhu'],
]

for (const [name, first, results, verdicts] of CASES) {
  t.test(name, async (t) => {
    let verdict = { state: first, streak: 0 }
    let seen = ''
    for (const result of results) {
      verdict = nextVerdict(verdict, result === '+', { healthy: 2, unhealthy: 3 })
      seen += LETTERS.get(verdict.state)
    }
    t.equal(seen, verdicts)
  })
}

t.test(
  'the next check comes after the interval, give or take a twentieth, or soon when the last was a surprise',
  async (t) => {
    const calm = { state: CHECK_HEALTHY, streak: 0 }
    const surprised = { state: CHECK_HEALTHY, streak: 1 }
    t.equal(nextCheckMs(1_000, calm, 0), 950)
    t.equal(nextCheckMs(1_000, calm, 0.5), 1_000)
    t.equal(nextCheckMs(5_000, surprised, 0.5), 1_000)
    t.equal(nextCheckMs(300, surprised, 0.5), 100, 'at least 100 ms')
    t.equal(nextCheckMs(50, surprised, 0.5), 50, 'never later than the interval')
  },
)
