import pino from 'pino'
import t from 'tap'
import { addressRanges } from '../../../src/config/address-ranges.js'
import type { Conn } from '../../../src/core/conn.js'
import type { ClientAddress } from '../../../src/proxy/client-address.js'
import { ClientSources } from '../../../src/proxy/client-sources.js'
import type { Listener } from '../../../src/proxy/listener.js'
import { ProxyGate } from '../../../src/proxy/proxy-gate.js'
import type { WorkerContext } from '../../../src/proxy/worker-context.js'
import { createSources, SourceTable } from '../../../src/shm/source-table.js'

const NOBODY = { items: [], ranges: addressRanges([]) }
const CLOCK = { nowMs: 0, steadyMs: 1_000_000, wallMs: 0, refresh: () => {} }
const HEADER = Buffer.from('PROXY TCP4 192.0.2.7 192.0.2.1 4000 80\r\n')
const MANY = 100

t.test('a proxy that was counted itself is counted no more once it has named its client', async (t) => {
  const shared = createSources(2, 64)
  const primary = new SourceTable(shared, 0)
  const limits = {
    ...{ allow: NOBODY, deny: NOBODY, connectionsPerSource: MANY, newConnectionsPerSource: MANY },
    ...{ handshakesPerSource: MANY, requestsPerSource: MANY },
  }
  const sources = new ClientSources(shared, 1, limits, CLOCK, pino({ level: 'silent' }))
  const place = primary.place(1, 2, 1_000)
  primary.enter(place, 1, 2)
  sources.own(place)
  const context = {
    sources,
    clock: CLOCK,
    protection: { headerTimeoutMs: 1_000 },
    drainables: { add: () => {}, delete: () => {} },
    wheel: { schedule: () => {}, cancel: () => {} },
  } as unknown as WorkerContext
  const listener = { name: 'in', countReason: () => {} } as unknown as Listener
  const conn = {} as Conn
  let named: ClientAddress | undefined
  const gate = new ProxyGate(context, listener, conn, { place } as ClientAddress, (client) => {
    named = client
  })
  gate.start()
  gate.onData(conn, HEADER, HEADER.length)
  t.equal(named?.source.address, '192.0.2.7')
  t.equal(primary.open(named!.place), 1, 'the client is')
  t.equal(primary.open(place), 0)
})
