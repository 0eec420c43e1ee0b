import { mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { type AuditEntry, type Audited, AuditLog, MAX_CHANGES } from '../../../src/admin/audit.js'
import { auditOwnReload } from '../../../src/admin/audit-reload.js'
import { startAdmin } from '../../../src/admin/server.js'
import { diffConfigs } from '../../../src/config/diff.js'
import type { AdminConfig } from '../../../src/core/config.js'
import { FakeFacts, SECRET } from './fake-facts.js'

const TOKENS = [
  { name: 'ops', token: 'token-of-operations', role: 'write' },
  { name: 'prometheus', token: 'token-of-prometheus', role: 'read' },
] as const

interface Answered {
  readonly status: number
  readonly id: string | undefined
}

async function start(t: { teardown(end: () => unknown): unknown }, admin: Partial<AdminConfig> = {}) {
  const facts = new FakeFacts(admin)
  const written: AuditEntry[] = []
  facts.audit.write = (entry) => written.push(entry)
  const running = await startAdmin({ config: facts.config.admin, facts })
  t.teardown(() => running.close())
  const ask = (method: string, path: string, body?: unknown, more: Record<string, string> = {}, socketPath?: string) =>
    new Promise<Answered>((resolve, reject) => {
      const headers = { 'content-type': 'application/json', ...more }
      const where = socketPath === undefined ? { host: running.address, port: running.port } : { socketPath }
      request({ ...where, method, path, headers, agent: false }, (response) => {
        const id = response.headers['x-request-id']
        response
          .resume()
          .on('end', () => resolve({ status: response.statusCode!, id: id === undefined ? id : String(id) }))
      })
        .on('error', reject)
        .end(body === undefined ? undefined : JSON.stringify(body))
    })
  return { facts, written, running, ask }
}

const TARGETS = '/api/v1/target-groups/app/targets'
const ONE = `${TARGETS}/10.0.0.11%3A9001`
const as = (token: string) => ({ authorization: `Bearer ${token}` })

t.test('a change is told with who, from where, what, before and after', async (t) => {
  const { written, ask, facts } = await start(t, { token: SECRET, tokens: TOKENS })
  const answer = await ask('PATCH', ONE, { weight: 3, state: 'active' }, as('token-of-operations'))
  t.equal(written.length, 1)
  const params = { group: 'app', id: '10.0.0.11:9001' }
  t.match(written[0], {
    time: /^\d{4}-.*Z$/,
    id: answer.id,
    by: { kind: 'token', name: 'ops' },
    from: /^127\.0\.0\.1:\d+$/,
    action: 'changeTarget',
    request: { method: 'PATCH', route: '/api/v1/target-groups/{group}/targets/{id}', params, persist: false },
    ...{ result: 'done', status: 200, reason: null, suppressed: 0 },
  })
  t.same([written[0]!.before, written[0]!.after], [{ weight: 10 }, { weight: 3 }], 'what changed, and only that')

  await ask('POST', TARGETS, { address: '10.0.0.9:1', persist: true }, as(SECRET))
  t.match(written[1], { by: { kind: 'token', name: 'default' }, action: 'addTarget', request: { persist: true } })
  t.same([written[1]!.before, written[1]!.after], [null, { id: '10.0.0.9:1', address: '10.0.0.9:1', weight: 10 }])
  await ask('DELETE', `${TARGETS}/10.0.0.9:1?now=true`, undefined, as(SECRET))
  t.same([written[2]!.before, written[2]!.after], [{ address: '10.0.0.9:1', weight: 10, state: 'active' }, null])
  await ask('POST', '/api/v1/drain-host', undefined, as(SECRET))
  t.match(written[3], { action: 'drainHost', before: { state: 'running' }, after: { state: 'draining' } })
  Object.assign(facts.upgrades, {
    run: async (_: unknown, onStep: (step: object) => void) => onStep({ step: 'failed', code: 'NO', message: 'why' }),
  })
  await ask('POST', '/api/v1/upgrade', {}, as(SECRET))
  t.match(written[4], { action: 'upgrade', result: 'failed', status: 200, reason: 'NO: why', after: null })
  t.equal(written.length, 5)
  t.notMatch(JSON.stringify(written), /token-of-|a-secret/)
})

t.test('a reload is told with each value that changed, secrets masked; a question is no change', async (t) => {
  const { facts, written, ask } = await start(t)
  const next = { ...facts.config, drainDelayMs: 1000, admin: { ...facts.config.admin, token: SECRET } }
  facts.reloading.outcome = { result: 'applied', version: 2, changes: diffConfigs(facts.config, next), warnings: [] }
  await ask('POST', '/api/v1/reload', { dryRun: true })
  await ask('GET', '/api/v1/config/diff')
  t.equal(written.length, 0)
  await ask('POST', '/api/v1/reload')
  t.match(written, [{ by: { kind: 'anybody', name: null }, action: 'reload', result: 'done' }])
  t.same(written[0]!.before, { 'admin.token': '', drainDelay: '0ms' })
  t.same(written[0]!.after, { 'admin.token': '********', drainDelay: '1s' })
  facts.reloading.outcome = { result: 'failed', message: 'the address is in use' }
  await ask('POST', '/api/v1/reload')
  t.match(written[1], { result: 'failed', status: 500, reason: 'RELOAD_FAILED: the address is in use', after: null })
})

t.test(
  'a reload that no request asked for is told with the signal or the file; a touched file is nothing',
  async (t) => {
    const { config } = new FakeFacts()
    const groups = config.targetGroups.map((group) => ({ ...group, targets: group.targets.slice(1) }))
    const changes = diffConfigs(config, { ...config, targetGroups: groups })
    const applied = { result: 'applied', version: 2, changes, warnings: [] } as const
    t.match(auditOwnReload('signal', applied), {
      by: { kind: 'signal', name: 'SIGHUP' },
      request: null,
      before: { 'targetGroups.app.targets.10.0.0.11:9001': { address: '10.0.0.11:9001', weight: 10 } },
      after: { 'targetGroups.app.targets.10.0.0.11:9001': null },
    })
    t.match(auditOwnReload('watch', applied), { by: { kind: 'file' } })
    t.equal(auditOwnReload('watch', { result: 'unchanged', version: 1, warnings: [] }), undefined)
    t.match(auditOwnReload('signal', { result: 'unchanged', version: 1, warnings: [] }), { result: 'done' })
    t.equal(auditOwnReload('api', applied), undefined, 'its request tells of it')
    const many = { ...config, targetGroups: [{ ...config.targetGroups[0]!, targets: [] }, config.targetGroups[1]!] }
    const more = Array.from({ length: 90 }, (_, n) => ({ id: `t${n}`, host: '10.1.0.1', port: n + 1, weight: 1 }))
    const grown = { ...many, targetGroups: [{ ...many.targetGroups[0]!, targets: more }, many.targetGroups[1]!] }
    const { after } = auditOwnReload('signal', { ...applied, changes: diffConfigs(many, grown) })!
    t.equal(after!.more, 40, 'a large one has a bound')
  },
)

t.test('refusals are told: for want of a token, of the right to change, and of input that is none', async (t) => {
  const { facts, written, ask } = await start(t, { tokens: TOKENS })
  const before = facts.table.weight(0)
  await ask('PATCH', ONE, { weight: 1 }, as('a-wrong-token'))
  await ask('GET', '/api/v1/status')
  await ask('GET', '/nothing/here')
  await ask('PATCH', ONE, { weight: 1 }, as('token-of-prometheus'))
  await ask('PATCH', ONE, { weight: 101 }, as('token-of-operations'))
  await ask('PATCH', `${TARGETS}/none`, { weight: 1 }, as('token-of-operations'))
  const unknown = { kind: 'unknown', name: null }
  t.match(written, [
    { by: unknown, action: 'changeTarget', result: 'refused', status: 401, reason: /^UNAUTHORIZED: / },
    { by: unknown, action: 'readStatus', status: 401 },
    { by: unknown, action: 'unknown', status: 401, request: { route: '/nothing/here' } },
    { by: { kind: 'token', name: 'prometheus' }, action: 'changeTarget', status: 403, reason: /^READ_ONLY: / },
    { by: { kind: 'token', name: 'ops' }, status: 400, reason: /^BAD_CHANGE: weight: must be at most 100/ },
    { by: { kind: 'token', name: 'ops' }, status: 404, reason: /^UNKNOWN_TARGET: /, result: 'refused' },
  ])
  t.equal(written.length, 6)
  t.equal(facts.table.weight(0), before)
  t.notMatch(JSON.stringify(written), /a-wrong-token/)
})

t.test('over a Unix socket it is told which user asked', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'castor-audit-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 's')
  const { written, ask } = await start(t, { listen: [{ path }] })
  await ask('PATCH', ONE, { weight: 1 }, {}, path)
  t.match(written, [{ by: { kind: 'anybody' }, from: `unix:${path} uid 1234` }])
})

