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
import { createTargetTable, TargetTable } from '../../../src/shm/targets.js'

const NOW_MS = 1_700_000_000_000
const CAPACITY = { workers: 1, listeners: 1, series: 1, groups: 1, targets: 2, sessions: 1 }

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
    const table = new TargetTable(createTargetTable(CAPACITY))
    table.setAdmin(1, admin, NOW_MS + drainMs)
    table.setCheck(1, check, 0, NOW_MS)
    if (ejectedMs !== undefined) table.eject(1, 0, NOW_MS + ejectedMs)
    t.equal(isAvailable(table, 1, NOW_MS), expected === 'all')
    t.equal(keepsClients(table, 1, NOW_MS), expected !== 'none')
  })
}

t.test('of threads that eject at once one does, and the next ejection counts on', async (t) => {
  const table = new TargetTable(createTargetTable(CAPACITY))
  const before = table.changes
  t.ok(table.eject(0, 0, NOW_MS + 100))
  t.notOk(table.eject(0, 0, NOW_MS + 900))
  t.equal(table.ejectedUntilMs(0), NOW_MS + 100)
  t.equal(table.ejections(0), 1)
  t.equal(table.checksWanted(0), 1)
  t.equal(table.changes, before + 1)
  table.setCheck(0, CHECK_HEALTHY, 0, NOW_MS)
  t.notOk(isWell(table, 0, NOW_MS))
  table.endEjection(0)
  t.ok(isWell(table, 0, NOW_MS))
})
