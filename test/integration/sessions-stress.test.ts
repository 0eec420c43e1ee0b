import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { ManualClock } from '../../src/core/clock.js'
import { blankEntry, type SessionRow } from '../../src/core/session-store.js'
import { SessionTable } from '../../src/shm/sessions.js'
import { checksumOf } from '../../src/shm/sessions-entry.js'
import {
  BUCKET_PLACES,
  createSessionTable,
  ENTRY_CHECKSUM,
  LOCK,
  LOCKS_BROKEN,
  SEQUENCE,
  SessionMemory,
  TORN_CLEARED,
} from '../../src/shm/sessions-layout.js'
import { keyText } from '../../src/shm/sessions-scan.js'
import { SEED, seededRandom } from '../random.js'
import {
  fillStressSession,
  HITS,
  isStressSession,
  OPERATIONS,
  STOP,
  type StressTask,
  stressKeys,
  stressRow,
  TICK,
  TORN,
  WRONG,
} from './support/session-stress.js'

const SECONDS = Number(process.env.CASTOR_STRESS_SECONDS ?? 6)
const THREADS = 4
const WORKER = new URL('./support/session-stress-worker.js', import.meta.url)
/** Far fewer places than keys: something is always being evicted. */
const CAPACITY = 1_200
const PRIMARY = 0

/** How much longer it goes on where what it needs to have seen has not happened yet, as on a busy machine. */
const MORE_SECONDS = 40

t.setTimeout((SECONDS + MORE_SECONDS + 60) * 1_000)

t.test('the sessions of this test show when they are mixed', async (t) => {
  const random = seededRandom(SEED)
  const [one, other] = [blankEntry(), blankEntry()]
  for (let round = 0; round < 2_000; round++) {
    const n = round % 50
    fillStressSession(one, n, round * 3 + 1, random() * 2 ** 32)
    fillStressSession(other, round % 3 === 0 ? n + 1 : n, round * 3 + 2, random() * 2 ** 32)
    t.ok(isStressSession(one, n)) || t.bailout('a whole one is refused')
    // Whether it was used is no part of what belongs together: any touch may have set it.
    const { used: _, ...numbers } = one
    const fields = Object.keys(numbers) as (keyof typeof numbers)[]
    const picked = fields.filter(() => random() < 0.5)
    if (picked.length === 0 || picked.length === fields.length) continue
    // Another last use with the expiry that belongs to it is what a touch leaves.
    if (picked.join() === 'expiresMs,touchedMs') continue
    const mixture = { ...one }
    for (const field of picked) mixture[field] = other[field]
    if (isStressSession(mixture, n)) t.fail(`${picked} of another session go unnoticed`)
  }
})

