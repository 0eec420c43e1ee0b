import type { CertificateFacts, TlsInfo } from '../../../src/core/tls.js'
import type { ClientSources } from '../../../src/proxy/client-sources.js'
import { Listener } from '../../../src/proxy/listener.js'
import type { RouteTable } from '../../../src/proxy/route-table.js'
import { FakeFacts } from './fake-facts.js'

const certificate = (name: string, until: string, keyType = 'ECDSA'): CertificateFacts => ({
  path: `/etc/${name}.pem`,
  names: name === '' ? [] : [name, `www.${name}`, `a.${name}`, `b.${name}`],
  keyType,
  issuer: 'Tests',
  fingerprint: 'ab'.repeat(32),
  validFromMs: 0,
  validUntilMs: Date.parse(until),
})

const info = (version: TlsInfo['version'], resumed: boolean): TlsInfo => ({
  version,
  cipher: '',
  alpn: '',
  serverName: '',
  resumed,
  clientSubject: '',
  clientFingerprint: '',
})

/** Two workers have counted handshakes on the first listener. */
export function tlsFacts(): FakeFacts {
  const facts = new FakeFacts()
  const tls = {
    certificates: [],
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.3',
    ciphers: '',
    cipherSuites: '',
    alpn: [],
    clientCertificates: { mode: 'none', ca: '' },
    sessionTickets: true,
    handshakeTimeoutMs: 10_000,
  } as const
  ;(facts.config.listeners as unknown[])[0] = { ...facts.config.listeners[0], protocol: 'https', tls }
  for (const column of [1, 2]) {
    const listener = new Listener({} as RouteTable, {
      columns: facts.columns,
      column,
      listener: 0,
      sources: {} as ClientSources,
    })
    listener.countHandshake(info('TLSv1.3', false))
    listener.countHandshake(info('TLSv1.3', true))
    listener.countHandshake(info('TLSv1.2', false))
    listener.countHandshakeFault('PROTOCOL_ERROR')
    listener.countHandshakeFault('UNKNOWN_CA')
    listener.countHandshakeFault('UNKNOWN_CA')
  }
  facts.served = [[certificate('shop.example', '2026-07-21T12:00:00Z'), certificate('', '2026-06-30T00:00:00Z', 'RSA')]]
  return facts
}
