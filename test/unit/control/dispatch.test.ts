import t from 'tap'
import { Dispatcher, type Worker } from '../../../src/control/dispatch.js'
import { RECORD_FD, RECORD_WORDS } from '../../../src/core/connection-record.js'
import { Columns, createSharedCounters } from '../../../src/shm/columns.js'
import { ConnectionRing, createConnectionRing } from '../../../src/shm/connection-ring.js'
import { WORKER_CONNECTIONS_ACTIVE } from '../../../src/shm/layout.js'

class TestPlace implements Worker {
  readonly column: number
  readonly ring = new ConnectionRing(createConnectionRing())
  running = true
  wakes = 0
  readonly #columns: Columns

  constructor(column: number, columns: Columns) {
    this.column = column
    this.#columns = columns
  }

  wake(): void {
    this.wakes++
  }

  set open(count: number) {
    this.#columns.workerWords[this.#columns.workerAt(this.column) + WORKER_CONNECTIONS_ACTIVE] = count
  }

  /** Takes everything out of the ring: the descriptors, in order. */
  take(): number[] {
    const fds: number[] = []
    for (let at = this.ring.peek(); at >= 0; at = this.ring.peek()) {
      fds.push(this.ring.words[at + RECORD_FD]!)
      this.ring.advance()
    }
    return fds
  }
}

function setting(workers: number): { places: TestPlace[]; placement: Dispatcher; closed: number[] } {
  const columns = new Columns(
    createSharedCounters({ workers, listeners: 1, series: 1, rules: 1, groups: 1, targets: 1, sessions: 1 }),
  )
  const places = Array.from({ length: workers }, (_, i) => new TestPlace(i + 1, columns))
  const closed: number[] = []
  return {
    places,
    placement: new Dispatcher(columns, places, (records, at) => closed.push(records[at + RECORD_FD]!)),
    closed,
  }
}

/** Records with these descriptors. */
function records(...fds: number[]): Int32Array {
  const words = new Int32Array(fds.length * RECORD_WORDS)
  for (const [i, fd] of fds.entries()) words[i * RECORD_WORDS + RECORD_FD] = fd
  return words
}

const upTo = (count: number, from = 0): number[] => Array.from({ length: count }, (_, i) => from + i)

t.test('connections go where the fewest are open, those on their way counted', async (t) => {
  const { places, placement } = setting(3)
  const [first, second, third] = places as [TestPlace, TestPlace, TestPlace]
  first.open = 5
  second.open = 3
  third.open = 4
  placement.dispatch(records(...upTo(6)), 6)
  t.equal(first.ring.waiting, 1)
  t.equal(second.ring.waiting, 3)
  t.equal(third.ring.waiting, 2)
  t.equal(placement.open, 5 + 3 + 4 + 6)
})

t.test('where several have as few they take turns, over batches as well', async (t) => {
  const { places, placement } = setting(3)
  for (let fd = 0; fd < 7; fd++) {
    placement.dispatch(records(fd), 1)
    // Served at once: all are as idle as before.
    const got = places.findIndex(({ ring }) => ring.waiting === 1)
    t.equal(got, (fd + 1) % 3)
    places[got]!.take()
  }
})

t.test('a batch wakes each worker that got some once, and the others not', async (t) => {
  const { places, placement } = setting(3)
  places[2]!.open = 100
  placement.dispatch(records(...upTo(20)), 20)
  t.same(
    places.map(({ wakes }) => wakes),
    [1, 1, 0],
  )
  placement.dispatch(records(), 0)
  t.same(
    places.map(({ wakes }) => wakes),
    [1, 1, 0],
    'an empty batch wakes nobody',
  )
})

t.test('a worker that is starting is passed over while another is there', async (t) => {
  const { places, placement } = setting(2)
  places[0]!.running = false
  places[1]!.open = 1_000
  placement.dispatch(records(...upTo(3)), 3)
  t.equal(places[1]!.ring.waiting, 3)
  places[1]!.running = false
  placement.dispatch(records(7), 1)
  t.equal(places[0]!.ring.waiting, 1, 'with none there it waits with the one that has the fewest')
})

t.test(
  'when the ring of a worker is full the others get its share, and when all are, connections are closed',
  async (t) => {
    const { places, placement, closed } = setting(2)
    const [stuck, other] = places as [TestPlace, TestPlace]
    other.open = 1e6
    let fd = 0
    while (!stuck.ring.full) placement.dispatch(records(fd++), 1)
    t.equal(other.ring.waiting, 0)
    placement.dispatch(records(fd), 1)
    t.same(other.take(), [fd], 'the next goes to the one with room')
    while (!other.ring.full) placement.dispatch(records(fd++), 1)
    t.same(closed, [])
    placement.dispatch(records(1_000_000, 1_000_001), 2)
    t.same(closed, [1_000_000, 1_000_001])
  },
)

t.test('what waited for a worker that died goes to the others, in order and by their load', async (t) => {
  const { places, placement, closed } = setting(3)
  const [dead, second, third] = places as [TestPlace, TestPlace, TestPlace]
  second.open = 100
  third.open = 100
  placement.dispatch(records(...upTo(4, 50)), 4)
  t.equal(dead.ring.waiting, 4)
  second.open = 10
  third.open = 10
  dead.running = false
  placement.replace(dead)
  t.equal(dead.ring.waiting, 0)
  t.same([...second.take(), ...third.take()].sort(), [50, 51, 52, 53])
  t.same([second.wakes, third.wakes], [1, 1])
  t.same(closed, [])
})

t.test('with nobody else there it waits for the worker to come back', async (t) => {
  const { places, placement, closed } = setting(2)
  for (const place of places) place.running = false
  placement.dispatch(records(...upTo(4)), 4)
  placement.replace(places[0]!)
  t.equal(places[0]!.ring.waiting, 2)
  t.same(closed, [])
})

t.test('what the others have no room for waits for the successor of a worker that died', async (t) => {
  const { places, placement, closed } = setting(2)
  const [dead, other] = places as [TestPlace, TestPlace]
  other.running = false
  placement.dispatch(records(1, 2, 3), 3)
  dead.running = false
  other.running = true
  for (let fd = 100; !other.ring.full; fd++) other.ring.push(records(fd), 0)
  placement.replace(dead)
  t.same(dead.take(), [1, 2, 3])
  t.same(closed, [])
})
