import { createSecureContext } from 'node:tls'
import type { TlsVersion } from '../core/tls.js'

/** Which versions and cipher suites a listener agrees to. */
export interface TlsPolicy {
  readonly minVersion: TlsVersion
  readonly maxVersion: TlsVersion
  /** OpenSSL's list for TLS 1.2 and earlier. */
  readonly ciphers: string
  /** OpenSSL's list for TLS 1.3. */
  readonly cipherSuites: string
}

const TLS13_SUITES = 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256'
/** Forward-secret, authenticated encryption; AES-128 first, since 256 bits cost time and gain nothing here. */
const FORWARD_SECRET_AEAD =
  'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:' +
  'ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305'
/** TLS 1.0 and 1.1 know no authenticated encryption. */
const FORWARD_SECRET_CBC = 'ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA'

export const POLICIES = {
  modern: {
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    ciphers: FORWARD_SECRET_AEAD,
    cipherSuites: TLS13_SUITES,
  },
  intermediate: {
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.3',
    ciphers: FORWARD_SECRET_AEAD,
    cipherSuites: TLS13_SUITES,
  },
} as const satisfies Record<string, TlsPolicy>

/** True for versions that are broken or near it (RFC 8996). */
export function isDeprecated(version: TlsVersion): boolean {
  return version === 'TLSv1' || version === 'TLSv1.1'
}

/** `ciphers` is OpenSSL's list with the suites of all versions in it; empty = the forward-secret ones. */
export function customPolicy(minVersion: TlsVersion, maxVersion: TlsVersion, ciphers: string): TlsPolicy {
  const names = ciphers.split(/[:, ]+/).filter((name) => name !== '')
  const suites = names.filter(isTls13Suite)
  const older = names.filter((name) => !isTls13Suite(name))
  const deprecated = isDeprecated(minVersion)
  if (older.length === 0) older.push(FORWARD_SECRET_AEAD, ...(deprecated ? [FORWARD_SECRET_CBC] : []))
  // OpenSSL 3 signs their handshakes at no other level.
  if (deprecated && !ciphers.includes('@SECLEVEL')) older.push('@SECLEVEL=0')
  return {
    minVersion,
    maxVersion,
    ciphers: older.join(':'),
    cipherSuites: suites.length === 0 ? TLS13_SUITES : suites.join(':'),
  }
}

export function isTls13Suite(name: string): boolean {
  return name.startsWith('TLS_')
}

/** The parts of a cipher list that OpenSSL knows nothing by: it would pass over them without a word. */
export function unknownCiphers(list: string): string[] {
  const names = list.split(/[:, ]+/).filter((name) => name !== '' && !/^@(STRENGTH|SECLEVEL=[0-5])$/.test(name))
  return names.filter((name) => !isKnown(name.replace(/^[!+-]/, '')))
}

function isKnown(name: string): boolean {
  try {
    createSecureContext({ ciphers: name })
    return true
  } catch {
    return false
  }
}
