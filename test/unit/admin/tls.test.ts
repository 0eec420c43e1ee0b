import t from 'tap'
import { LatencyWindow } from '../../../src/admin/latency-window.js'
import { renderMetrics } from '../../../src/admin/metrics.js'
import { buildStatus } from '../../../src/admin/status.js'
import { readStatusReport } from '../../../src/cli/status-report.js'
import { paletteFor } from '../../../src/cli/table.js'
import { tlsView } from '../../../src/cli/tls-view.js'
import { readExposition, sampleKey } from '../observe/prometheus-reader.js'
import { tlsFacts } from './tls-facts.js'

const NOW_MS = Date.parse('2026-07-01T00:00:00Z')

t.test('handshakes, failures and the end of certificates are in the metrics', (t) => {
  const told = tlsFacts()
  const text = renderMetrics(told, {
    node: 'lb-a',
    version: '0',
    startedAtMs: 0,
    workers: [],
    cpuSeconds: 0,
    residentBytes: 0,
    openFds: 0,
    primaryLoopDelay: { p50Ms: 0, p99Ms: 0, maxMs: 0 },
    cluster: undefined,
    configuration: told.reloading.state,
    certificates: (listener) => told.served[listener] ?? [],
  })
  const families = readExposition(text)
  const samples = (name: string): unknown => Object.fromEntries(families.get(name)!.samples)
  const handshakes = 'castor_tls_handshakes_total'
  const failures = 'castor_tls_handshake_failures_total'
  const expiry = 'castor_tls_certificate_expiry_timestamp_seconds'
  t.same(samples(handshakes), {
    [sampleKey(handshakes, { listener: 'web', version: 'TLSv1.2', resumed: 'false' })]: 2,
    [sampleKey(handshakes, { listener: 'web', version: 'TLSv1.3', resumed: 'false' })]: 2,
    [sampleKey(handshakes, { listener: 'web', version: 'TLSv1.3', resumed: 'true' })]: 2,
  })
  t.same(samples(failures), {
    [sampleKey(failures, { listener: 'web', reason: 'UNKNOWN_CA' })]: 4,
    [sampleKey(failures, { listener: 'web', reason: 'PROTOCOL_ERROR' })]: 2,
  })
  t.same(samples(expiry), {
    [sampleKey(expiry, { listener: 'web', name: 'shop.example', key_type: 'ECDSA' })]:
      Date.parse('2026-07-21T12:00:00Z') / 1000,
    [sampleKey(expiry, { listener: 'web', name: '/etc/.pem', key_type: 'RSA' })]:
      Date.parse('2026-06-30T00:00:00Z') / 1000,
  })
  t.end()
})

t.test('status shows days left and how many handshakes were short, and complains of what has expired', (t) => {
  const told = tlsFacts()
  const latency = new LatencyWindow(told.columns, () => [])
  const status = buildStatus(told, latency, NOW_MS)
  latency.stop()
  const [web, db] = status.listeners
  t.equal(db?.tls, null)
  t.match(web?.tls, { handshakes: 6, resumed: 2, failures: { UNKNOWN_CA: 4, PROTOCOL_ERROR: 2 } })
  t.same(
    web?.tls?.certificates.map(({ names, daysLeft, expires }) => [names[0], daysLeft, expires]),
    [
      ['shop.example', 20, '2026-07-21T12:00:00.000Z'],
      [undefined, -1, '2026-06-30T00:00:00.000Z'],
    ],
  )
  t.same(
    status.problems.filter((problem) => problem.includes('certificate')),
    ['the certificate of no name on listener web expired at 2026-06-30T00:00:00.000Z'],
  )
  const view = tlsView(readStatusReport(JSON.parse(JSON.stringify(status)))!, paletteFor({ isTTY: false }, {}))
  t.equal(
    view.join('\n'),
    `LISTENER  HANDSHAKES  RESUMED  FAILED  MOSTLY
web                6     33 %       6  UNKNOWN_CA
LISTENER  CERTIFICATE                                                KEY    ISSUER  EXPIRES     DAYS LEFT
web       shop.example, www.shop.example, a.shop.example and 1 more  ECDSA  Tests   2026-07-21         20
web       –                                                          RSA    Tests   2026-06-30         -1`,
  )
  t.end()
})
