import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { AuditEntry } from '../../src/admin/audit.js'
import { castor } from '../unit/cli/castor.js'
import { onePair, withDefaults } from './support/balancer.js'
import { ChildCastor, MAIN } from './support/child-castor.js'
import { RawTarget } from './support/raw-target.js'
import { until } from './support/until.js'

t.test(
  'changes of a running process are in the audit log, over signals and a rotation, and castor audit shows them',
  async (t) => {
    const target = await RawTarget.start()
    t.teardown(() => target.stop())
    // A socket's path has to be short.
    const folder = mkdtempSync(join(tmpdir(), 'castor-audit-'))
    t.teardown(() => rmSync(folder, { recursive: true, force: true }))
    const [file, log, socket] = ['castor.json', 'audit.log', 's'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ]
    const config = {
      ...withDefaults(onePair('http', [target.address])),
      ...{ node: 'lb-a', log: { level: 'silent', access: 'off', audit: log }, admin: { listen: `unix:${socket}` } },
    }
    writeFileSync(file, JSON.stringify(config))
    const running = new ChildCastor([MAIN, 'start', '-c', file])
    t.teardown(() => running.kill())
    await running.ready()
    const lines = (at: string) =>
      readFileSync(at, 'utf8')
        .split('\n')
        .slice(0, -1)
        .map((line) => (JSON.parse(line) as { node: string; audit: AuditEntry }).audit)
    t.equal((await castor(['weight', 'out', target.address, '7', '-c', file])).code, 0)
    await until('the line', () => lines(log).length === 1)
    const uid = process.getuid!()
    t.match(lines(log)[0], { action: 'changeTarget', before: { weight: 10 }, after: { weight: 7 }, result: 'done' })
    t.match(lines(log)[0]!.from, new RegExp(`^unix:.*/s( uid ${uid})?$`))

    writeFileSync(file, JSON.stringify({ ...config, drainDelay: '1ms' }))
    running.child.kill('SIGHUP')
    await until('the reload', () => lines(log).length === 2)
    t.match(lines(log)[1], { by: { kind: 'signal', name: 'SIGHUP' }, after: { drainDelay: '1ms' }, request: null })

    renameSync(log, `${log}.1`)
    running.child.kill('SIGUSR1')
    await until('the new file', () => existsSync(log))
    t.equal((await castor(['drain', 'out', target.address, '-c', file])).code, 0)
    await until('a line in it', () => lines(log).length === 1)
    t.equal(lines(`${log}.1`).length, 2)

    const { code, stdout } = await castor(['audit', '-c', file])
    t.equal(code, 0)
    const shown = stdout.trimEnd().split('\n')
    t.equal(shown.length, 4)
    t.match(shown[1], /changeTarget .*done +state: active → draining$/)
    t.match(shown[2], /signal SIGHUP .*reload .*drainDelay: 0ms → 1ms$/)
    t.match(shown[3], /anybody .*weight: 10 → 7$/)
    const json = await castor(['audit', '-n', '1', '--json', '-c', file])
    t.match(JSON.parse(json.stdout), { entries: [{ action: 'changeTarget', after: { state: 'draining' } }] })
    t.match(await castor(['audit', '-n', '0', '-c', file]), { code: 2, stderr: /whole number from 1 to 200/ })
  },
)
