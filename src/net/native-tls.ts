// Hot path: reads and writes of all connections that speak TLS pass here. No allocation except for what a handshake found.
import { CastorError } from '../core/errors.js'
import {
  type ClientTls,
  type ClientTlsConfig,
  type ServerTls,
  type ServerTlsConfig,
  TICKET_KEY_BYTES,
  type TlsInfo,
  type TlsVersion,
} from '../core/tls.js'
import type { NativeAddon } from '../native/addon.js'
import { TLS_BROKEN, TLS_CUT, TLS_KEPT, TLS_MORE, TLS_WORDS, type TlsAddon } from '../native/tls-addon.js'
import { systemTrust } from './system-trust.js'
import { cutOff, handshakeBroken, handshakeLeft } from './tls-faults.js'
import { describeIdentity, groupIdentities, TLS_VERSION_NUMBERS } from './tls-groups.js'

/** OpenSSL's flags for whom to verify. */
const VERIFY = { none: 0, request: 1, require: 3 } as const
/** What handshakes agreed on is nearly always the same: so many different answers are kept to be shared. */
const MOST_INFOS = 512
/** TLS 1.0 and 1.1 sign with what OpenSSL refuses at any other level of its own. */
const OLD_VERSIONS_LEVEL = '@SECLEVEL=0'

/** TLS as the addon speaks it in this thread. */
export class NativeTls {
  readonly #addon: NativeAddon & TlsAddon
  readonly #words = new Int32Array(TLS_WORDS)
  readonly #infos = new Map<string, TlsInfo>()

