import pino from 'pino'
import t from 'tap'
import { addressRanges } from '../../../src/config/address-ranges.js'
import { SourceGate } from '../../../src/control/source-gate.js'
import { RECORD_FAMILY, RECORD_WORDS } from '../../../src/core/connection-record.js'
import type { Snapshot } from '../../../src/core/snapshot.js'
import { SourceLog } from '../../../src/proxy/source-log.js'
import { Columns, createSharedCounters } from '../../../src/shm/columns.js'
import { LISTENER_CONNECTIONS_ACTIVE, LISTENER_CONNECTIONS_TOTAL } from '../../../src/shm/layout.js'
import { createSources, SourceTable } from '../../../src/shm/source-table.js'

const WORKER = 1
const CLOCK = { nowMs: 0, steadyMs: 1_000_000, wallMs: 0, refresh: () => {} }
const NOBODY = { items: [], ranges: addressRanges([]) }

/** What the gate reads of a snapshot with one listener that may have so many connections open. */
function snapshotOf(connections: number): Snapshot {
  const config = { name: 'in', limits: { connections }, acceptProxyProtocol: [], trustForwardedFrom: [] }
  const unlimited = Number.POSITIVE_INFINITY
  const protection = {
    ...{ allow: NOBODY, deny: NOBODY, connectionsPerSource: unlimited, newConnectionsPerSource: unlimited },
    ...{ handshakesPerSource: unlimited, requestsPerSource: unlimited },
  }
  return {
    config: { protection },
    listeners: [{ slot: 0, generation: 1, config }],
    binds: [{ slot: 0, listener: 0, address: '127.0.0.1', port: 80 }],
  } as unknown as Snapshot
}

function gateOf(connections: number) {
  const capacity = { workers: 1, listeners: 1, series: 1, rules: 1, groups: 1, targets: 1, sessions: 64 }
  const columns = new Columns(createSharedCounters(capacity))
  let snapshot = snapshotOf(connections)
  const gate = new SourceGate({
    table: new SourceTable(createSources(2, 64), 0),
    columns,
    log: new SourceLog(pino({ level: 'silent' }), CLOCK),
    snapshot: () => snapshot,
    clock: () => CLOCK,
    reset: () => {},
  })
  const counters = columns.listener(0)
  const at = counters.at(WORKER)
  return {
    reload: (limit: number) => {
      snapshot = snapshotOf(limit)
    },
    /** How many of so many are let in. */
    come: (count: number): number => {
      const records = new Int32Array(count * RECORD_WORDS)
      for (let i = 0; i < count; i++) records[i * RECORD_WORDS + RECORD_FAMILY] = 4
      return gate.admit(records, count)
    },
    /** The worker takes on so many that were on their way. */
    takeOn: (count: number) => {
      counters.words[at + LISTENER_CONNECTIONS_TOTAL]! += count
      counters.words[at + LISTENER_CONNECTIONS_ACTIVE]! += count
    },
    close: (count: number) => {
      counters.words[at + LISTENER_CONNECTIONS_ACTIVE]! -= count
    },
  }
}

t.test('a listener has as many connections as it may, those on their way to a worker among them', async (t) => {
  const gate = gateOf(5)
  t.equal(gate.come(4), 4)
  t.equal(gate.come(4), 1)
  gate.takeOn(5)
  t.equal(gate.come(1), 0)
  gate.close(2)
  t.equal(gate.come(4), 2)
})

t.test('a limit that comes while connections are on their way to a worker is kept once they are there', async (t) => {
  const gate = gateOf(Number.POSITIVE_INFINITY)
  t.equal(gate.come(20), 20)
  gate.reload(5)
  // The gate has heard of the limit before the worker has taken them on.
  gate.come(1)
  gate.takeOn(21)
  t.equal(gate.come(1), 0, 'there are 20 too many')
  gate.close(21)
  t.equal(gate.come(50), 5, 'no more than the limit from then on')
})
