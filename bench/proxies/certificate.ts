import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * The one TLS 1.3 cipher suite of all in the comparison: by their own defaults HAProxy and nginx prefer AES-256, Castor
 * AES-128, and a difference of ciphers is none of proxies.
 */
export const CIPHER_SUITE = 'TLS_AES_128_GCM_SHA256'
/** Key exchange: first with all of them, and with every client that is used here. */
export const CURVE = 'X25519'

/** What the proxies show to TLS clients: the same certificate and key for all. Files in PEM. */
export interface Certificate {
  readonly certificate: string
  readonly key: string
  /** Both in one file, as HAProxy takes them. */
  readonly bundle: string
}

/** A self-signed ECDSA certificate on P-256 in `folder`. Throws where there is no openssl. */
export function makeCertificate(folder: string): Certificate {
  const [certificate, key, bundle] = ['cert.pem', 'key.pem', 'bundle.pem'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ]
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
  const name = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  const files = ['-keyout', key, '-out', certificate]
  const done = spawnSync('openssl', ['req', '-x509', ...kind, ...name, ...files], { encoding: 'utf8' })
  if (done.status !== 0) throw new Error(`openssl made no certificate: ${done.error?.message ?? done.stderr.trim()}`)
  writeFileSync(bundle, readFileSync(certificate, 'utf8') + readFileSync(key, 'utf8'))
  return { certificate, key, bundle }
}
