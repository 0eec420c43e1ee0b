import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import t from 'tap'
import { cpuSpent, establishedAt, readCpu, residentBytes } from '../../../bench/measure.js'
import { order } from '../../../bench/order.js'
import { start } from '../../../bench/processes.js'
import { median } from '../../../bench/statistics.js'

const onLinux = process.platform === 'linux' ? {} : { skip: 'reads /proc' }

t.test('medians of odd, even and no numbers', (t) => {
  t.equal(median([3, 1, 2]), 2)
  t.equal(median([4, 1, 2, 3]), 2.5)
  t.ok(Number.isNaN(median([])))
  t.end()
})

t.test('user and system time share the total as their ticks do', (t) => {
  const before = { totalNs: 1000, userTicks: 10, systemTicks: 10 }
  const after = { totalNs: 4_001_000, userTicks: 11, systemTicks: 13 }
  t.same(cpuSpent(before, after), { totalUs: 4000, userUs: 1000, systemUs: 3000 })
  t.end()
})

t.test('the processor time of a process is seen, its children and threads included', onLinux, async (t) => {
  // The work is done by a thread of a child of the process that was started.
  const burn = `
    const { Worker } = require('node:worker_threads')
    new Worker('const end = Date.now() + 300; while (Date.now() < end); setInterval(() => {}, 1000)', { eval: true })
      .once('online', () => setTimeout(() => console.log('burnt'), 400))`
  const parent = `require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(burn)}], { stdio: 'inherit' })`
  const started = start({ command: process.execPath, args: ['-e', parent], core: 0 })
  t.teardown(() => started.stop())
  const before = readCpu(started.pid)
  await once(started.child.stdout!, 'data')
  const { totalUs, userUs, systemUs } = cpuSpent(before, readCpu(started.pid))
  t.ok(totalUs > 100_000, `${totalUs} µs`)
  t.ok(Math.abs(userUs + systemUs - totalUs) < 1)
  t.ok(residentBytes(started.pid) > 40 * 2 ** 20, 'two Node processes')
  await started.stop()
  t.equal(residentBytes(started.pid), 0, 'nothing of the group is left')
})

t.test('a program that answers with an error is ended, and says why', onLinux, async (t) => {
  await t.rejects(order('load/idle', {}, 0, 10), { message: /gave no answer in 10 ms/ })
})

t.test('connections at a port are counted', onLinux, async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  t.equal(establishedAt(port), 0)
  const client = connect(port, '127.0.0.1')
  const [accepted] = (await once(server, 'connection')) as [Socket]
  t.equal(establishedAt(port), 1)
  accepted.destroy()
  client.destroy()
  server.close()
})
