import { unpack } from 'msgpackr'
import type { HealthNews, MeshEntry, OperatorEntry, SessionEntry, TicketsEntry } from '../core/mesh.js'
import { areTicketKeys, isLabel, isName, isTargetId, isTimeMs, isWeight } from '../core/mesh-rules.js'
import { SESSION_KEY_WORDS } from '../core/session-store.js'
import { ADMIN_STATES, CHECK_STATES, HEALTH_REASONS } from '../core/target-state.js'
import type { Batch, Beat } from './batch.js'
import { isPlainMessagePack } from './msgpack-shape.js'

const KEY_BYTES = SESSION_KEY_WORDS * 4
/** No session outlives its last use for longer; a day is the longest time-out, and clocks differ. */
const SESSION_MAX_MS = 2 * 24 * 60 * 60_000
/** As many features as a host may claim to have. */
const MAX_FEATURES = 64

/**
 * Why a row is not taken. `invalid`: a field is missing, or is not what it may be. `newer`: a number stands where this
 * version knows fewer, so that a later one wrote it.
 */
export type RowFault = 'invalid' | 'newer'

/** A frame's content. What of it cannot be taken is left out, and counted; the rest is as good as alone. */
export interface ReadBatch extends Batch {
  readonly faults: Readonly<Record<RowFault, number>>
  /** The kind of the first row of each that was left out. */
  readonly firstFault: { readonly kind: string; readonly fault: RowFault } | undefined
}

type Row = readonly unknown[]

/** Undefined where the bytes are no batch, or say not who sent it. */
export function decodeBatch(payload: Uint8Array): ReadBatch | undefined {
  if (!isPlainMessagePack(payload)) return undefined
  let data: unknown
  try {
    data = unpack(payload)
  } catch {
    return undefined
  }
  return Array.isArray(data) ? new BatchReader(data).read() : undefined
}

class BatchReader {
  readonly #data: Row
  readonly #names: Row
  readonly #faults: Record<RowFault, number> = { invalid: 0, newer: 0 }
  #firstFault: ReadBatch['firstFault']

  constructor(data: Row) {
    this.#data = data
    this.#names = Array.isArray(data[4]) ? data[4] : []
  }

  read(): ReadBatch | undefined {
    const [node, boot, sentMs, beat, , sessions, operators, tickets, health] = this.#data
    if (!isName(node) || !isLabel(boot) || !isTimeMs(sentMs)) return undefined
    const entries: MeshEntry[] = []
    this.#rows('session', sessions, entries, (row) => this.#session(row))
    this.#rows('operator', operators, entries, (row) => this.#operator(row))
    this.#rows('tickets', tickets, entries, (row) => this.#tickets(row))
    const news: HealthNews[] = []
    this.#rows('health', health, news, (row) => this.#health(row))
    const signs: Beat[] = []
    if (beat !== null && beat !== undefined) this.#rows('beat', [beat], signs, (row) => this.#beat(row))
    const said = { node, boot, sentMs, beat: signs[0], entries, health: news }
    return { ...said, faults: this.#faults, firstFault: this.#firstFault }
  }

  #rows<T extends object>(kind: string, rows: unknown, into: T[], read: (row: Row) => T | RowFault): void {
    // A frame of a version that does not have this kind yet ends before it.
    if (rows === undefined) return
    if (!Array.isArray(rows)) {
      this.#skip(kind, 'invalid')
      return
    }
    for (const row of rows as readonly unknown[]) {
      const found = Array.isArray(row) ? read(row) : 'invalid'
      if (found === 'invalid' || found === 'newer') this.#skip(kind, found)
      else into.push(found)
    }
  }

  #skip(kind: string, fault: RowFault): void {
    this.#faults[fault]++
    this.#firstFault ??= { kind, fault }
  }

  #name(index: unknown): unknown {
    return typeof index === 'number' ? this.#names[index] : undefined
  }

  #session([key, groupIndex, targetIndex, expiresMs, touchedMs, high, low]: Row): SessionEntry | RowFault {
    const group = this.#name(groupIndex)
    const target = this.#name(targetIndex)
    if (!(key instanceof Uint8Array) || key.length !== KEY_BYTES) return 'invalid'
    if (!isName(group) || !(target === '' || isTargetId(target))) return 'invalid'
    if (!isTimeMs(expiresMs) || !isTimeMs(touchedMs) || expiresMs - touchedMs > SESSION_MAX_MS) return 'invalid'
    if (!isWord(high) || !isWord(low)) return 'invalid'
    const words = new Int32Array(SESSION_KEY_WORDS)
    new Uint8Array(words.buffer).set(key)
    return { kind: 'session', key: words, group, target, expiresMs, touchedMs, high, low }
  }

  #operator([groupIndex, targetIndex, number, weight, drainUntilMs, high, low]: Row): OperatorEntry | RowFault {
    const group = this.#name(groupIndex)
    const target = this.#name(targetIndex)
    const state = choice(ADMIN_STATES, number)
    if (!isName(group) || !isTargetId(target) || state === 'invalid') return 'invalid'
    if (!isWeight(weight) || !isTimeMs(drainUntilMs) || !isWord(high) || !isWord(low)) return 'invalid'
    return state === 'newer' ? state : { kind: 'operator', group, target, state, weight, drainUntilMs, high, low }
  }

  #tickets([keys, high, low]: Row): TicketsEntry | RowFault {
    if (!(keys instanceof Uint8Array) || !areTicketKeys(keys) || !isWord(high) || !isWord(low)) return 'invalid'
    return { kind: 'tickets', keys: Uint8Array.from(keys), high, low }
  }

  #health([groupIndex, targetIndex, stateNumber, reasonNumber]: Row): HealthNews | RowFault {
    const group = this.#name(groupIndex)
    const target = this.#name(targetIndex)
    const state = choice(CHECK_STATES, stateNumber)
    const reason = choice(HEALTH_REASONS, reasonNumber)
    if (!isName(group) || !isTargetId(target) || state === 'invalid' || reason === 'invalid') return 'invalid'
    if (state === 'newer' || reason === 'newer') return 'newer'
    return { kind: 'health', group, target, state, reason }
  }

  #beat([version, leaving, features]: Row): Beat | RowFault {
    if (!isLabel(version) || typeof leaving !== 'boolean') return 'invalid'
    // Hosts of the first version say nothing of features.
    if (features === undefined) return { version, leaving, features: [] }
    if (!Array.isArray(features) || features.length > MAX_FEATURES || !features.every(isName)) return 'invalid'
    return { version, leaving, features }
  }
}

/** One half of a stamp. */
function isWord(value: unknown): value is number {
  return typeof value === 'number' && (value | 0) === value
}

/** What a number stands for in a list that is only ever appended to. */
function choice<const T extends string>(list: readonly T[], number: unknown): T | RowFault {
  if (!Number.isInteger(number) || (number as number) < 0) return 'invalid'
  return list[number as number] ?? 'newer'
}
