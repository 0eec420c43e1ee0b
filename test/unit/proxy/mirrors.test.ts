import t from 'tap'
import { ManualClock } from '../../../src/core/clock.js'
import type { SocketShare } from '../../../src/core/conn.js'
import { DialRoom } from '../../../src/net/dial-room.js'
import { MIRROR_RESULTS, SERIES_MIRRORED } from '../../../src/shm/layout.js'
import { MemoryThread } from './memory-thread.js'

const A = '192.0.2.11'
const B = '192.0.2.12'
const group = (name: string, address: string, more: object = {}): Record<string, unknown> => ({
  name,
  protocol: 'http',
  healthCheck: { protocol: 'off' },
  targets: [{ address: `${address}:80` }],
  ...more,
})

/** A thread whose requests go to A, and copies of them to B. */
const mirroring = (requestHeaders: object = {}, shadow: object = {}): MemoryThread =>
  new MemoryThread({
    listeners: [
      {
        name: 'web',
        protocol: 'http',
        listen: '192.0.2.1:80',
        targetGroup: 'one',
        rules: [{ match: { path: '/*' }, forward: 'one', mirror: 'two', requestHeaders }],
      },
    ],
    targetGroups: [group('one', A), group('two', B, shadow)],
  })

/** Of all series: sent, dropped, failed. */
function counts({ columns, snapshot }: MemoryThread): number[] {
  return MIRROR_RESULTS.map((_, result) =>
    snapshot.series.reduce((sum, entry) => sum + columns.series(entry!.slot).sum(SERIES_MIRRORED + result), 0),
  )
}

t.test('a copy opens no socket that a client’s request may need', async (t) => {
  const memory = mirroring()
  let share: SocketShare | undefined
  let mayHold = false
  memory.transport.mayHold = ((asked: SocketShare | undefined) => {
    share = asked
    return mayHold
  }) as () => boolean
  const client = memory.connect(80)
  t.match(await memory.get(client), new RegExp(`200 OK.*${A}$`, 's'))
  t.same(counts(memory), [0, 1, 0])
  t.equal(
    memory.targets.some(({ address }) => address === B),
    false,
    'nothing was dialled',
  )
  mayHold = true
  t.match(await memory.get(client), new RegExp(`200 OK.*${A}$`, 's'))
  t.same(counts(memory), [1, 1, 0])
  const room = new DialRoom(new ManualClock())
  const free = (count: number): void => {
    room.budget = { free: count, use: () => {}, wait: () => {} }
  }
  for (const [count, may] of [
    [0, false],
    [1, false],
    [7, false],
    [8, true],
  ] as const) {
    free(count)
    t.equal(room.mayHold(share), may, `${count} free`)
  }
})

t.test('a copy waits in no queue', async (t) => {
  const memory = mirroring({}, { maxConnectionsPerTarget: 1, queue: { size: 10 } })
  memory.answering = false
  const clients = [memory.connect(80), memory.connect(80)]
  for (const client of clients) await memory.get(client)
  t.same(counts(memory), [0, 1, 0], 'the target of the mirror is full')
  for (const target of memory.targets) if (target.address === A) await memory.answer(target)
  for (const client of clients) t.match(client.received, /200 OK/)
})

t.test('the mirror gets header fields and trailers as they were edited', async (t) => {
  const memory = mirroring({ set: { 'x-tier': 'gold' }, remove: ['x-debug'] })
  memory.answering = false
  const client = memory.connect(80)
  await memory.send(
    client,
    'POST / HTTP/1.1\r\nHost: h\r\nX-Debug: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Debug: 2\r\nX-Sum: 3\r\n\r\n',
  )
  const [main, shadow] = [A, B].map((address) => memory.targets.find((target) => target.address === address)!.received)
  t.match(main, /x-tier: gold/)
  t.match(main, /X-Sum: 3/i)
  t.notMatch(main, /X-Debug/i)
  t.equal(shadow, main)
})
