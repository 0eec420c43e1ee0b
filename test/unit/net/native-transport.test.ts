import t from 'tap'
import { ManualClock } from '../../../src/core/clock.js'
import type { Conn } from '../../../src/core/conn.js'
import {
  RECORD_ADDRESS,
  RECORD_FAMILY,
  RECORD_FD,
  RECORD_PORT,
  RECORD_WORDS,
} from '../../../src/core/connection-record.js'
import { EPOLLIN, EPOLLOUT } from '../../../src/native/addon.js'
import { NativeTransport } from '../../../src/net/native-transport.js'
import { Recorder } from '../../contract/recorder.js'
import { FakeAddon } from './fake-addon.js'

function setUp() {
  const addon = new FakeAddon()
  const faults: unknown[] = []
  const transport = new NativeTransport(addon, new ManualClock(), (fault) => faults.push(fault))
  return { addon, faults, transport }
}

function recordOf(fd: number): Int32Array {
  const record = new Int32Array(RECORD_WORDS)
  record[RECORD_FD] = fd
  record[RECORD_FAMILY] = 4
  record[RECORD_PORT] = 40_000 + fd
  record[RECORD_ADDRESS] = 0x0100007f
  return record
}

const nextTurn = (): Promise<void> => new Promise(setImmediate)

t.test('an event for a descriptor that was closed and given out again in the same turn is nobody’s', async (t) => {
  const { addon, transport } = setUp()
  const fresh = new Recorder()
  let dialled: Conn | undefined
  const second = new Recorder()
  const first = new Recorder({
    data() {
      other.abort()
      addon.dials.push(8)
      dialled = transport.dial('127.0.0.1', 80, fresh)
    },
  })
  transport.adopt(recordOf(7), 0, undefined, first)
  const other = transport.adopt(recordOf(8), 0, undefined, second)
  addon.incoming.set(7, 10).set(8, 10)
  addon.fire([7, addon.tags.get(7)!, EPOLLIN], [8, addon.tags.get(8)!, EPOLLIN | EPOLLOUT])
  t.same(first.log, ['data'])
  t.same(second.log, ['close'])
  t.same(fresh.log, [], 'it is not open because another one was writable')
  addon.fire([8, addon.tags.get(8)!, EPOLLOUT])
  t.same(fresh.log, ['open'])
  t.equal(dialled?.closed, false)
})

t.test('no two connections have the same tag, none that of a watch', async (t) => {
  const { addon, transport } = setUp()
  const seen = new Set<number>()
  for (let i = 0; i < 1_000; i++) {
    const conn = transport.adopt(recordOf(5), 0, undefined, new Recorder())
    seen.add(addon.tags.get(5)!)
    conn.abort()
  }
  t.equal(seen.size, 1_000)
  t.notOk(seen.has(0))
})

t.test('a dial whose descriptor cannot be watched closes it once, before the number can be another’s', async (t) => {
  const { addon, transport } = setUp()
  const failed = new Recorder()
  addon.dials.push(9)
  addon.adoptErrors.set(9, -28)
  const conn = transport.dial('127.0.0.1', 80, failed)
  t.same(addon.calls, ['adopt 9', 'closeFd 9 1'])
  addon.adoptErrors.clear()
  const lucky = new Recorder()
  transport.adopt(recordOf(9), 0, undefined, lucky)
  t.same(failed.log, [], 'not before dial has returned')
  await failed.untilLogged('close')
  t.same(failed.log, ['close CONNECT_FAILED'])
  t.match(failed.cause?.message, 'E28')
  t.equal(conn.closed, true)
  t.same(lucky.log, [])
  t.notOk(addon.calls.some((call) => call.startsWith('drop')))
  addon.incoming.set(9, 3)
  addon.fireReadable(9)
  t.same(lucky.log, ['data'], 'the number’s new owner is not disturbed')
  t.equal(transport.size, 1)
})

t.test('an accepted connection that cannot be watched is closed, and the caller told', async (t) => {
  const { addon, transport } = setUp()
  addon.adoptErrors.set(5, -28)
  t.throws(() => transport.adopt(recordOf(5), 0, undefined, new Recorder()), {
    code: 'OUT_OF_DESCRIPTORS',
    message: /E28/,
  })
  t.same(addon.calls, ['adopt 5', 'closeFd 5 1'])
  t.equal(transport.size, 0)
})

