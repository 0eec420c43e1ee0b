import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import t from 'tap'
import type { Capacity } from '../../../src/core/shared-counters.js'
import { isOlder, NEWCOMER, WaitTable, waitTableBytes } from '../../../src/shm/waiting.js'
import { SEED } from '../../random.js'

const CAPACITY: Capacity = { workers: 3, listeners: 1, series: 1, rules: 1, groups: 2, targets: 5, sessions: 64 }

function make(capacity = CAPACITY): { table: WaitTable; shared: SharedArrayBuffer } {
  const shared = new SharedArrayBuffer(waitTableBytes(capacity, capacity.workers))
  const first = { first: { groups: 0, targets: 0 }, count: capacity, waiting: shared }
  return { table: new WaitTable(first, capacity.workers), shared }
}

t.test('places and the queue are never given out beyond their number', async (t) => {
  const { table } = make()
  t.same(
    [1, 2, 3].map(() => table.tryTake(4, 2)),
    [true, true, false],
  )
  t.equal(table.tryTake(3, 2), true, 'another target is another matter')
  table.giveBack(4)
  t.same(
    [1, 2].map(() => table.tryTake(4, 2)),
    [true, false],
  )
  t.same(
    [1, 2, 3].map((column) => table.tryEnter(column, 1, 2)),
    [true, true, false],
  )
  t.equal(table.tryEnter(1, 0, 0), false, 'nobody waits in a queue of none')
  table.leave(2, 1)
  t.equal(table.waiting(1), 1)
  t.equal(table.waiting(0), 0)
})

t.test('nothing overlaps: each word is found again as it was left', async (t) => {
  const { table } = make()
  const { workers, groups, targets } = CAPACITY
  for (let column = 0; column <= workers; column++) {
    for (let group = 0; group < groups; group++) {
      table.publish(column, group, -1, 1_000 + column * 10 + group)
      for (let wake = 0; wake < column; wake++) table.wake(column, group)
      for (let enter = 0; enter <= column; enter++) table.tryEnter(column, group, 1_000)
    }
    for (let slot = 0; slot < targets; slot++) table.publish(column, slot % groups, slot, 100 + column * 10 + slot)
  }
  for (let slot = 0; slot < targets; slot++) for (let take = 0; take <= slot; take++) table.tryTake(slot, 100)
  for (let group = 0; group < groups; group++) {
    t.equal(table.waiting(group), 10)
    for (let column = 0; column <= workers; column++) t.equal(table.wakes(column, group), column)
  }
  for (let slot = 0; slot < targets; slot++) {
    t.equal(table.inUse(slot), slot + 1)
    t.equal(table.oldest(slot % groups, slot, true), 0)
    t.ok(table.isTurn(slot % groups, slot, 100 + slot, true))
    t.notOk(table.isTurn(slot % groups, slot, 101 + slot, true))
  }
})

t.test('a turn is whose ticket is the oldest that can use the place', async (t) => {
  const { table } = make()
  t.equal(table.oldest(0, 2, true), -1)
  t.ok(table.isTurn(0, 2, NEWCOMER, true), 'nobody waits')
  table.publish(1, 0, -1, 7)
  table.publish(2, 0, 2, 5)
  t.equal(table.oldest(0, 2, true), 2, 'who waits for that one target came first')
  t.equal(table.oldest(0, 1, true), 1, 'and has no use for another')
  t.equal(table.oldest(1, 3, true), -1, 'another group')
  t.same(
    [5, 7, NEWCOMER].map((ticket) => table.isTurn(0, 2, ticket, true)),
    [true, false, false],
  )
  t.ok(table.isTurn(0, 1, 7, true))
  t.ok(table.isTurn(0, 1, 9, false), 'those who take any are not served there')
  t.equal(table.oldest(0, 1, false), -1)
  t.equal(table.oldest(0, 2, false), 2)
  table.publish(2, 0, 2, NEWCOMER)
  t.ok(table.isTurn(0, 2, 7, true))
})

