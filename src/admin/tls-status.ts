import type { CertificateFacts, TlsFault } from '../core/tls.js'
import type { Columns } from '../shm/columns.js'
import { faultCounts, handshakeCounts } from './column-sums.js'

const DAY_MS = 24 * 60 * 60 * 1000

export interface CertificateStatus {
  /** That it is served for. */
  readonly names: readonly string[]
  readonly keyType: string
  readonly issuer: string
  readonly fingerprint: string
  /** ISO 8601. */
  readonly expires: string
  /** Whole days; negative once it has expired. */
  readonly daysLeft: number
}

/** What a listener says of its TLS; null where it speaks none. Counts since the start. */
export interface TlsStatus {
  readonly handshakes: number
  /** Of these, those that went on with an earlier session. */
  readonly resumed: number
  readonly failures: Readonly<Partial<Record<TlsFault, number>>>
  readonly certificates: readonly CertificateStatus[]
}

export function tlsStatus(
  columns: Columns,
  listener: number,
  certificates: readonly CertificateFacts[],
  nowMs: number,
): TlsStatus {
  const status = { handshakes: 0, resumed: 0, failures: {} as Partial<Record<TlsFault, number>> }
  for (const { resumed, count } of listener < 0 ? [] : handshakeCounts(columns, listener)) {
    status.handshakes += count
    if (resumed) status.resumed += count
  }
  for (const { fault, count } of listener < 0 ? [] : faultCounts(columns, listener)) status.failures[fault] = count
  return { ...status, certificates: certificates.map((facts) => describe(facts, nowMs)) }
}

function describe(facts: CertificateFacts, nowMs: number): CertificateStatus {
  const { names, keyType, issuer, fingerprint, validUntilMs } = facts
  const expires = new Date(validUntilMs).toISOString()
  return { names, keyType, issuer, fingerprint, expires, daysLeft: Math.floor((validUntilMs - nowMs) / DAY_MS) }
}

/** One sentence each on certificates that no longer do. */
export function certificateProblems(listener: string, { certificates }: TlsStatus): string[] {
  return certificates
    .filter(({ daysLeft }) => daysLeft < 0)
    .map(
      ({ names, expires }) =>
        `the certificate of ${names[0] ?? 'no name'} on listener ${listener} expired at ${expires}`,
    )
}
