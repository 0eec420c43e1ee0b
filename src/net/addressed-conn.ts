import type { Endpoint } from '../core/conn.js'
import {
  RECORD_ADDRESS,
  RECORD_FAMILY,
  RECORD_PORT,
  RECORD_WORDS,
  recordFamily,
  recordPeer,
} from '../core/connection-record.js'
import type { NativeAddon } from '../native/addon.js'

const UNKNOWN: Endpoint = { family: 4, address: '0.0.0.0', port: 0 }

/** The addresses of a connection by its descriptor: found when somebody asks, since most are never asked for. */
export abstract class AddressedConn {
  abstract readonly fd: number
  protected abstract readonly addon: NativeAddon
  /** Peer's family, port and address words, or the endpoint once somebody asked. */
  #peerFamily = 0
  #peerPort = 0
  /** One number where it is of IPv4. */
  #peerAddress: Int32Array | number = 0
  #peer: Endpoint | undefined
  #local: Endpoint | undefined

  rememberPeer(records: Int32Array, at: number): void {
    this.#peerFamily = recordFamily(records, at)
    this.#peerPort = records[at + RECORD_PORT]!
    this.#peerAddress =
      this.#peerFamily === 4
        ? records[at + RECORD_ADDRESS]!
        : records.slice(at + RECORD_ADDRESS, at + RECORD_ADDRESS + 4)
  }

  get peer(): Endpoint {
    if (this.#peer !== undefined) return this.#peer
    const peer = this.#peerFamily === 0 ? this.#ask(1) : this.#remembered()
    // Before a dialled connection is open there is nobody to ask about: the next time there may be.
    if (peer !== UNKNOWN) this.#peer = peer
    return peer
  }

  get local(): Endpoint {
    if (this.#local !== undefined) return this.#local
    const local = this.#ask(0)
    if (local !== UNKNOWN) this.#local = local
    return local
  }

  /** The descriptor is about to be closed: whoever asks later must not be told of another connection's addresses. */
  protected forgetAddresses(): void {
    this.#peer ??= this.#peerFamily === 0 ? UNKNOWN : undefined
    this.#local ??= UNKNOWN
  }

  /** UNKNOWN where there is none, or none yet. */
  #ask(peer: 0 | 1): Endpoint {
    if (this.fd < 0) return UNKNOWN
    const record = new Int32Array(RECORD_WORDS)
    return this.addon.address(this.fd, peer, record) < 0 ? UNKNOWN : recordPeer(record, 0)
  }

  #remembered(): Endpoint {
    const record = new Int32Array(RECORD_WORDS)
    record[RECORD_FAMILY] = this.#peerFamily
    record[RECORD_PORT] = this.#peerPort
    if (typeof this.#peerAddress === 'number') record[RECORD_ADDRESS] = this.#peerAddress
    else record.set(this.#peerAddress, RECORD_ADDRESS)
    return recordPeer(record, 0)
  }
}
