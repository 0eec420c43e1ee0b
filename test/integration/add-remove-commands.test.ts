import t from 'tap'
import { castor, closedPort } from '../unit/cli/castor.js'
import { onePair } from './support/balancer.js'
import { startChild } from './support/child-castor.js'
import { get, request } from './support/raw-client.js'
import { RawTarget } from './support/raw-target.js'
import { until } from './support/until.js'

t.test('targets are added, weighed, drained and removed from the command line', async (t) => {
  const [one, two] = [await RawTarget.start(), await RawTarget.start()]
  t.teardown(() => one.stop())
  t.teardown(() => two.stop())
  const running = await startChild(t, onePair('http', [one.address], { group: { stickiness: { type: 'source-ip' } } }))
  const admin = ['--admin', `127.0.0.1:${running.adminPort}`]
  const run = (...args: string[]) => castor([...args, ...admin])

  const added = await run('target', 'add', 'out', two.address, '--id', 'second', '--weight', '30')
  t.same(added, { code: 0, stdout: 'second is in out, weight 30\n', stderr: '' })
  const wrong = await run('target', 'add', 'out', '127.0.0.1')
  t.equal(wrong.code, 1)
  t.match(wrong.stderr, /has no port/)
  t.equal((await run('target', 'add', 'out', '127.0.0.1:1', '--weight', 'heavy')).code, 2)

  t.equal((await run('weight', 'out', one.address, '0')).code, 0)
  await until('a request at the new target', async () => {
    await request(running.port(), get('/'))
    return two.requests.length > 0
  })
  const shown = await until('the session being counted', async () => {
    const { stdout } = await run('status')
    return stdout.includes('1 sessions') && stdout
  })
  t.match(shown, /second +127\.0\.0\.1:\d+ +30 +active/)
  t.match(shown, /sessions 1\/131,076/)

  const removed = await run('target', 'remove', 'out', 'second')
  t.equal(removed.code, 0)
  t.match(removed.stdout, /^second of out drains until 20\d\d-.*Z at the latest\n$/)
  t.match((await run('status')).stdout, /second .* leaving/)
  t.same(await run('undrain', 'out', 'second'), { code: 0, stdout: 'second of out is active, weight 30\n', stderr: '' })
  const now = await run('target', 'remove', 'out', 'second', '--now')
  t.same(now, { code: 0, stdout: 'second is gone from out\n', stderr: '' })
})

t.test('without a process that answers they fail, and say so', async (t) => {
  const admin = await closedPort()
  for (const args of [
    ['target', 'add', 'out', '127.0.0.1:1'],
    ['target', 'remove', 'out', 'x', '--now'],
  ]) {
    const { code, stderr } = await castor([...args, '--admin', admin])
    t.equal(code, 1)
    t.match(stderr, /does not answer.*connection refused/)
  }
})
