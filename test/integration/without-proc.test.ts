import { spawn } from 'node:child_process'
import t from 'tap'
import { toolOrSkip } from '../tools.js'
import { onePair } from './support/balancer.js'
import { fetchText } from './support/castor.js'
import { configFile, MAIN } from './support/child-castor.js'
import { get, request } from './support/raw-client.js'
import { RawTarget } from './support/raw-target.js'
import { until } from './support/until.js'

const IN_ITS_PLACE = 'mount -t tmpfs none /proc && exec "$@"'

t.test('without /proc figures that cannot be had are left out, and the rest works', async (t) => {
  const unshare = toolOrSkip(t, 'unshare')
  if (unshare === undefined) return
  if (process.getuid?.() !== 0) {
    t.plan(0, 'only root can hide /proc')
    return
  }
  const target = await RawTarget.start()
  t.teardown(() => target.stop())
  const file = await configFile(t, onePair('http', [target.address]))
  const args = ['-m', 'sh', '-c', IN_ITS_PLACE, 'sh', process.execPath, MAIN, 'start', '-c', file]
  const child = spawn(unshare, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  t.teardown(() => child.kill('SIGKILL'))
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (said += String(data)))
  const exited = new Promise((resolve) => child.once('exit', resolve))
  const port = (pattern: RegExp): Promise<string> =>
    until(`it being ready: ${said}`, () => pattern.exec(said)?.[1], 15_000)
  const listening = Number(await port(/^listening on \S+:(\d+) /m))
  const admin = Number(await port(/^admin and dashboard on \S+:(\d+)\//m))
  t.equal((await request(listening, get('/'))).status, 200)
  const metrics = await fetchText(admin, '/metrics')
  t.match(metrics, /^castor_requests_total\{.*\} 1$/m)
  t.match(metrics, /^process_start_time_seconds /m)
  t.notMatch(metrics, /process_resident_memory_bytes|process_open_fds/)
  t.equal(JSON.parse(await fetchText(admin, '/api/v1/status')).state, 'running')
  child.kill('SIGTERM')
  t.equal(await exited, 0)
})
