// Hot path of the primary: once per connection, before any worker hears of it.

import { addressRanges } from '../config/address-ranges.js'
import type { AddressRanges } from '../core/address-ranges.js'
import type { Clock } from '../core/clock.js'
import {
  RECORD_ADDRESS,
  RECORD_LISTENER,
  RECORD_WORDS,
  recordFamily,
  recordPeer,
  setRecordPlace,
} from '../core/connection-record.js'
import { REASON } from '../core/reasons.js'
import type { Snapshot } from '../core/snapshot.js'
import { SourceAdmission } from '../limits/source-admission.js'
import { isInRanges } from '../net/in-ranges.js'
import type { SourceLog } from '../proxy/source-log.js'
import type { Columns } from '../shm/columns.js'
import { LISTENER_CONNECTIONS_ACTIVE, LISTENER_CONNECTIONS_TOTAL, LISTENER_REASONS } from '../shm/layout.js'
import type { SourceTable } from '../shm/source-table.js'

const PRIMARY_COLUMN = 0
const NOBODY: AddressRanges = { v4: new Uint32Array(0), v6: new Uint32Array(0) }

export interface SourceGateParts {
  readonly table: SourceTable
  readonly columns: Columns
  readonly log: SourceLog
  snapshot(): Snapshot
  clock(): Clock
  /** Resets the connection of the record at that word. */
  reset(records: Int32Array, at: number): void
}

/** Connections of one listener, as the gate knows them. */
interface ListenerLoad {
  /** A listener that has the slot later is another one. */
  readonly generation: number
  readonly limit: number
  /** Let in so far, since its beginning. */
  admitted: number
}

/**
 * Lets in whose source may: the rest is reset before a worker has anything to do with it. Proxies that say who the client
 * is are let in, since that client is who counts; the worker that hears the name asks again.
 */
export class SourceGate {
  readonly #parts: SourceGateParts
  readonly #admission: SourceAdmission
  #known: Snapshot
  /** By slot of the bind: proxies in front of it. */
  #proxies: readonly AddressRanges[]
  /** By slot of the listener; only of those that have a limit. */
  #loads: readonly (ListenerLoad | undefined)[] = []

  constructor(parts: SourceGateParts) {
    this.#parts = parts
    this.#known = parts.snapshot()
    this.#admission = new SourceAdmission(parts.table, this.#known.config.protection)
    this.#proxies = proxiesOf(this.#known)
    this.#loads = this.#loadsOf(this.#known)
  }

  /** Moves those of `count` records that may come in to the front, and returns their number. */
  admit(records: Int32Array, count: number): number {
    const { steadyMs } = this.#parts.clock()
    const snapshot = this.#parts.snapshot()
    if (snapshot !== this.#known) this.#take(snapshot)
    let kept = 0
    for (let i = 0; i < count; i++) {
      const at = i * RECORD_WORDS
      if (!this.#admits(records, at, steadyMs)) continue
      const to = kept++ * RECORD_WORDS
      if (to !== at) records.copyWithin(to, at, at + RECORD_WORDS)
    }
    return kept
  }

  #admits(records: Int32Array, at: number, steadyMs: number): boolean {
    const family = recordFamily(records, at)
    const bind = records[at + RECORD_LISTENER]!
    const slot = this.#known.binds[bind]?.listener
    const load = slot === undefined ? undefined : this.#loads[slot]
    if (load !== undefined && this.#open(slot!, load) >= load.limit) {
      this.#refuse(records, at, bind, REASON.LISTENER_CONNECTIONS)
      return false
    }
    if (!this.#admitsSource(records, at, family, bind, steadyMs)) return false
    if (load !== undefined) load.admitted++
    return true
  }

  /** What workers have counted in, and what is on its way to them. Ever counted in is read first: nothing is left out. */
  #open(slot: number, load: ListenerLoad): number {
    const counters = this.#parts.columns.listener(slot)
    const counted = counters.sum(LISTENER_CONNECTIONS_TOTAL)
    // More than this gate has let in: they were on their way when the limit came.
    if (counted > load.admitted) load.admitted = counted
    return load.admitted - counted + counters.sum(LISTENER_CONNECTIONS_ACTIVE)
  }

  #admitsSource(records: Int32Array, at: number, family: 4 | 6, bind: number, steadyMs: number): boolean {
    const admission = this.#admission
    if (isInRanges(this.#proxies[bind] ?? NOBODY, family, records, at + RECORD_ADDRESS)) return true
    const reason = admission.admit(family, records, at + RECORD_ADDRESS, steadyMs)
    if (reason === 0) {
      setRecordPlace(records, at, admission.place)
      return true
    }
    this.#refuse(records, at, bind, reason)
    return false
  }

  #refuse(records: Int32Array, at: number, bind: number, reason: number): void {
    const { columns, log, reset } = this.#parts
    const { binds, listeners } = this.#known
    const slot = binds[bind]?.listener
    if (slot !== undefined) {
      const counters = columns.listener(slot)
      counters.words[counters.at(PRIMARY_COLUMN) + LISTENER_REASONS + reason]!++
    }
    const { toTell, limits } = this.#admission
    if (reason !== REASON.LISTENER_CONNECTIONS && toTell !== undefined) {
      const name = slot === undefined ? '' : (listeners[slot]?.config.name ?? '')
      log.refused(recordPeer(records, at).address, name, toTell, limits[toTell])
    }
    reset(records, at)
  }

  #take(snapshot: Snapshot): void {
    this.#known = snapshot
    this.#admission.limits = snapshot.config.protection
    this.#proxies = proxiesOf(snapshot)
    this.#loads = this.#loadsOf(snapshot)
  }

  #loadsOf({ listeners }: Snapshot): readonly (ListenerLoad | undefined)[] {
    return Array.from(listeners, (entry) => {
      const limit = entry?.config.limits.connections ?? Number.POSITIVE_INFINITY
      if (entry === undefined || limit === Number.POSITIVE_INFINITY) return undefined
      const { slot, generation } = entry
      const known = this.#loads[slot]
      const admitted =
        known?.generation === generation
          ? known.admitted
          : this.#parts.columns.listener(slot).sum(LISTENER_CONNECTIONS_TOTAL)
      return { generation, limit, admitted }
    })
  }

  /** One that was let in will never be counted in: nobody had room for it. */
  lost(records: Int32Array, at: number): void {
    const slot = this.#known.binds[records[at + RECORD_LISTENER]!]?.listener
    const load = slot === undefined ? undefined : this.#loads[slot]
    if (load !== undefined) load.admitted--
  }
}

function proxiesOf({ binds, listeners }: Snapshot): readonly AddressRanges[] {
  return Array.from(binds, (bind) => {
    const config = bind && listeners[bind.listener]?.config
    if (config === undefined) return NOBODY
    return addressRanges([...config.acceptProxyProtocol, ...config.trustForwardedFrom])
  })
}
