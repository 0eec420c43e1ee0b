import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { RECORD_WORDS } from '../../../src/core/connection-record.js'
import { ConnectionRing, createConnectionRing } from '../../../src/shm/connection-ring.js'
import type { ConsumerTask } from './ring-consumer.js'

const CAPACITY = 4_096
/** Words, as the ring's own drawing says. */
const HEAD = 0
const TAIL = 32

/** A ring through which `position` records have passed already, modulo 2^32. */
function ringAt(position: number): ConnectionRing {
  const ring = new ConnectionRing(createConnectionRing())
  ring.words[HEAD] = position
  ring.words[TAIL] = position
  return ring
}

/** No two words of any two records are the same. */
function record(sequence: number): Int32Array {
  return Int32Array.from({ length: RECORD_WORDS }, (_, word) => sequence * RECORD_WORDS + word)
}

function take(ring: ConnectionRing): Int32Array | undefined {
  const at = ring.peek()
  if (at < 0) return undefined
  const taken = ring.words.slice(at, at + RECORD_WORDS)
  ring.advance()
  return taken
}

t.test('a record stays where it is until it is taken, and what is pushed from is the pusher’s again', async (t) => {
  const ring = ringAt(0)
  const batch = Int32Array.from([...record(99), ...record(1), ...record(2)])
  ring.push(batch, RECORD_WORDS)
  ring.push(batch, 2 * RECORD_WORDS)
  batch.fill(0)
  t.equal(ring.peek(), ring.peek())
  t.same(take(ring), record(1))
  t.same(take(ring), record(2))
  t.equal(take(ring), undefined)
})

t.test('a full ring takes no more and loses nothing, wherever it stands', async (t) => {
  for (const position of [0, 1, CAPACITY - 1, 2 ** 31 - 3, 2 ** 31, 2 ** 32 - CAPACITY, 2 ** 32 - 5, 2 ** 32 - 1]) {
    const ring = ringAt(position)
    for (let i = 0; i < CAPACITY; i++) if (!ring.push(record(i), 0)) t.fail(`full after ${i} records`)
    t.equal(ring.waiting, CAPACITY, `at ${position}`)
    t.equal(ring.push(record(-1), 0), false)
    t.equal(ring.push(record(-1), 0), false)
    t.same(take(ring), record(0))
    t.equal(ring.push(record(CAPACITY), 0), true, 'there is room for one again')
    t.equal(ring.push(record(-1), 0), false)
    for (let i = 1; i <= CAPACITY; i++) {
      const taken = take(ring)
      if (taken?.[0] !== i * RECORD_WORDS) t.fail(`record ${i} at ${position} is ${taken}`)
    }
    t.equal(ring.waiting, 0)
    t.equal(ring.peek(), -1)
  }
})

t.test('between two threads nothing is lost, doubled or torn, across the wrap', async (t) => {
  const records = 100_000
  const shared = createConnectionRing()
  const ring = new ConnectionRing(shared)
  ring.words[HEAD] = 2 ** 32 - records / 2
  ring.words[TAIL] = 2 ** 32 - records / 2
  const counted = new SharedArrayBuffer(Float64Array.BYTES_PER_ELEMENT)
  const own = new Float64Array(counted)
  const task: ConsumerTask = { shared, records, counted }
  const consumer = new Worker(new URL('./ring-consumer.js', import.meta.url), { workerData: task })
  const reported = once(consumer, 'message')
  let refused = 0
  let uncounted = 0
  for (let sequence = 0; sequence < records; sequence++) {
    const next = record(sequence)
    while (!ring.push(next, 0)) {
      refused++
      await new Promise(setImmediate)
    }
    // In the dispatcher's order: what is on its way, then what the consumer counts.
    const unsettled = ring.unsettled
    if (unsettled + own[0]! < sequence + 1) uncounted++
    if (ring.waiting > CAPACITY) t.fail(`${ring.waiting} records wait`)
  }
  const [{ problem, most, left }] = await reported
  t.equal(problem, undefined)
  t.equal(uncounted, 0, 'a record is counted from when it is put in')
  t.ok(most <= CAPACITY)
  t.equal(left, 0)
  t.comment(`${refused} times full, at most ${most} waiting`)
})
