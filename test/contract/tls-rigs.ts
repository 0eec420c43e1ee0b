import { once } from 'node:events'
import { connect as connectPlain, type Socket } from 'node:net'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import type { Conn, ConnHandler } from '../../src/core/conn.js'
import type { ClientTls, ClientTlsConfig, ServerTls, ServerTlsConfig } from '../../src/core/tls.js'
import { TlsHandshakeError } from '../../src/core/tls.js'
import { CertificateAuthority, type Identity } from '../integration/support/certificate-authority.js'
import type { Rig } from './conn-rigs.js'
import { Recorder } from './recorder.js'

export const authority = new CertificateAuthority()
export const stranger = new CertificateAuthority('somebody else')
export const identity = authority.issue(['localhost', '127.0.0.1'])

/** What most tests want of a server. */
export function serverConfig(changes: Partial<ServerTlsConfig> = {}): ServerTlsConfig {
  return {
    identities: [identity],
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.3',
    ciphers: '',
    cipherSuites: '',
    alpn: [],
    clientCertificates: { mode: 'none', ca: '' },
    sessionTickets: true,
    ...changes,
  }
}

export function clientConfig(changes: Partial<ClientTlsConfig> = {}): ClientTlsConfig {
  return { verify: true, ca: authority.cert, serverName: 'localhost', cert: '', key: '', alpn: [], ...changes }
}

/** Both sides of one implementation, shaking hands with each other or with somebody else. */
export class TlsRig {
  readonly rig: Rig
  readonly #contexts: (ServerTls | ClientTls)[] = []

  constructor(rig: Rig) {
    this.rig = rig
  }

  server(changes: Partial<ServerTlsConfig> = {}): ServerTls {
    const context = this.rig.accepting.serverTls(serverConfig(changes))
    this.#contexts.push(context)
    return context
  }

  client(changes: Partial<ClientTlsConfig> = {}): ClientTls {
    const context = this.rig.dialling.clientTls(clientConfig(changes))
    this.#contexts.push(context)
    return context
  }

  /** The next connection accepted speaks TLS. */
  expect(context: ServerTls, handler: ConnHandler): Promise<Conn> {
    return this.rig.expect(handler, (conn) => this.rig.accepting.secure(conn, context, undefined))
  }

  /** Dialled and accepted, with the handshake behind them. */
  async connect(
    left: Recorder,
    right: Recorder,
    server: ServerTls = this.server(),
    client: ClientTls = this.client(),
  ): Promise<[Conn, Conn]> {
    const accepted = this.expect(server, right)
    const conn = this.rig.dialling.dial('127.0.0.1', await this.rig.port(), left, client)
    await Promise.all([left.untilLogged('open'), right.untilLogged('open')])
    return [conn, await accepted]
  }

  /** A client of Node's, whose handshake is under way. */
  async peer(server: ServerTls, right: ConnHandler, options: ConnectionOptions = {}): Promise<[TLSSocket, Conn]> {
    const accepted = this.expect(server, right)
    const socket = connect({
      ...(options.socket === undefined ? { port: await this.rig.port(), host: '127.0.0.1' } : {}),
      ca: authority.cert,
      servername: 'localhost',
      ...options,
    })
    socket.on('error', () => {})
    return [socket, await accepted]
  }

  /** One that sends whatever it likes. */
  async raw(server: ServerTls, right: ConnHandler): Promise<[Socket, Conn]> {
    const accepted = this.expect(server, right)
    const socket = connectPlain(await this.rig.port(), '127.0.0.1')
    socket.on('error', () => {})
    await once(socket, 'connect')
    return [socket, await accepted]
  }

  close(): void {
    for (const context of this.#contexts) context.dispose()
    this.rig.close()
  }
}

/** The fault a failed handshake was closed with. */
export function faultOf(recorder: Recorder): string {
  const { cause } = recorder
  return cause instanceof TlsHandshakeError ? cause.fault : `no handshake error: ${cause?.code} ${cause?.message}`
}

/** An echo that ends when the other side does. */
export function echo(): Recorder {
  return new Recorder({
    data(conn, buffer, length) {
      if (!conn.write(buffer, 0, length)) conn.pause()
    },
    writable: (conn) => conn.resume(),
    end: (conn) => conn.end(),
  })
}

/** Certificate and key as `node:tls` takes them. */
export function credentials(from: Identity): { cert: string; key: string } {
  return { cert: from.cert, key: from.key }
}