  /** Throws CastorError NATIVE_UNAVAILABLE where this node has no OpenSSL that the addon could use. */
  constructor(addon: NativeAddon) {
    this.#addon = addon as NativeAddon & TlsAddon
    const error = addon.tlsOpen?.(this.#words)
    if (error === 0) return
    const why = error === undefined ? 'the addon was built without it' : addon.errorName(error)
    throw new CastorError('NATIVE_UNAVAILABLE', `the addon speaks no TLS here: ${why}`)
  }

  /** After a read: there is more, of which no event will tell. */
  get more(): boolean {
    return this.#words[TLS_MORE] !== 0
  }

  /**
   * After any call on a connection: the addon holds bytes that the kernel would not take. Where it does not and a write
   * took less than all, the rest waits until a message of TLS that the peer sent in part has been read.
   */
  get kept(): boolean {
    return this.#words[TLS_KEPT] !== 0
  }

  server(config: ServerTlsConfig): NativeServerTls {
    const { clientCertificates } = config
    const groups = groupIdentities(config.identities)
    const id = this.#context(1, config.minVersion, config.maxVersion, config, VERIFY[clientCertificates.mode])
    try {
      if (clientCertificates.mode !== 'none') {
        this.#check(this.#addon.tlsContextTrust(id, clientCertificates.ca, 0), 'clientCertificates.ca')
      }
      for (const [at, group] of groups.entries()) {
        for (const identity of group.identities) {
          const what = describeIdentity(identity, config.identities.indexOf(identity))
          this.#check(this.#addon.tlsContextIdentity(id, at, identity.cert, identity.key), what)
        }
        for (const name of group.names) this.#check(this.#addon.tlsContextName(id, name, at), name)
      }
    } catch (fault) {
      this.#addon.tlsContextClose(id)
      throw fault
    }
    return new NativeServerTls(this.#addon, id)
  }

  client(config: ClientTlsConfig): NativeClientTls {
    const rules = { ciphers: '', cipherSuites: '', alpn: config.alpn, sessionTickets: true }
    const id = this.#context(0, 'TLSv1.2', 'TLSv1.3', rules, config.verify ? VERIFY.request : VERIFY.none)
    try {
      if (config.ca !== '') this.#check(this.#addon.tlsContextTrust(id, config.ca, 0), 'ca')
      else if (config.verify) this.#check(this.#addon.tlsContextTrust(id, systemTrust(), 1), "the system's CAs")
      this.#check(this.#addon.tlsContextIdentity(id, 0, config.cert, config.key), 'the client certificate')
      this.#check(this.#addon.tlsContextName(id, config.serverName, -1), 'serverName')
    } catch (fault) {
      this.#addon.tlsContextClose(id)
      throw fault
    }
    return new NativeClientTls(this.#addon, id)
  }

  /** 0, or a negative errno. */
  accept(fd: number, context: ServerTls, early: Uint8Array | undefined): number {
    return this.#addon.tlsAccept(fd, (context as NativeServerTls).id, early)
  }

  connect(fd: number, context: ClientTls, address: string, port: number): number {
    return this.#addon.tlsConnect(fd, (context as NativeClientTls).id, address, `${address} ${port}`)
  }

  handshake(fd: number): number {
    return this.#addon.tlsHandshake(fd)
  }

  receive(fd: number, limit: number, toEnd: boolean): number {
    return this.#addon.tlsReceive(fd, limit, toEnd ? 1 : 0)
  }

  send(fd: number, which: 0 | 1, start: number, end: number): number {
    return this.#addon.tlsSend(fd, which, start, end)
  }

  sendFrom(fd: number, bytes: Uint8Array, start: number, end: number): number {
    return this.#addon.tlsSendFrom(fd, bytes, start, end)
  }

  /** Sends on what the addon holds: 0, or a negative errno. */
  flush(fd: number): number {
    return this.#addon.tlsSend(fd, 1, 0, 0)
  }

  /** Reads what is left of a message that holds writes up, and no data: 0, or a negative errno. */
  proceed(fd: number): number {
    return this.#addon.tlsProceed(fd)
  }

  end(fd: number): number {
    return this.#addon.tlsEnd(fd)
  }

  unread(fd: number): boolean {
    return this.#addon.tlsUnread(fd) === 1
  }

  info(fd: number): TlsInfo {
    const text = this.#addon.tlsInfo(fd)
    const known = this.#infos.get(text)
    if (known !== undefined) return known
    const [version, cipher, alpn, serverName, resumed, clientSubject = '', clientFingerprint = ''] = text.split('\0')
    const info: TlsInfo = {
      version: version as TlsVersion,
      cipher: cipher!,
      alpn: alpn!,
      serverName: serverName!.toLowerCase(),
      resumed: resumed === '1',
      clientSubject,
      clientFingerprint,
    }
    if (this.#infos.size >= MOST_INFOS) this.#infos.clear()
    this.#infos.set(text, info)
    return info
  }

  /** What a negative answer means: of a handshake, or once it was done. */
  errorOf(fd: number, error: number, shaking: boolean, dialled: boolean): CastorError {
    if (error === TLS_BROKEN) {
      const reason = this.#addon.tlsFailure(fd)
      return shaking ? handshakeBroken(reason) : new CastorError('TLS_FAILED', reason)
    }
    if (error === TLS_CUT) return shaking ? handshakeLeft('', dialled) : cutOff()
    const name = this.#addon.errorName(error)
    return shaking ? handshakeLeft(name, dialled) : new CastorError('PEER_RESET', name)
  }

  #context(
    server: 0 | 1,
    minVersion: TlsVersion,
    maxVersion: TlsVersion,
    rules: Pick<ServerTlsConfig, 'ciphers' | 'cipherSuites' | 'alpn' | 'sessionTickets'>,
    verify: number,
  ): number {
    const min = TLS_VERSION_NUMBERS[minVersion]
    const max = TLS_VERSION_NUMBERS[maxVersion]
    if (min > max) throw new CastorError('TLS_CONFIG', `minVersion ${minVersion} is above maxVersion ${maxVersion}`)
    const old = min < TLS_VERSION_NUMBERS['TLSv1.2']
    const ciphers = old ? `${rules.ciphers || 'DEFAULT'}:${OLD_VERSIONS_LEVEL}` : rules.ciphers
    const alpn = alpnBytes(rules.alpn)
    const tickets = rules.sessionTickets ? 1 : 0
    const id = this.#addon.tlsContextOpen(server, min, max, ciphers, rules.cipherSuites, alpn, verify, tickets)
    if (id < 0) throw new CastorError('TLS_CONFIG', `the rules cannot be used: ${this.#addon.errorName(id)}`)
    return id
  }

  #check(error: number, what: string): void {
    if (error === 0) return
    const why = error === TLS_BROKEN ? this.#addon.tlsContextError() : this.#addon.errorName(error)
    throw new CastorError('TLS_CONFIG', `${what}: ${why}`)
  }
}

class NativeContext {
  readonly id: number
  protected readonly addon: TlsAddon
  protected disposed = false

  constructor(addon: TlsAddon, id: number) {
    this.addon = addon
    this.id = id
  }

  /** Numbers are never given out again: closed twice is closed once. */
  dispose(): void {
    this.disposed = true
    this.addon.tlsContextClose(this.id)
  }
}

class NativeServerTls extends NativeContext implements ServerTls {
  setTicketKeys(keys: Uint8Array): void {
    if (this.disposed || this.addon.tlsContextKeys(this.id, keys) === 0) return
    throw new CastorError('TLS_CONFIG', `ticket keys are 1 to 16 times ${TICKET_KEY_BYTES} bytes, not ${keys.length}`)
  }
}

class NativeClientTls extends NativeContext implements ClientTls {}

/** RFC 7301 3.1: each name behind its length. */
function alpnBytes(names: readonly string[]): Uint8Array {
  for (const name of names) {
    if (name.length === 0 || name.length > 255) throw new CastorError('TLS_CONFIG', `no ALPN protocol: '${name}'`)
  }
  return Buffer.concat(names.map((name) => Buffer.concat([Buffer.of(name.length), Buffer.from(name, 'latin1')])))
}
