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
import type { Snapshot } from '../core/snapshot.js'
import { SourceAdmission } from '../limits/source-admission.js'
import { isInRanges } from '../net/in-ranges.js'
import type { SourceLog } from '../proxy/source-log.js'
import type { Columns } from '../shm/columns.js'
import { LISTENER_REASONS } from '../shm/layout.js'
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
  discard(records: Int32Array, at: number): void
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

  constructor(parts: SourceGateParts) {
    this.#parts = parts
    this.#known = parts.snapshot()
    this.#admission = new SourceAdmission(parts.table, this.#known.config.protection)
    this.#proxies = proxiesOf(this.#known)
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
    const admission = this.#admission
    const family = recordFamily(records, at)
    const bind = records[at + RECORD_LISTENER]!
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
    const { columns, log, discard } = this.#parts
    const { binds, listeners } = this.#known
    const slot = binds[bind]?.listener
    if (slot !== undefined) {
      const counters = columns.listener(slot)
      counters.words[counters.at(PRIMARY_COLUMN) + LISTENER_REASONS + reason]!++
    }
    const { toTell, limits } = this.#admission
    if (toTell !== undefined) {
      const name = slot === undefined ? '' : (listeners[slot]?.config.name ?? '')
      log.refused(recordPeer(records, at).address, name, toTell, limits[toTell])
    }
    discard(records, at)
  }

  #take(snapshot: Snapshot): void {
    this.#known = snapshot
    this.#admission.limits = snapshot.config.protection
    this.#proxies = proxiesOf(snapshot)
  }
}

function proxiesOf({ binds, listeners }: Snapshot): readonly AddressRanges[] {
  return Array.from(binds, (bind) => {
    const config = bind && listeners[bind.listener]?.config
    if (config === undefined) return NOBODY
    return addressRanges([...config.acceptProxyProtocol, ...config.trustForwardedFrom])
  })
}
