import { workerData } from 'node:worker_threads'
import { ManualClock } from '../../../src/core/clock.js'
import { blankEntry } from '../../../src/core/session-store.js'
import { SessionTable } from '../../../src/shm/sessions.js'
import { seededRandom } from '../../random.js'
import {
  fillStressSession,
  HITS,
  isStressSession,
  OPERATIONS,
  STOP,
  STRESS_KEYS,
  type StressTask,
  stressKeys,
  stressRow,
  stressTimeout,
  TICK,
  TORN,
  WRONG,
} from './session-stress.js'

/** Finds, puts, touches and drops sessions as fast as it can, and looks closely at every one it is shown. */
const task = workerData as StressTask
const control = new Int32Array(task.control)
const row = stressRow(task.column)
const clock = new ManualClock(0, 0)
const table = new SessionTable(task.table, task.column, clock)
const keys = stressKeys()
const random = seededRandom(task.seed)
const session = blankEntry()

if (task.diesAtCall > 0) dieAtCall(task.diesAtCall)

while (Atomics.load(control, STOP) === 0) {
  const tick = Atomics.add(control, TICK, 1)
  clock.nowMs = tick
  // A few keys are asked for all the time, as clients are.
  const n = Math.floor(random() * (random() < 0.3 ? 20 : STRESS_KEYS))
  const key = keys[n]!
  const what = random()
  if (what < 0.55) {
    if (table.find(key)) check(n)
  } else if (what < 0.75) {
    fillStressSession(session, n, tick, random() * 2 ** 32)
    table.put(key, session)
  } else if (what < 0.95) {
    table.touch(key, stressTimeout(n))
  } else if (what < 0.99) {
    table.drop(key)
  } else {
    table.sweep(50)
  }
  control[row + OPERATIONS]!++
}

function check(n: number): void {
  const { found } = table
  control[row + HITS]!++
  if (isStressSession(found, n)) return
  if (control[row + TORN]!++ > 0) return
  const { group, targetSlot, generation, expiresMs, touchedMs, versionHigh, versionLow } = found
  const wrong = [n, group, targetSlot, generation, expiresMs, touchedMs, versionHigh, versionLow]
  for (const [i, value] of wrong.entries()) control[row + WRONG + i] = value
}

/** Ends the thread in the middle of what it does: with a lock taken, with a bucket half-written, with one lock of two. */
function dieAtCall(last: number): void {
  let calls = 0
  const dying =
    <Arguments extends unknown[], Result>(call: (...given: Arguments) => Result) =>
    (...given: Arguments): Result => {
      const result = call(...given)
      if (++calls === last) process.exit(0)
      return result
    }
  const { load, store, compareExchange } = Atomics
  Object.assign(Atomics, { load: dying(load), store: dying(store), compareExchange: dying(compareExchange) })
}
