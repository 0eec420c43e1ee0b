import { constants, createHash, createPrivateKey, X509Certificate } from 'node:crypto'
import { isIP, type Socket } from 'node:net'
import {
  checkServerIdentity,
  connect,
  createSecureContext,
  type PeerCertificate,
  type SecureContext,
  TLSSocket,
  type TLSSocketOptions,
} from 'node:tls'
import { CastorError } from '../core/errors.js'
import {
  type ClientTls,
  type ClientTlsConfig,
  type ServerTls,
  type ServerTlsConfig,
  TICKET_KEY_BYTES,
  type TlsHandshakeError,
  type TlsIdentity,
  type TlsInfo,
  type TlsVersion,
} from '../core/tls.js'
import { systemTrust } from './system-trust.js'
import { handshakeBroken, handshakeLeft } from './tls-faults.js'
import { groupIdentities, TLS_VERSION_NUMBERS, type TlsGroup } from './tls-groups.js'

const GROUPS = 'X25519:P-256:P-384'
/** Sessions of targets kept, the latest of each address. */
const MOST_SESSIONS = 512
const NODE_TICKET_KEY_BYTES = 48

interface NodeError extends Error {
  readonly code?: string | undefined
  readonly syscall?: string | undefined
  /** OpenSSL's words for it. */
  readonly reason?: string | undefined
}

/** What Node asks of OpenSSL once a handshake is done; `tls.Server` does it the same way, and nothing public does. */
interface Verifying {
  _handle: { verifyError(): NodeError | null } | null
}

/** A socket that shakes hands, and what comes of it. */
export interface TlsWrapping {
  readonly socket: TLSSocket
  readonly accepted: boolean
  /** The event of a finished handshake. */
  readonly opens: string
  /** Why the other side is not to be let in, though the handshake succeeded. */
  refusal(): TlsHandshakeError | undefined
  info(): TlsInfo
  failed(failure: NodeError | undefined): CastorError
  left(how: string): CastorError
}

/** TLS itself failed, rather than what carries it. */
export function isOfTls(failure: NodeError): boolean {
  return failure.reason !== undefined && failure.code?.startsWith('ERR_SSL') === true
}

/** The same rules as the addon's, by `node:tls`. Only the newest ticket key serves, since Node knows of one. */
export class SocketServerTls implements ServerTls {
  readonly #config: ServerTlsConfig
  readonly #groups: readonly TlsGroup[]
  readonly #groupOf = new Map<string, number>()
  #contexts: SecureContext[]
  #options: TLSSocketOptions

