import t from 'tap'
import {
  ADMIN_ACTIVE,
  ADMIN_DRAINING,
  ADMIN_MAINTENANCE,
  CHECK_HEALTHY,
  CHECK_INITIAL,
  CHECK_UNCHECKED,
  CHECK_UNHEALTHY,
} from '../../../src/core/target-state.js'
import { isAvailable, isWell, keepsClients } from '../../../src/health/availability.js'
import { createSharedCounters } from '../../../src/shm/columns.js'
import { TargetTable } from '../../../src/shm/targets.js'

const NOW_MS = 1_700_000_000_000
const CAPACITY = { workers: 1, listeners: 1, series: 1, rules: 1, groups: 1, targets: 2, sessions: 1 }

interface Case {
  readonly admin?: number
  /** From now. */
  readonly drainMs?: number
  readonly check?: number
  readonly ejectedMs?: number
  readonly expected: 'all' | 'bound' | 'none'
}

const CASES: Readonly<Record<string, Case>> = {
  'active and healthy': { expected: 'all' },
  'active and never checked': { check: CHECK_UNCHECKED, expected: 'all' },
  'active and not checked yet': { check: CHECK_INITIAL, expected: 'none' },
  'active and unhealthy': { check: CHECK_UNHEALTHY, expected: 'none' },
  ejected: { ejectedMs: 1, expected: 'none' },
  'its ejection just over': { ejectedMs: 0, expected: 'all' },
  draining: { admin: ADMIN_DRAINING, drainMs: 1, expected: 'bound' },
  'draining and unhealthy': { admin: ADMIN_DRAINING, drainMs: 1, check: CHECK_UNHEALTHY, expected: 'none' },
  'drained past its time': { admin: ADMIN_DRAINING, drainMs: 0, expected: 'none' },
  'in maintenance': { admin: ADMIN_MAINTENANCE, drainMs: 1, expected: 'none' },
}

for (const [name, { admin = ADMIN_ACTIVE, drainMs = 0, check = CHECK_HEALTHY, ejectedMs, expected }] of Object.entries(
  CASES,
)) {
  t.test(`a target that is ${name} takes ${expected}`, async (t) => {
    const table = new TargetTable(createSharedCounters(CAPACITY).segments)
    table.setAdmin(1, admin, NOW_MS + drainMs)
    table.setCheck(1, check, 0, NOW_MS)
    if (ejectedMs !== undefined) table.tryEject(1, 0, NOW_MS + ejectedMs)
    t.equal(isAvailable(table, 1, NOW_MS, false), expected === 'all')
    t.equal(keepsClients(table, 1, NOW_MS, false), expected !== 'none')
    t.equal(isAvailable(table, 1, NOW_MS, true), expected === 'all' || name === 'ejected')
    t.equal(keepsClients(table, 1, NOW_MS, true), expected !== 'none' || name === 'ejected')
  })
}

t.test('of threads that eject at once one does, and the next ejection counts on', async (t) => {
  const table = new TargetTable(createSharedCounters(CAPACITY).segments)
  const before = table.changes
  t.ok(table.tryEject(0, 0, NOW_MS + 100))
  t.notOk(table.tryEject(0, 0, NOW_MS + 900), 'another thread that had seen the target in service')
  table.confirmEjection(0, NOW_MS, false)
  t.equal(table.ejectedUntilMs(0), NOW_MS + 100)
  t.equal(table.ejections(0), 1)
  t.equal(table.checksWanted(0), 1)
  t.equal(table.changes, before + 1)
  table.setCheck(0, CHECK_HEALTHY, 0, NOW_MS)
  t.notOk(isWell(table, 0, NOW_MS, false))
  table.endEjection(0, NOW_MS)
  t.ok(isWell(table, 0, NOW_MS, false))
  t.ok(table.tryEject(0, NOW_MS, NOW_MS + 300), 'the end of the one before is what the next begins from')
})

t.test('a thread never sees an ejection that has begun and has no end yet', async (t) => {
  const table = new TargetTable(createSharedCounters(CAPACITY).segments)
  t.ok(table.tryEject(0, 0, NOW_MS + 100))
  // Before the first thread has gone on: the second sees it out of service, and nothing that it could eject from.
  t.notOk(isWell(table, 0, NOW_MS, false))
  t.notOk(table.tryEject(0, 0, NOW_MS + 100))
  t.equal(table.ejections(0), 0)
  table.withdrawEjection(0, 0, NOW_MS + 100)
  t.equal(table.ejectedUntilMs(0), 0, 'and one that was too many is as if it had never been')
})

t.test('an early end does not undo an ejection that began meanwhile', async (t) => {
  const table = new TargetTable(createSharedCounters(CAPACITY).segments)
  t.ok(table.tryEject(0, 0, NOW_MS + 100))
  t.notOk(table.tryEject(0, NOW_MS + 50, NOW_MS + 900), 'it ends at another time than was thought')
  table.endEjection(0, NOW_MS + 200)
  t.equal(table.ejectedUntilMs(0), NOW_MS + 100, 'one that is over has its end already')
})

t.test('failures in a row: connects count from anybody, resets by how many met them', async (t) => {
  const table = new TargetTable(createSharedCounters(CAPACITY).segments)
  table.countReset(0, 7)
  table.countReset(0, 7)
  t.equal(table.failuresInARow(0), 2)
  t.notOk(table.hasSeveralSources(0))
  t.equal(table.countConnectFailure(0), 1)
  table.countReset(0, 8)
  t.ok(table.hasSeveralSources(0))
  table.clearConnectFailures(0)
  t.equal(table.failuresInARow(0), 3, 'a connection that is accepted takes no reset back')
  table.clearFailures(0)
  t.equal(table.failuresInARow(0), 0)
  t.notOk(table.hasSeveralSources(0))
})
