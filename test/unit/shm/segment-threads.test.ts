import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { CHECK_UNCHECKED } from '../../../src/core/target-state.js'
import { Columns, createSharedCounters } from '../../../src/shm/columns.js'
import { TARGET_REQUESTS } from '../../../src/shm/layout.js'
import { TargetTable } from '../../../src/shm/targets.js'
import type { Counted, ToCounter } from './segment-counter.js'

const THREADS = 2
const GROWTHS = [{ targets: 3 }, { targets: 30, groups: 2 }, { groups: 20 }, { targets: 80, listeners: 5 }]
const GROUPS = 34

t.test('threads that count while the tables grow under them lose nothing and mix nothing up', async (t) => {
  const capacity = { workers: THREADS + 1, listeners: 1, series: 1, rules: 1, groups: 1, targets: 2, sessions: 64 }
  const columns = new Columns(createSharedCounters(capacity))
  const table = new TargetTable(columns.shared.segments)
  const workers: Worker[] = []
  const start = async (): Promise<void> => {
    const workerData = { shared: columns.shared, column: workers.length + 1, groups: GROUPS }
    const worker = new Worker(new URL('segment-counter.js', import.meta.url), { workerData })
    workers.push(worker)
    await once(worker, 'message')
  }
  const occupy = (from: number): void => {
    for (let slot = from; slot < columns.capacity.targets; slot++) table.occupy(slot, slot + 1, CHECK_UNCHECKED, 0)
  }
  occupy(0)
  for (let i = 0; i < THREADS; i++) await start()
  for (const needed of GROWTHS) {
    const before = columns.capacity.targets
    const segment = columns.grow(needed)!
    table.addSegment(segment)
    occupy(before)
    // They count in it while the primary goes on writing.
    const known = workers.map((worker) => once(worker, 'message'))
    for (const worker of workers) worker.postMessage({ segment } satisfies ToCounter)
    for (let slot = 0; slot < columns.capacity.targets; slot++) table.setWeight(slot, slot + 1)
    for (const [targets] of await Promise.all(known)) t.equal(targets, columns.capacity.targets)
  }
  // One that starts now is given all segments, and one of them again.
  await start()
  const again = once(workers.at(-1)!, 'message')
  workers.at(-1)!.postMessage({ segment: columns.shared.segments.at(-1)! } satisfies ToCounter)
  t.same(await again, [columns.capacity.targets])
  const counted = await Promise.all(
    workers.map(async (worker) => {
      const last = once(worker, 'message') as Promise<[Counted]>
      worker.postMessage('stop' satisfies ToCounter)
      const [[counts]] = await Promise.all([last, once(worker, 'exit')])
      return counts
    }),
  )
  const slots = Array.from({ length: columns.capacity.targets }, (_, slot) => slot)
  const total = (of: 'requests' | 'tickets', at: number): number =>
    counted.reduce((sum, counts) => sum + (counts[of][at] ?? 0), 0)
  const check = (name: string): void => {
    t.same(
      slots.filter((slot) => columns.target(slot).sum(TARGET_REQUESTS) !== total('requests', slot)),
      [],
      `every request is counted at its target ${name}`,
    )
  }
  check('')
  t.ok(counted.every(({ requests }) => requests.length === slots.length))
  t.same(
    slots.filter((slot) => table.failuresInARow(slot) !== total('requests', slot)),
    [],
    'what all threads add to',
  )
  t.same(
    slots.filter((slot) => columns.inFlight(slot) !== 0 || columns.waiting.inUse(slot) !== 0),
    [],
  )
  t.same(
    counted.flatMap(({ strange }) => strange),
    [],
  )
  t.ok(counted.every(({ taken }) => slots.some((slot) => taken[slot]! > 0)))
  t.same(
    Array.from({ length: GROUPS }, (_, group) => columns.nextTicket(group)),
    Array.from({ length: GROUPS }, (_, group) => total('tickets', group)),
    'a ticket each',
  )
  // The threads have ended: what they counted stands, in every segment.
  for (let column = 1; column <= THREADS + 1; column++) columns.retire(column)
  check('after their deaths')
})

t.test('a client’s session at a target whose segment has not come yet is none', async (t) => {
  const shared = createSharedCounters({
    workers: 1,
    listeners: 1,
    series: 1,
    rules: 1,
    groups: 1,
    targets: 2,
    sessions: 64,
  })
  const [columns, table] = [new Columns(shared), new TargetTable(shared.segments)]
  const segment = columns.grow({ targets: 3 })!
  const thread = new TargetTable(shared.segments)
  table.addSegment(segment)
  const generation = table.occupy(2, 5, CHECK_UNCHECKED, 0)
  t.equal(thread.generation(2), 0, 'which no target has')
  t.throws(() => thread.weight(2), RangeError, 'nobody asks for more of a slot that is in no list')
  thread.addSegment(segment)
  t.equal(thread.generation(2), generation)
  t.equal(thread.weight(2), 5)
  t.throws(() => thread.addSegment({ ...segment, index: 5 }), RangeError)
})

t.test('what is of no slot is told once, wherever it is read', async (t) => {
  const shared = createSharedCounters({
    workers: 1,
    listeners: 1,
    series: 1,
    rules: 1,
    groups: 1,
    targets: 2,
    sessions: 64,
  })
  const columns = new Columns(shared)
  const table = new TargetTable(shared.segments)
  table.addSegment(columns.grow({ targets: 3 })!)
  const before = table.changes
  table.setWeight(2, 5)
  table.probeLists = 7
  table.probeSnapshot = 8
  table.meshSnapshot = 9
  const other = new TargetTable(columns.shared.segments)
  t.same([other.changes, other.probeLists, other.probeSnapshot, other.meshSnapshot], [before + 1, 7, 8, 9])
})
