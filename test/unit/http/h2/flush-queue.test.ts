import t from 'tap'
import type { H2Connection } from '../../../../src/http/h2/engine.js'
import { FlushQueue } from '../../../../src/http/h2/flush-queue.js'

t.test('a connection that cannot be flushed keeps no other from being', async (t) => {
  const faults: [unknown, H2Connection][] = []
  const queue = new FlushQueue((fault, connection) => faults.push([fault, connection]))
  let flushed = 0
  const connection = (flush: () => void): H2Connection => ({ flush }) as unknown as H2Connection
  const fault = new Error('a fault made for a test')
  const faulty = connection(() => {
    throw fault
  })
  const sound = connection(() => flushed++)
  for (const each of [sound, faulty, sound]) queue.flushLater(each)
  await null
  t.same(flushed, 2)
  t.equal(faults.length, 1)
  t.equal(faults[0]![0], fault)
  t.equal(faults[0]![1], faulty)
  queue.flushLater(sound)
  await null
  t.equal(flushed, 3, 'and the next turn is as any')
})
