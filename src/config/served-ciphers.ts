import { createSecureContext } from 'node:tls'
import { type CertificateFacts, TLS_VERSIONS } from '../core/tls.js'
import type { Finding } from './certificate.js'
import { customPolicy, isTls13Suite, unknownCiphers } from './tls-policy.js'
import { isFields, text } from './tree.js'

/** What a cipher list is left with that certificates of this type can serve, in OpenSSL's words. */
const ONLY: Readonly<Record<string, string>> = {
  RSA: '!aECDSA:!aDSS:!aPSK:!aSRP:!aNULL',
  ECDSA: '!aRSA:!aDSS:!aPSK:!aSRP:!aNULL',
}

/**
 * Ciphers of TLS 1.2 and below that no certificate of the listener can serve: one that names RSA wants an RSA key. Only of a
 * list that is written in the file: those of the product have each cipher for both kinds of key.
 */
export function unservedCiphers(policy: unknown, facts: readonly CertificateFacts[]): Finding[] {
  const written = isFields(policy) ? (text(policy.ciphers) ?? '') : ''
  if (!isFields(policy) || written === '' || unknownCiphers(written).length > 0) return []
  const minVersion = TLS_VERSIONS.find((version) => version === policy.minVersion) ?? 'TLSv1.2'
  const { ciphers } = customPolicy(minVersion, 'TLSv1.3', written)
  const rules = [...new Set(facts.map(({ keyType }) => (keyType === 'RSA' ? 'RSA' : 'ECDSA')))].map(
    (kind) => ONLY[kind]!,
  )
  if (minVersion === 'TLSv1.3' || ciphers === '' || rules.length === 0) return []
  const named = ciphers.split(/[:, ]+/).filter((name) => /^[A-Z0-9][A-Z0-9-]*$/.test(name) && !isTls13Suite(name))
  const unserved = named.filter((name) => !rules.some((rule) => isSome(`${name}:${rule}`)))
  const kinds = [...new Set(facts.map(({ keyType }) => keyType))].join(' and ')
  const path = ['policy', 'ciphers']
  if (!rules.some((rule) => isSome(`${ciphers}:${rule}`))) {
    const message = `no cipher in it can be served by a certificate with a key of type ${kinds}: clients below TLS 1.3 are refused`
    return [{ path, severity: 'warning', message }]
  }
  if (unserved.length === 0) return []
  const message = `no certificate can serve ${unserved.join(', ')}: the keys are of type ${kinds}`
  return [{ path, severity: 'warning', message }]
}

/** Whether OpenSSL finds any cipher below TLS 1.3 by the list. */
function isSome(ciphers: string): boolean {
  try {
    createSecureContext({ ciphers, maxVersion: 'TLSv1.2' })
    return true
  } catch {
    return false
  }
}