  constructor(config: ServerTlsConfig) {
    this.#config = config
    if (config.clientCertificates.mode !== 'none') checkBundle(config.clientCertificates.ca)
    this.#groups = groupIdentities(config.identities)
    for (const [at, group] of this.#groups.entries()) for (const name of group.names) this.#groupOf.set(name, at)
    this.#contexts = this.#build(undefined)
    this.#options = this.#socketOptions()
  }

  setTicketKeys(keys: Uint8Array): void {
    if (keys.length === 0 || keys.length % TICKET_KEY_BYTES !== 0) {
      throw new CastorError('TLS_CONFIG', `ticket keys are a multiple of ${TICKET_KEY_BYTES} bytes, not ${keys.length}`)
    }
    const digest = createHash('sha384').update(keys.subarray(0, TICKET_KEY_BYTES)).digest()
    this.#contexts = this.#build(digest.subarray(0, NODE_TICKET_KEY_BYTES))
    this.#options = this.#socketOptions()
  }

  dispose(): void {}

  wrap(carrier: Socket): TlsWrapping {
    const socket = new TLSSocket(carrier, this.#options)
    const mode = this.#config.clientCertificates.mode
    return {
      socket,
      accepted: true,
      opens: 'secure',
      refusal: () => (mode === 'none' ? undefined : refusalOf(socket, mode)),
      info: () => infoOf(socket, socket.servername, mode !== 'none'),
      failed: (failure) => failureOf(failure, false),
      left: (how) => handshakeLeft(how, false),
    }
  }

  #socketOptions(): TLSSocketOptions {
    const { alpn, clientCertificates } = this.#config
    const contexts = this.#contexts
    return {
      isServer: true,
      secureContext: contexts[0]!,
      SNICallback: (name, done) => done(null, contexts[this.#choose(name)]!),
      ...(alpn.length > 0 ? { ALPNProtocols: [...alpn] } : {}),
      requestCert: clientCertificates.mode !== 'none',
      rejectUnauthorized: clientCertificates.mode === 'require',
    }
  }

  #choose(asked: string): number {
    const name = asked.toLowerCase().replace(/\.$/, '')
    return this.#groupOf.get(name) ?? this.#groupOf.get(name.replace(/^[^.]+/, '*')) ?? 0
  }

  #build(ticketKeys: Buffer | undefined): SecureContext[] {
    const { minVersion, maxVersion, clientCertificates, sessionTickets } = this.#config
    const old = TLS_VERSION_NUMBERS[minVersion] < TLS_VERSION_NUMBERS['TLSv1.2']
    const legacy = old ? `${this.#config.ciphers || 'DEFAULT'}:@SECLEVEL=0` : this.#config.ciphers
    const ciphers = [this.#config.cipherSuites, legacy].filter((list) => list !== '').join(':')
    const noTickets = sessionTickets ? 0 : constants.SSL_OP_NO_TICKET
    const scope = createHash('sha256').update(`${clientCertificates.mode}\0${clientCertificates.ca}`).digest('hex')
    return this.#groups.map(({ identities, names }) =>
      explained(names.join(', '), () =>
        createSecureContext({
          cert: rsaLast(identities).map(({ cert }) => cert),
          key: rsaLast(identities).map(({ key }) => key),
          minVersion,
          maxVersion,
          ...(ciphers === '' ? {} : { ciphers }),
          ecdhCurve: GROUPS,
          honorCipherOrder: true,
          secureOptions: constants.SSL_OP_NO_COMPRESSION | constants.SSL_OP_NO_RENEGOTIATION | noTickets,
          sessionIdContext: scope.slice(0, 32),
          ...(clientCertificates.mode === 'none' ? {} : { ca: clientCertificates.ca, allowPartialTrustChain: true }),
          ...(ticketKeys === undefined ? {} : { ticketKeys }),
        }),
      ),
    )
  }
}

export class SocketClientTls implements ClientTls {
  readonly #config: ClientTlsConfig
  readonly #context: SecureContext
  readonly #sessions = new Map<string, Buffer>()

  constructor(config: ClientTlsConfig) {
    this.#config = config
    if (config.ca !== '') checkBundle(config.ca)
    const trusted = config.ca !== '' ? config.ca : systemTrust()
    this.#context = explained('the client certificate or CA', () =>
      createSecureContext({
        ...(config.verify || config.ca !== '' ? { ca: trusted, allowPartialTrustChain: true } : {}),
        ...(config.cert === '' ? {} : { cert: config.cert, key: config.key }),
        minVersion: 'TLSv1.2',
        ecdhCurve: GROUPS,
      }),
    )
  }

  dispose(): void {
    this.#sessions.clear()
  }

