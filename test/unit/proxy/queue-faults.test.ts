import t from 'tap'
import { Upstream } from '../../../src/proxy/h1/pick-target.js'
import { MemoryThread } from './memory-thread.js'

const TARGET = '192.0.2.11'

t.test('a fault of one whose turn it is ends neither who made room nor who waits behind', async (t) => {
  const memory = new MemoryThread({
    listeners: [{ name: 'web', protocol: 'http', listen: '192.0.2.1:80', targetGroup: 'one' }],
    targetGroups: [
      {
        name: 'one',
        protocol: 'http',
        healthCheck: { protocol: 'off' },
        targets: [{ address: `${TARGET}:80` }],
        maxConnectionsPerTarget: 2,
        queue: { size: 10, timeout: '10s' },
      },
    ],
  })
  memory.answering = false
  const clients = Array.from({ length: 4 }, () => memory.connect(80))
  for (const client of clients) await memory.get(client)
  const { onTurn } = Upstream.prototype
  t.teardown(() => {
    Upstream.prototype.onTurn = onTurn
  })
  const fault = new Error('made for a test')
  let told = 0
  Upstream.prototype.onTurn = function (this: Upstream, target) {
    if (++told === 1) throw fault
    onTurn.call(this, target)
  }
  // Each makes room for one: the first for the one whose fault it is, which does not give it back.
  for (const target of [...memory.targets]) await memory.answer(target)
  t.same(memory.faults, [fault])
  for (const client of clients.slice(0, 2)) t.match(client.received, /^HTTP\/1\.1 200 /)
  const behind = memory.targets.filter(({ waiting }) => waiting > 0)
  t.equal(behind.length, 1)
  await memory.answer(behind[0]!)
  t.match(clients[3]!.received, /^HTTP\/1\.1 200 /)
})
