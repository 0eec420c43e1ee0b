import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { castor } from '../unit/cli/castor.js'
import { onePair } from './support/balancer.js'
import { configFile, startChild } from './support/child-castor.js'
import { RawTarget } from './support/raw-target.js'

t.test('commands use the Unix socket of the configuration, and nobody needs a port', async (t) => {
  const target = await RawTarget.start()
  t.teardown(() => target.stop())
  const folder = mkdtempSync(join(tmpdir(), 'castor-admin-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const socket = join(folder, 'admin.sock')
  const admin = { listen: `unix:${socket}` }
  const config = { ...onePair('http', [target.address]), admin }
  const running = await startChild(t, config)
  t.match(running.stdout, `admin and dashboard on unix:${socket}\n`)
  t.equal(statSync(socket).mode & 0o777, 0o600)
  const file = await configFile(t, config)
  const group = 'out'
  for (const from of [
    ['-c', file],
    ['--admin', `unix:${socket}`],
  ]) {
    const steps: [string[], RegExp][] = [
      [['status'], /healthy/],
      [['drain', group, target.address], /is draining/],
      [['undrain', group, target.address], /is active/],
      [['weight', group, target.address, '7'], /weight 7/],
      [['target', 'add', group, '127.0.0.1:9'], /is in/],
      [['target', 'remove', '--now', group, '127.0.0.1:9'], /is gone/],
    ]
    for (const [args, said] of steps) {
      const { code, stdout, stderr } = await castor([...args, ...from])
      t.same({ code, stderr }, { code: 0, stderr: '' }, [...args, ...from].join(' '))
      t.match(stdout, said)
    }
  }
  const { code, stdout, stderr } = await castor(['drain-host', '-c', file])
  t.same({ code, stderr }, { code: 0, stderr: '' })
  t.match(stdout, /stopped\n$/)
  t.equal(await running.ended(), 0)
  t.notOk(existsSync(socket), 'the socket goes with the process')
  const gone = await castor(['status', '-c', file])
  t.equal(gone.code, 3)
  t.match(gone.stderr, `castor does not answer at unix:${socket}: there is no such socket; is it running?`)
})
