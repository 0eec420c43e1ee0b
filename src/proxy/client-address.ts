import type { ForwardedConfig } from '../core/config.js'
import type { Conn, Endpoint } from '../core/conn.js'
import type { SessionKey } from '../core/session-store.js'
import type { TlsInfo } from '../core/tls.js'

/**
 * Where a connection comes from, as everything above the socket is told: the peer itself, or whom a trusted proxy in
 * front names in its PROXY header. `vip` and `vport` are what the client dialled.
 */
export interface ClientAddress {
  readonly source: Endpoint
  readonly vip: string
  readonly vport: number
  /** What the client's TLS handshake agreed on; undefined where it spoke none. */
  readonly tls: TlsInfo | undefined
  /** Where connections of its source are counted (`shm/source-table.ts`); −1 where they are not. */
  readonly place: number
  /** It is named by a field of the request, and the connection is another's. */
  readonly isForwarded: boolean
  /** The client's session key in the group that asked last: it is the same for all requests of a connection. */
  sessionKey: KeyOfClient | undefined
}

/** A session key made of a client's address, and the number of the group that it was made for. */
export interface KeyOfClient {
  readonly group: number
  readonly key: SessionKey
}

/**
 * The address of a connection that no proxy stands before. `vport` is the bind's, which costs no system call. A class,
 * because of object literals with a getter the engine gives each a shape of its own.
 */
export class DirectAddress implements ClientAddress {
  readonly source: Endpoint
  readonly vport: number
  readonly tls = undefined
  readonly place: number
  readonly isForwarded = false
  sessionKey: KeyOfClient | undefined = undefined
  readonly #conn: Conn
  readonly #bindAddress: string

  constructor(conn: Conn, bindAddress: string, bindPort: number, place: number) {
    this.source = conn.peer
    this.place = place
    this.vport = bindPort
    this.#conn = conn
    this.#bindAddress = bindAddress
  }

  /** Asked for only when somebody wants to know: on a wildcard bind it is a system call. */
  get vip(): string {
    const address = this.#bindAddress
    return address === '0.0.0.0' || address === '::' ? this.#conn.local.address : address
  }
}

/** The same client, once its handshake is done. */
export class SecuredAddress implements ClientAddress {
  readonly source: Endpoint
  readonly vport: number
  readonly tls: TlsInfo | undefined
  readonly place: number
  readonly isForwarded = false
  sessionKey: KeyOfClient | undefined = undefined
  readonly #plain: ClientAddress

  constructor(plain: ClientAddress, tls: TlsInfo | undefined) {
    this.source = plain.source
    this.place = plain.place
    this.vport = plain.vport
    this.tls = tls
    this.#plain = plain
  }

  get vip(): string {
    return this.#plain.vip
  }
}

const ascii = (text: string): Uint8Array => Buffer.from(text, 'latin1')

/** RFC 7239 6: IPv6 addresses are bracketed and quoted. */
const node = (endpoint: Endpoint): string => (endpoint.family === 6 ? `"[${endpoint.address}]"` : endpoint.address)

/** What a group's targets are told of one client connection, ready to be copied into each request's head. */
export interface ForwardedLines {
  readonly clientAddress: Uint8Array
  readonly fixedLines: Uint8Array
  readonly forwardedPrefix: Uint8Array | undefined
}

/** `certificates` says whether the listener asks clients for theirs: then targets are told what came of it. */
export function forwardedLines(
  clientAddress: ClientAddress,
  config: ForwardedConfig,
  certificates: boolean,
): ForwardedLines {
  const { source: client, tls } = clientAddress
  const scheme = schemeOf(clientAddress)
  let lines = ''
  if (config.proto) lines += `X-Forwarded-Proto: ${scheme}\r\n`
  if (config.port) lines += `X-Forwarded-Port: ${clientAddress.vport}\r\n`
  if (config.vip) lines += `X-Forwarded-LBIP: ${clientAddress.vip}\r\n`
  if (config.clientPort) lines += `X-Forwarded-Client-Port: ${client.port}\r\n`
  if (certificates && tls !== undefined) lines += certificateLines(tls)
  return {
    clientAddress: ascii(client.address),
    fixedLines: ascii(lines),
    forwardedPrefix: config.rfc7239 ? ascii(`for=${node(client)};proto=${scheme}`) : undefined,
  }
}

/** The address that was dialled as a Host field (RFC 9110 7.2). */
export function formatHost({ vip, vport }: ClientAddress): string {
  return vip.includes(':') ? `[${vip}]:${vport}` : `${vip}:${vport}`
}

export function schemeOf({ tls }: ClientAddress): 'http' | 'https' {
  return tls === undefined ? 'http' : 'https'
}

/** RFC 2253 2.4: what is no printable ASCII is written as `\XX`, so that nothing in a subject can end the line. */
function certificateLines({ clientSubject, clientFingerprint }: TlsInfo): string {
  if (clientFingerprint === '') return 'X-Client-Cert-Verified: NONE\r\n'
  const subject = Buffer.from(clientSubject)
    .toString('latin1')
    .replace(/[^\x20-\x7e]/g, (byte) => `\\${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`)
  return `X-Client-Cert-Verified: SUCCESS\r\nX-Client-Cert-Subject: ${subject}\r\nX-Client-Cert-Fingerprint: ${clientFingerprint}\r\n`
}