t.test('what was not read to the end has its turn beside others, and the loop its own', async (t) => {
  const { addon, transport } = setUp()
  const greedy = new Recorder()
  const modest = new Recorder()
  transport.adopt(recordOf(5), 0, undefined, greedy).readSize = 100
  transport.adopt(recordOf(6), 0, undefined, modest)
  addon.incoming.set(5, 1_050).set(6, 10)
  addon.later.push([[6, addon.tags.get(6)!, EPOLLIN]])
  addon.fireReadable(5)
  t.equal(modest.bytes, 10, 'the other was served meanwhile')
  t.ok(greedy.bytes < 1_050, 'and the turn came to an end')
  const before = greedy.bytes
  await nextTurn()
  t.ok(greedy.bytes > before, 'the rest follows without an event')
  await greedy.untilBytes(1_050)
  t.ok(Math.max(...greedy.reads) <= 100)
})

t.test('a fault in one handler costs one connection and is told of', async (t) => {
  const { addon, transport, faults } = setUp()
  const fault = new Error('a fault')
  const recorders = [5, 6, 7].map((fd) => {
    const recorder = new Recorder({
      data() {
        if (fd !== 7) throw fault
      },
      close() {
        // Even who cannot be told of the end must not take others along.
        if (fd === 6) throw fault
      },
    })
    transport.adopt(recordOf(fd), 0, undefined, recorder)
    addon.incoming.set(fd, 10)
    return recorder
  })
  addon.fireReadable(5, 6, 7)
  t.same(
    recorders.map(({ log }) => log),
    [['data', 'close'], ['data', 'close'], ['data']],
  )
  t.same(faults, [fault, fault, fault])
  t.ok(addon.calls.includes('drop 5 1') && addon.calls.includes('drop 6 1'))
  t.equal(transport.size, 1)
})

t.test('an onClose that throws is not the fault of who aborted', async (t) => {
  const { addon, transport, faults } = setUp()
  const fault = new Error('a fault')
  const victim = transport.adopt(
    recordOf(5),
    0,
    undefined,
    new Recorder({
      close() {
        throw fault
      },
    }),
  )
  const other = new Recorder({ data: () => victim.abort() })
  transport.adopt(recordOf(6), 0, undefined, other)
  addon.incoming.set(6, 10)
  addon.fireReadable(6)
  t.same(other.log, ['data'])
  t.same(faults, [fault])
})

t.test('watched descriptors are the caller’s', async (t) => {
  const { addon, transport } = setUp()
  let woken = 0
  transport.watch(3, () => woken++)
  addon.fire([3, 0, EPOLLIN])
  addon.fire([4, 0, EPOLLIN])
  t.equal(woken, 1)
  transport.unwatch(3)
  addon.fire([3, 0, EPOLLIN])
  t.equal(woken, 1)
  addon.watchError = -9
  t.throws(() => transport.watch(99, () => {}), { code: 'NATIVE_UNAVAILABLE', message: /E9/ })
  transport.dispose()
  t.same(addon.calls, ['watch 3', 'release 3', 'watch 99', 'pollerClose'])
})

t.test('dispose within a turn: nothing comes after it, and dials fail', async (t) => {
  const { addon, transport } = setUp()
  const retried = new Recorder()
  const recorders = [
    new Recorder({ data: () => transport.dispose() }),
    new Recorder({
      close() {
        transport.dial('127.0.0.1', 80, retried)
      },
    }),
    new Recorder(),
  ]
  for (const [i, recorder] of recorders.entries()) transport.adopt(recordOf(5 + i), 0, undefined, recorder)
  addon.dials.push(-111)
  const failing = new Recorder()
  transport.dial('127.0.0.1', 80, failing)
  for (const fd of [5, 6, 7]) addon.incoming.set(fd, 10)
  addon.fireReadable(5, 6, 7)
  t.same(
    recorders.map(({ log }) => log),
    [['data', 'close'], ['close'], ['close']],
  )
  t.same(failing.log, ['close CONNECT_FAILED'])
  await retried.untilLogged('close')
  t.same(retried.log, ['close CONNECT_FAILED'])
  t.equal(transport.size, 0)
  t.throws(() => transport.adopt(recordOf(9), 0, undefined, new Recorder()), { code: 'OUT_OF_DESCRIPTORS' })
  transport.dispose()
  t.equal(addon.calls.filter((call) => call === 'pollerClose').length, 1)
})

t.test('without a poller there is no transport', async (t) => {
  const addon = new FakeAddon()
  addon.openError = -17
  t.throws(() => new NativeTransport(addon, new ManualClock(), () => {}), {
    code: 'NATIVE_UNAVAILABLE',
    message: /E17/,
  })
})