t.test(
  `${THREADS} threads for ${SECONDS} s, killed at random: nothing torn, no lock and no count left behind`,
  async (t) => {
    t.comment(`seed ${SEED}`)
    const random = seededRandom(SEED)
    const shared = createSessionTable(CAPACITY, THREADS + 1)
    const control = new SharedArrayBuffer(4 * stressRow(THREADS + 1))
    const words = new Int32Array(control)
    const memory = new SessionMemory(shared)
    const clock = new ManualClock(0, 0)
    const primary = new SessionTable(shared, PRIMARY, clock)
    const numbers = new Map(stressKeys().map((key, n) => [keyText(key), n]))
    const begunMs = performance.now()
    let deaths = 0
    let rowsShown = 0
    let started = 0

    const look = (rows: readonly SessionRow[]): void => {
      for (const row of rows) {
        rowsShown++
        if (!isStressSession(row, numbers.get(row.key) ?? -1)) t.fail('the scan shows a session that is none', { row })
      }
    }

    const sum = (word: number): number => {
      let total = 0
      for (let column = 1; column <= THREADS; column++) total += words[stressRow(column) + word]!
      return total
    }
    const ofPrimary = (count: number): number => memory.counts[memory.countsAt(PRIMARY) + count]!
    const hasSeenAll = (): boolean =>
      sum(HITS) > 1_000 && rowsShown > 100 && primary.counts().evictions > 100 && ofPrimary(LOCKS_BROKEN) > 0
    const goesOn = (): boolean => {
      const pastMs = performance.now() - begunMs - SECONDS * 1_000
      return pastMs < 0 || (pastMs < MORE_SECONDS * 1_000 && !hasSeenAll())
    }

    /** Keeps one column filled with threads, each living until it is killed or kills itself. */
    const keepKilling = async (column: number): Promise<void> => {
      while (goesOn()) {
        const diesAtCall = random() < 0.7 ? 1 + Math.floor(random() * 60_000) : 0
        const task: StressTask = { table: shared, control, column, seed: SEED + started++, diesAtCall }
        const worker = new Worker(WORKER, { workerData: task })
        const lifeMs = 100 + random() * 1_000
        let timer: NodeJS.Timeout | undefined
        worker.once('online', () => {
          timer = setTimeout(() => void worker.terminate(), lifeMs)
        })
        await once(worker, 'exit')
        clearTimeout(timer)
        deaths++
        primary.breakLocks(column)
      }
    }

    /** What the administration and the primary do meanwhile. */
    const watch = async (): Promise<void> => {
      for (let cursor = 0; goesOn(); ) {
        clock.nowMs = Atomics.load(words, TICK)
        const page = primary.scan(cursor, 100, -1)
        look(page.sessions)
        cursor = Math.max(0, page.next)
        primary.sweep(100)
        // As often as a primary has reason to; the processors are for the threads.
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
    }

    await Promise.all([watch(), ...Array.from({ length: THREADS }, (_, i) => keepKilling(i + 1))])
    Atomics.store(words, STOP, 1)

    const { entries, evictions, busy } = primary.counts()
    t.comment(
      `${sum(OPERATIONS)} operations, ${sum(HITS)} sessions found, ${rowsShown} shown, ${evictions} evicted, ${busy} writes ` +
        `gave up, ${deaths} threads died, ${ofPrimary(LOCKS_BROKEN)} of their locks broken, ${ofPrimary(TORN_CLEARED)} cleared`,
    )
    for (let column = 1; column <= THREADS; column++) {
      const row = stressRow(column)
      t.equal(words[row + TORN], 0, `column ${column} found nothing torn`)
      if (words[row + TORN] !== 0) t.comment(`the first: ${words.subarray(row + WRONG, row + WRONG + 8).join(' ')}`)
    }
    t.ok(sum(HITS) > 1_000, 'threads found sessions')
    t.ok(rowsShown > 100, 'the scan showed some')
    t.ok(evictions > 100, 'some were evicted')
    t.ok(ofPrimary(LOCKS_BROKEN) > 0, 'threads died with locks in their hands')

    const tick = words[TICK]!
    clock.nowMs = tick
    const keys = new Set<string>()
    let taken = 0
    for (let bucket = 0; bucket < memory.buckets; bucket++) {
      const headAt = memory.headAt(bucket)
      if (memory.words[headAt + LOCK] !== 0) t.fail(`bucket ${bucket} is locked by ${memory.words[headAt + LOCK]}`)
      if ((memory.words[headAt + SEQUENCE]! & 1) !== 0) t.fail(`bucket ${bucket} is half-written`)
      for (let place = 0; place < BUCKET_PLACES; place++) {
        if (memory.tags[memory.tagsAt(bucket) + place] === 0) continue
        taken++
        const at = memory.entryAt(bucket, place)
        keys.add(keyText(memory.words.subarray(at, at + 4)))
        if (memory.words[at + ENTRY_CHECKSUM] !== checksumOf(memory.words, at))
          t.fail(`bucket ${bucket} has a torn entry`)
      }
    }
    t.equal(keys.size, taken, 'no key lies in two places')
    t.equal(entries, taken, 'the count is what is there')

    // It is a table like any other afterwards.
    for (let cursor = 0; cursor >= 0; ) {
      const page = primary.scan(cursor, 1_000, -1)
      look(page.sessions)
      cursor = page.next
    }
    const session = blankEntry()
    for (const [n, key] of stressKeys().entries()) {
      fillStressSession(session, n, tick, 1)
      if (primary.put(key, session) !== 'done') t.fail(`session ${n} cannot be put`)
      if (!primary.find(key)) t.fail(`session ${n} is not found`)
    }
  },
)
