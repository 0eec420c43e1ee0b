import t from 'tap'
import { TARGET_CONNECTIONS } from '../../../src/shm/layout.js'
import { type Field, GET, headers, PREFACE, settings } from '../http/h2/rig.js'
import { MemoryThread } from './memory-thread.js'

const TARGETS = ['192.0.2.11', '192.0.2.12', '192.0.2.13']
const LOGIN: readonly Field[] = [...GET, ['authorization', 'Negotiate alice']]
const END_STREAM = 1

function memoryOf(): MemoryThread {
  const memory = new MemoryThread({
    listeners: [{ name: 'web', protocol: 'http', listen: '192.0.2.1:80', targetGroup: 'app', http2: true }],
    targetGroups: [
      {
        name: 'app',
        protocol: 'http',
        healthCheck: { protocol: 'off' },
        targets: TARGETS.map((address) => ({ address: `${address}:80` })),
      },
    ],
  })
  memory.answering = false
  return memory
}

/** Connections of the thread that each target is counted with. */
const counted = (memory: MemoryThread): number[] =>
  TARGETS.map((address) => {
    const counters = memory.columns.target(memory.slotOf(address))
    return counters.words[counters.at(1) + TARGET_CONNECTIONS]!
  })

const logins = (count: number): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, n) => headers(2 * n + 1, LOGIN, END_STREAM)))

t.test('more authenticated connections than one client may keep are counted where they were', async (t) => {
  const memory = memoryOf()
  const client = memory.connect(80)
  await memory.send(client, Buffer.concat([PREFACE, settings(), logins(30)]))
  t.same(counted(memory), [10, 10, 10])
  for (const target of memory.targets) await memory.answer(target)
  const left = counted(memory)
  t.equal(
    left.reduce((sum, count) => sum + count),
    8,
    'so many are kept',
  )
  const open = TARGETS.map((at) => memory.targets.filter(({ address, ended }) => address === at && ended === '').length)
  t.same(left, open, 'as many as each target has')
  client.conn.abort()
  await memory.settle()
  t.same(counted(memory), [0, 0, 0])
})

t.test('no authenticated connection outlives its client, which may leave as the answer comes', async (t) => {
  const memory = memoryOf()
  const client = memory.connect(80)
  await memory.send(client, Buffer.concat([PREFACE, settings(), logins(3)]))
  t.same(counted(memory), [1, 1, 1])
  client.conn.abort()
  for (const target of memory.targets) target.answer()
  await memory.settle()
  t.same(counted(memory), [0, 0, 0])
  t.same(
    memory.targets.map(({ ended }) => ended === ''),
    [false, false, false],
  )
})
