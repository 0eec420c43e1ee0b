import t from 'tap'
import { ConnectionLimit } from '../../../src/control/connection-limit.js'
import type { Listening } from '../../../src/core/acceptor.js'
import { RECORD_FD, RECORD_WORDS } from '../../../src/core/connection-record.js'
import type { Logger } from '../../../src/observe/log.js'
import { eventually, never } from '../../integration/support/waiting.js'

interface Setting {
  readonly limit: ConnectionLimit
  /** Descriptors let in, in order. */
  readonly placed: number[]
  readonly discarded: number[]
  readonly warnings: string[]
  /** How many silent connections were asked to go, each time. */
  readonly sheds: number[]
  readonly paused: boolean
  close(count: number): void
}

function setting(max: number): Setting {
  const placed: number[] = []
  const discarded: number[] = []
  const warnings: string[] = []
  const sheds: number[] = []
  let open = 0
  let paused = false
  const admission = {
    get open() {
      return open
    },
    dispatch(records: Int32Array, count: number) {
      for (let i = 0; i < count; i++) placed.push(records[i * RECORD_WORDS + RECORD_FD]!)
      open += count
    },
    shed: (count: number) => sheds.push(count),
  }
  const listening: Listening = {
    address: '127.0.0.1',
    port: 1,
    fd: -1,
    mute: () => true,
    pause: () => (paused = true),
    resume: () => (paused = false),
    close: () => {},
  }
  const log = { warn: (_: object, message: string) => warnings.push(message) } as unknown as Logger
  return {
    limit: new ConnectionLimit(max, admission, [listening], log, (records, at) =>
      discarded.push(records[at + RECORD_FD]!),
    ),
    placed,
    discarded,
    warnings,
    sheds,
    get paused() {
      return paused
    },
    close: (count) => (open -= count),
  }
}

function records(from: number, count: number): Int32Array {
  const words = new Int32Array(count * RECORD_WORDS)
  for (let i = 0; i < count; i++) words[i * RECORD_WORDS + RECORD_FD] = from + i
  return words
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i)

t.test('below the limit everybody comes in', async (t) => {
  const s = setting(10)
  s.limit.admit(records(0, 4), 4)
  s.limit.admit(records(4, 5), 5)
  t.same(s.placed, upTo(9))
  t.notOk(s.paused)
  t.same(s.warnings, [])
})

t.test('at the limit accepting stops, and what came in the same batch waits its turn', async (t) => {
  const s = setting(10)
  t.teardown(() => s.limit.stop())
  s.limit.admit(records(0, 8), 8)
  s.limit.admit(records(8, 8), 8)
  t.same(s.placed, upTo(10), 'never more than the limit')
  t.ok(s.paused)
  t.equal(s.warnings.length, 1)
  s.close(1)
  await eventually('the next', () => s.placed.length === 11)
  t.ok(s.paused, 'others wait still')
  s.close(5)
  await eventually('all that waited', () => s.placed.length === 16)
  t.same(s.placed, upTo(16), 'in order')
  await never('accepting goes on while there is no room', () => !s.paused, 60)
  s.close(1)
  await eventually('accepting goes on', () => !s.paused)
})

t.test('who is accepted on another address in the same turn waits behind those that wait', async (t) => {
  const s = setting(2)
  t.teardown(() => s.limit.stop())
  s.limit.admit(records(0, 3), 3)
  s.close(1)
  s.limit.admit(records(3, 1), 1)
  t.same(s.placed, [0, 1], 'no overtaking')
  s.close(1)
  await eventually('both', () => s.placed.length === 4)
  t.same(s.placed, upTo(4))
})

t.test(
  'with many connections accepting begins again a little below the limit, so that it does not flutter',
  async (t) => {
    const s = setting(1_000)
    t.teardown(() => s.limit.stop())
    s.limit.admit(records(0, 1_000), 1_000)
    t.ok(s.paused)
    s.close(19)
    await never('resumed too soon', () => !s.paused, 60)
    s.close(1)
    await eventually('accepting goes on', () => !s.paused)
  },
)

t.test('it warns once, not at every connection', async (t) => {
  const s = setting(1)
  t.teardown(() => s.limit.stop())
  for (let i = 0; i < 5; i++) {
    s.limit.admit(records(i, 1), 1)
    s.close(1)
    await eventually('room', () => !s.paused)
  }
  t.equal(s.warnings.length, 1)
})

t.test('at the end those who wait are turned away', async (t) => {
  const s = setting(2)
  s.limit.admit(records(0, 5), 5)
  s.limit.stop()
  t.same(s.discarded, [2, 3, 4])
  s.close(2)
  await never('anybody let in after the end', () => s.placed.length > 2, 60)
})

t.test('without a limit nothing ever waits', async (t) => {
  const s = setting(Number.POSITIVE_INFINITY)
  for (let i = 0; i < 1_000; i++) s.limit.admit(records(0, 64), 64)
  t.equal(s.placed.length, 64_000)
  t.notOk(s.paused)
})

t.test('near the limit, and as long as it is reached, those that say nothing are asked to make way', async (t) => {
  const s = setting(32)
  t.teardown(() => s.limit.stop())
  s.limit.admit(records(0, 30), 30)
  t.same(s.sheds, [], 'there is room enough')
  s.limit.admit(records(30, 1), 1)
  t.same(s.sheds, [1])
  s.limit.admit(records(31, 4), 4)
  t.same(s.sheds, [1, 5], 'also for those that wait here')
  await eventually('asked again', () => s.sheds.length > 3)
})
