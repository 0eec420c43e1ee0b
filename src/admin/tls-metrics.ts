import type { Directory } from '../core/directory.js'
import type { CertificateFacts } from '../core/tls.js'
import type { Exposition } from '../observe/prometheus.js'
import type { Columns } from '../shm/columns.js'
import { faultCounts, handshakeCounts } from './column-sums.js'

/** Handshakes and certificates; listeners without TLS have no lines. `certificates` is by index of the listener. */
export function tlsMetrics(
  out: Exposition,
  columns: Columns,
  { listeners }: Directory,
  certificates: (listener: number) => readonly CertificateFacts[],
): void {
  out.family('castor_tls_handshakes_total', 'counter', 'TLS handshakes finished, in full or resumed by a ticket.')
  listeners.forEach((listener, index) => {
    if (listener === undefined) return
    for (const { version, resumed, count } of handshakeCounts(columns, index)) {
      out.sample({ listener, version, resumed: String(resumed) }, count)
    }
  })
  out.family('castor_tls_handshake_failures_total', 'counter', 'TLS handshakes that failed, by reason.')
  listeners.forEach((listener, index) => {
    if (listener === undefined) return
    for (const { fault, count } of faultCounts(columns, index)) out.sample({ listener, reason: fault }, count)
  })
  out.family(
    'castor_tls_certificate_expiry_timestamp_seconds',
    'gauge',
    'When the certificate that is served expires, in seconds since the epoch.',
  )
  listeners.forEach((listener, index) => {
    if (listener === undefined) return
    for (const { names, path, keyType, validUntilMs } of certificates(index)) {
      out.sample({ listener, name: names[0] ?? path, key_type: keyType }, validUntilMs / 1000)
    }
  })
}