  wrap(carrier: Socket, address: string, port: number): TlsWrapping {
    const { serverName, verify, alpn } = this.#config
    const peer = `${address} ${port}`
    const session = this.#sessions.get(peer)
    const whom = serverName === '' ? address : serverName
    const socket = connect({
      socket: carrier,
      secureContext: this.#context,
      rejectUnauthorized: verify,
      // RFC 6066 3: an address is no server name.
      ...(isIP(whom) === 0 ? { servername: whom } : {}),
      checkServerIdentity: (_host: string, certificate: PeerCertificate) => checkServerIdentity(whom, certificate),
      ...(alpn.length > 0 ? { ALPNProtocols: [...alpn] } : {}),
      ...(session === undefined ? {} : { session }),
    })
    socket.on('session', (latest: Buffer) => this.#remember(peer, latest))
    return {
      socket,
      accepted: false,
      opens: 'secureConnect',
      refusal: () => undefined,
      info: () => infoOf(socket, isIP(whom) === 0 ? whom : '', false),
      failed: (failure) => failureOf(failure, true),
      left: (how) => handshakeLeft(how, true),
    }
  }

  #remember(peer: string, session: Buffer): void {
    this.#sessions.delete(peer)
    this.#sessions.set(peer, session)
    if (this.#sessions.size <= MOST_SESSIONS) return
    const { value } = this.#sessions.keys().next()
    if (value !== undefined) this.#sessions.delete(value)
  }
}

/** Of several keys Node 24 serves the last one only: RSA is what every client can verify. */
function rsaLast(identities: readonly TlsIdentity[]): TlsIdentity[] {
  const isRsa = ({ key }: TlsIdentity): number => Number(createPrivateKey(key).asymmetricKeyType === 'rsa')
  return [...identities].sort((left, right) => isRsa(left) - isRsa(right))
}

/** Node takes a bundle of nothing for a bundle. */
function checkBundle(pem: string): void {
  const certificates = pem.match(/-----BEGIN [A-Z ]*CERTIFICATE-----[^-]*-----END [A-Z ]*CERTIFICATE-----/g)
  if (certificates === null) throw new CastorError('TLS_CONFIG', 'the CA bundle has no certificate in PEM')
  for (const certificate of certificates) explained('the CA bundle', () => new X509Certificate(certificate))
}

function explained<T>(what: string, make: () => T): T {
  try {
    return make()
  } catch (cause) {
    throw new CastorError('TLS_CONFIG', `${what}: ${(cause as NodeError).reason ?? (cause as Error).message}`, {
      cause,
    })
  }
}

function refusalOf(socket: TLSSocket, mode: 'request' | 'require'): TlsHandshakeError | undefined {
  if (socket.getPeerX509Certificate() === undefined) {
    return mode === 'require' ? handshakeBroken('peer did not return a certificate') : undefined
  }
  const error = (socket as unknown as Verifying)._handle?.verifyError()
  return error ? handshakeBroken(`certificate verify failed: ${error.message}`, error) : undefined
}

function failureOf(failure: NodeError | undefined, dialled: boolean): CastorError {
  if (failure !== undefined && isOfTls(failure)) return handshakeBroken(failure.reason ?? failure.message, failure)
  if (failure?.syscall === 'connect') return new CastorError('CONNECT_FAILED', failure.code, { cause: failure })
  if (failure === undefined || failure.code === 'ECONNRESET' || failure.code === 'EPIPE') {
    return handshakeLeft(failure?.code ?? '', dialled, failure)
  }
  // Of a target's certificate: Node gives OpenSSL's name of it as the code, or the name that does not fit.
  return handshakeBroken(`certificate verify failed: ${failure.message}`, failure)
}

function infoOf(socket: TLSSocket, serverName: string | false | undefined | null, withClient: boolean): TlsInfo {
  const client = withClient ? socket.getPeerX509Certificate() : undefined
  return {
    version: socket.getProtocol() as TlsVersion,
    cipher: socket.getCipher().name,
    alpn: socket.alpnProtocol || '',
    serverName: (serverName || '').toLowerCase(),
    resumed: socket.isSessionReused(),
    clientSubject: client === undefined ? '' : distinguishedName(client.subject),
    clientFingerprint: client === undefined ? '' : createHash('sha256').update(client.raw).digest('hex'),
  }
}

/** RFC 2253 2.1: last part first. Node escapes what RFC 2253 2.4 says, except for what is not ASCII. */
function distinguishedName(lines: string): string {
  const escaped = lines.replace(/[^\0-\x7f]+/gu, (text) =>
    [...Buffer.from(text)].map((byte) => `\\${byte.toString(16).toUpperCase()}`).join(''),
  )
  return escaped.split('\n').reverse().join(',')
}
