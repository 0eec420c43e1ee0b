import { existsSync, readFileSync } from 'node:fs'
import { rootCertificates } from 'node:tls'

/** Where distributions put what the operator trusts: Debian, Red Hat, Alpine, openSUSE. */
const BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/cert.pem',
  '/etc/ssl/ca-bundle.pem',
]

let read: string | undefined

/**
 * The CAs that this system trusts, PEM; those that came with Node where it has none; and those in NODE_EXTRA_CA_CERTS, as
 * with everything that runs on Node. Read once a thread.
 */
export function systemTrust(): string {
  if (read !== undefined) return read
  const { SSL_CERT_FILE, NODE_EXTRA_CA_CERTS: extra } = process.env
  const file = [SSL_CERT_FILE, ...BUNDLES].find((path) => path !== undefined && existsSync(path))
  const trusted = file === undefined ? rootCertificates.join('\n') : readFileSync(file, 'utf8')
  read = extra !== undefined && existsSync(extra) ? `${trusted}\n${readFileSync(extra, 'utf8')}` : trusted
  return read
}