const change = (n: number): Audited => ({
  by: { kind: 'token', name: 'a' },
  from: null,
  action: `c${n}`,
  request: null,
  before: null,
  after: null,
  result: 'done',
  status: 200,
  reason: null,
})

t.test('whoever is refused again and again fills neither the log nor the list, and is counted', async (t) => {
  let nowMs = 1_700_000_000_000
  const written: AuditEntry[] = []
  const log = new AuditLog(
    () => nowMs,
    () => 'id',
  )
  log.write = (entry) => written.push(entry)
  for (let n = 0; n < 300; n++) log.record(change(n))
  t.equal(log.latest(1_000).length, MAX_CHANGES)
  t.equal(log.latest(1)[0]!.action, 'c299', 'the newest first')
  written.length = 0
  for (let n = 0; n < 10_000; n++) log.refuse(change(n))
  t.equal(written.length, 20)
  t.equal(log.latest(1_000).filter(({ action }) => action === 'c250').length, 1, 'changes stay')
  nowMs += 3_000
  log.refuse(change(1))
  t.equal(written.at(-1)!.suppressed, 9_980)
  log.refuse(change(2))
  t.equal(written.length, 21)
  nowMs -= 60_000
  log.refuse(change(3))
  t.equal(written.length, 21, 'a clock that is set back brings no more')
  nowMs += 120_000
  for (let n = 0; n < 100; n++) log.refuse(change(n))
  t.equal(written.length, 41)
  t.ok(log.latest(1_000).length <= MAX_CHANGES + 50)
})

t.test('a reason and a path of any length are cut', async (t) => {
  const log = new AuditLog(Date.now, () => 'id')
  const route = 'x'.repeat(10_000)
  log.refuse({ ...change(1), reason: route, request: { method: 'GET', route, params: {}, persist: false } })
  t.ok(JSON.stringify(log.latest(1)).length < 1_000)
})
