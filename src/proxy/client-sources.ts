// Hot path: once or twice per connection of a source that limits hold for.
import type { Logger } from 'pino'
import type { Clock } from '../core/clock.js'
import type { Endpoint } from '../core/conn.js'
import { RECORD_ADDRESS, recordFamily } from '../core/connection-record.js'
import { REASON } from '../core/reasons.js'
import type { SharedSources } from '../core/shared-counters.js'
import { SourceAdmission, type SourceLimits } from '../limits/source-admission.js'
import { ipToBytes } from '../net/ip-bytes.js'
import { NO_SOURCE, SourceTable } from '../shm/source-table.js'
import type { ClientAddress } from './client-address.js'
import { SourceLog } from './source-log.js'

const bytes = new Uint8Array(16)
const words = new Int32Array(bytes.buffer)

/** Where refusals are counted. */
interface RefusingListener {
  readonly name: string
  countReason(reason: number): void
}

/** What a thread does for the limits per source: it admits whom the primary could not tell, and counts what it has open. */
export class ClientSources {
  readonly admission: SourceAdmission
  readonly table: SourceTable
  readonly #clock: Clock
  readonly #log: SourceLog

  constructor(shared: SharedSources, column: number, limits: SourceLimits, clock: Clock, log: Logger) {
    this.table = new SourceTable(shared, column)
    this.admission = new SourceAdmission(this.table, limits)
    this.#clock = clock
    this.#log = new SourceLog(log, clock)
  }

  /** A connection is this thread's from here on. */
  own(place: number): void {
    if (place >= 0) this.table.own(place)
  }

  /** It is closed. */
  disown(place: number): void {
    if (place >= 0) this.table.disown(place)
  }

  /** Where requests from there are counted; −1 where no limit holds for them. */
  #placeOf({ place, isForwarded, source }: ClientAddress): number {
    if (!isForwarded) return place
    const length = ipToBytes(source.address, bytes, 0)
    return length === 0 ? NO_SOURCE : this.admission.placeOf(length === 4 ? 4 : 6, words, 0, this.#clock.steadyMs)
  }

  /** Whether the client may send another request. */
  mayAsk(client: ClientAddress, listener: RefusingListener): boolean {
    if (this.admission.mayAsk(this.#placeOf(client), this.#clock.steadyMs)) return true
    this.#tell(listener, client.source)
    return false
  }

  /** One that came in is closed before it was this thread's. */
  giveUp(place: number): void {
    if (place >= 0) this.table.leave(place)
  }

  /** One that this thread has accepted itself; as `SourceAdmission.admit`. */
  admitRecord(records: Int32Array, at: number, listener: RefusingListener, peer: Endpoint): number {
    const { admission } = this
    const reason = admission.admit(recordFamily(records, at), records, at + RECORD_ADDRESS, this.#clock.steadyMs)
    if (reason !== 0) this.#refused(reason, listener, peer)
    return reason
  }

  /** Whom a proxy in front names; as `SourceAdmission.admit`. Names that are no address may come in. */
  admitNamed(source: Endpoint, listener: RefusingListener): number {
    const { admission } = this
    admission.place = -1
    const length = ipToBytes(source.address, bytes, 0)
    if (length === 0) return 0
    const reason = admission.admit(length === 4 ? 4 : 6, words, 0, this.#clock.steadyMs)
    if (reason !== 0) this.#refused(reason, listener, source)
    return reason
  }

  /** Whether the client may begin a TLS handshake. */
  mayShakeHands(place: number, source: Endpoint, listener: RefusingListener): boolean {
    if (this.admission.mayShakeHands(place, this.#clock.steadyMs)) return true
    this.#refused(REASON.SOURCE_HANDSHAKE_RATE, listener, source)
    return false
  }

  #refused(reason: number, listener: RefusingListener, peer: Endpoint): void {
    listener.countReason(reason)
    this.#tell(listener, peer)
  }

  #tell(listener: RefusingListener, peer: Endpoint): void {
    const { toTell, limits } = this.admission
    if (toTell !== undefined) this.#log.refused(peer.address, listener.name, toTell, limits[toTell])
  }
}
