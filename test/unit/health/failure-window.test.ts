import t from 'tap'
import { countSource, FailureWindow } from '../../../src/health/failure-window.js'
import { sourceHash } from '../../../src/health/source-hash.js'
import { Columns, createSharedCounters } from '../../../src/shm/columns.js'
import { TARGET_BAD_OUTCOMES, TARGET_GOOD_OUTCOMES } from '../../../src/shm/layout.js'

const CAPACITY = { workers: 2, listeners: 1, series: 1, rules: 1, groups: 2, targets: 2, sessions: 12 }
const WINDOW_MS = 10_000
const NOW_MS = 1_700_000_000_000

const endpoint = (address: string) => ({
  family: address.includes(':') ? (6 as const) : (4 as const),
  address,
  port: 1,
})

t.test('outcomes are those of all threads within the window, and old ones are forgotten', async (t) => {
  const columns = new Columns(createSharedCounters(CAPACITY))
  const window = new FailureWindow(columns, 1, WINDOW_MS)
  const count = (column: number, good: number, bad: number, source: number): void => {
    const { words } = columns.target(1)
    const at = columns.target(1).at(column)
    words[at + TARGET_GOOD_OUTCOMES]! += good
    words[at + TARGET_BAD_OUTCOMES]! += bad
    for (let i = 0; i < bad; i++) countSource(words, at, source)
  }
  window.step(0)
  count(1, 5, 3, 0x12)
  count(2, 1, 2, 0x12)
  t.same(window.outcomes(0), { good: 6, bad: 5, heaviest: 5 }, 'one source, over two threads')
  count(2, 0, 4, 0x34)
  t.same(window.outcomes(500), { good: 6, bad: 9, heaviest: 5 })
  for (let ms = 1_000; ms <= 10_000; ms += 1_000) window.step(ms)
  t.same(window.outcomes(10_000), { good: 6, bad: 9, heaviest: 5 }, 'the whole window')
  count(1, 1, 1, 0x56)
  t.same(window.outcomes(10_500), { good: 1, bad: 1, heaviest: 1 }, 'what is older counts no more')
  window.restart(10_600)
  t.same(window.outcomes(10_700), { good: 0, bad: 0, heaviest: 0 })
})

t.test('sources that share a bucket of one row are told apart by the other', async (t) => {
  const columns = new Columns(createSharedCounters(CAPACITY))
  const window = new FailureWindow(columns, 0, WINDOW_MS)
  window.step(0)
  const { words } = columns.target(0)
  const at = columns.target(0).at(1)
  for (const source of [0x01, 0x11, 0x21]) {
    words[at + TARGET_BAD_OUTCOMES]!++
    countSource(words, at, source)
  }
  t.equal(window.outcomes(0).heaviest, 1)
})

t.test('a source is an IPv4 address, or the network of an IPv6 one', async (t) => {
  const hash = (address: string): number => sourceHash(endpoint(address))
  t.equal(hash('192.0.2.1'), hash('192.0.2.1'))
  t.not(hash('192.0.2.1'), hash('192.0.2.2'))
  t.equal(hash('2001:db8::1'), hash('2001:db8:0:0:ffff::2'))
  t.not(hash('2001:db8::1'), hash('2001:db8:0:1::1'))
})

t.test(
  'whether a group has one source or several is known to every thread, and forgotten after a window',
  async (t) => {
    const shared = createSharedCounters(CAPACITY)
    const [first, second] = [new Columns(shared), new Columns(shared)].map((columns) => columns.sourcesOf(1, WINDOW_MS))
    t.notOk(first!.areSeveral(NOW_MS), 'nobody yet')
    t.notOk(first!.note(7, NOW_MS))
    t.notOk(second!.note(7, NOW_MS + 5_000), 'the same again')
    t.ok(second!.note(8, NOW_MS + 14_000))
    t.ok(first!.areSeveral(NOW_MS + 20_000))
    t.ok(first!.note(7, NOW_MS + 20_000))
    t.notOk(first!.areSeveral(NOW_MS + 25_000), 'the other was not seen for a window')
    t.notOk(second!.note(9, NOW_MS + 40_000), 'one that is long gone makes room')
    t.notOk(new Columns(shared).sourcesOf(0, WINDOW_MS).areSeveral(NOW_MS + 14_000), 'a group is not told of another’s')
  },
)