t.test('tickets grow, skip the one that means none, and wrap', async (t) => {
  const { table, shared } = make()
  const words = new Int32Array(shared)
  words[0] = -2
  const tickets = Array.from({ length: 4 }, () => table.nextTicket(0))
  t.same(tickets, [-2, -1, 1, 2])
  words[0] = 0x7fff_fffe
  tickets.push(...Array.from({ length: 4 }, () => table.nextTicket(0)))
  t.same(tickets.slice(4), [0x7fff_fffe, 0x7fff_ffff, -0x8000_0000, -0x7fff_ffff])
  for (const group of [tickets.slice(0, 4), tickets.slice(4)]) {
    for (let i = 1; i < group.length; i++) {
      t.ok(isOlder(group[i - 1]!, group[i]!))
      t.notOk(isOlder(group[i]!, group[i - 1]!))
    }
  }
  t.ok(isOlder(5, NEWCOMER))
  t.notOk(isOlder(NEWCOMER, 5))
  t.notOk(isOlder(NEWCOMER, NEWCOMER))
})

t.test('whatever a thread held when it died is given back, and only that', async (t) => {
  t.comment(`seed ${SEED}`)
  const step = fc.record({ column: fc.integer({ min: 1, max: 3 }), slot: fc.nat({ max: 4 }), enter: fc.boolean() })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 3 }), (steps, dead) => {
      const { table } = make()
      const held = [0, 1, 2, 3].map(() => [0, 0, 0, 0, 0])
      const waits = [0, 1, 2, 3].map(() => [0, 0])
      for (const { column, slot, enter } of steps) {
        if (enter && table.tryEnter(column, slot % 2, 6)) {
          waits[column]![slot % 2]!++
          table.publish(column, slot % 2, slot, table.nextTicket(slot % 2))
        } else if (!enter && table.tryTake(slot, 4)) held[column]![slot]!++
      }
      table.retire(dead, (slot) => held[dead]![slot]!)
      held[dead] = [0, 0, 0, 0, 0]
      waits[dead] = [0, 0]
      for (let slot = 0; slot < 5; slot++) {
        if (table.inUse(slot) !== held.reduce((sum, own) => sum + own[slot]!, 0)) return false
        if (table.oldest(slot % 2, slot, true) === dead) return false
      }
      return [0, 1].every((group) => table.waiting(group) === waits.reduce((sum, own) => sum + own[group]!, 0))
    }),
    { seed: SEED, numRuns: 300 },
  )
})

t.test('a target without a limit has nothing to give back', async (t) => {
  const { table } = make()
  table.retire(1, () => 12)
  t.equal(table.inUse(0), 0)
})

t.test('a wake that comes before the sleep is not lost', async (t) => {
  const { table } = make()
  const seen = table.wakes(1, 0)
  table.wake(1, 0)
  t.equal(table.awaitWake(1, 0, seen), undefined, 'there is no sleep')
  const sleep = table.awaitWake(1, 0, table.wakes(1, 0))
  table.wake(1, 0)
  await sleep
  t.pass('and one that comes later ends it')
})

// By takes, not by tries: whoever finds every place held by threads that the system has stopped may try in vain for long.
const TAKER = `
import { workerData, parentPort } from 'node:worker_threads'
const { WaitTable } = await import(workerData.module)
const first = { first: { groups: 0, targets: 0 }, count: workerData.capacity, waiting: workerData.shared }
const table = new WaitTable(first, workerData.capacity.workers)
const now = new Int32Array(workerData.now)
let most = 0
let taken = 0
while (taken < workerData.takes) {
  if (!table.tryTake(0, workerData.limit)) continue
  taken++
  most = Math.max(most, Atomics.add(now, 0, 1) + 1)
  Atomics.sub(now, 0, 1)
  table.giveBack(0)
}
parentPort.postMessage({ most, taken })
`

t.test('several threads at once never hold more places than there are', async (t) => {
  const { shared, table } = make()
  const now = new SharedArrayBuffer(4)
  const module = new URL('../../../src/shm/waiting.js', import.meta.url).href
  const workerData = { shared, now, module, capacity: CAPACITY, limit: 2, takes: 20_000 }
  const results = await Promise.all(
    Array.from(
      { length: 4 },
      () =>
        new Promise<{ most: number; taken: number }>((resolve, reject) => {
          const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(TAKER)}`), { workerData })
          worker.once('message', resolve)
          worker.once('error', reject)
        }),
    ),
  )
  t.ok(
    results.every(({ most }) => most <= 2),
    JSON.stringify(results),
  )
  t.equal(table.inUse(0), 0)
})
