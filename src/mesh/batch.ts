import { Packr } from 'msgpackr'
import type { HealthNews, MeshEntry, OperatorEntry, SessionEntry, TicketsEntry } from '../core/mesh.js'
import { SESSION_KEY_WORDS } from '../core/session-store.js'
import { ADMIN_STATES, CHECK_STATES, HEALTH_REASONS } from '../core/target-state.js'

/** What one frame carries: who sent it and when, and any of what there is to tell. Drawn in docs/WIRE.md. */
export interface Batch {
  readonly node: string
  /** The sending process: another start of the same host has another. */
  readonly boot: string
  readonly sentMs: number
  /** Set when the frame is a sign of life: the sender's version, and whether this is its last. */
  readonly beat: { readonly version: string; readonly leaving: boolean } | undefined
  readonly entries: readonly MeshEntry[]
  readonly health: readonly HealthNews[]
}

/** Records would tie a frame to those before it; frames are read alone. */
const packr = new Packr({ useRecords: false, encodeUndefinedAsNil: true })
const KEY_BYTES = SESSION_KEY_WORDS * 4

/**
 * [node, boot, sentMs, beat or nil, names, sessions, operators, tickets, health]. Group and target names lie in `names`
 * once, rows give their index. All rows are arrays, in the order of the fields in `core/mesh.ts`.
 */
export function encodeBatch(batch: Batch): Buffer {
  const names: string[] = []
  const indexes = new Map<string, number>()
  const nameOf = (name: string): number => {
    const known = indexes.get(name)
    if (known !== undefined) return known
    indexes.set(name, names.length)
    return names.push(name) - 1
  }
  const sessions: unknown[] = []
  const operators: unknown[] = []
  const tickets: unknown[] = []
  for (const entry of batch.entries) {
    const { high, low } = entry
    switch (entry.kind) {
      case 'session':
        sessions.push([
          Buffer.from(entry.key.buffer, entry.key.byteOffset, KEY_BYTES),
          nameOf(entry.group),
          nameOf(entry.target),
          entry.expiresMs,
          entry.touchedMs,
          high,
          low,
        ])
        break
      case 'operator':
        operators.push([
          nameOf(entry.group),
          nameOf(entry.target),
          ADMIN_STATES.indexOf(entry.state),
          entry.weight,
          entry.drainUntilMs,
          high,
          low,
        ])
        break
      case 'tickets':
        tickets.push([Buffer.from(entry.keys), high, low])
    }
  }
  const health = batch.health.map((news) => [
    nameOf(news.group),
    nameOf(news.target),
    CHECK_STATES.indexOf(news.state),
    HEALTH_REASONS.indexOf(news.reason),
  ])
  const beat = batch.beat && [batch.beat.version, batch.beat.leaving]
  return packr.pack([batch.node, batch.boot, batch.sentMs, beat ?? null, names, sessions, operators, tickets, health])
}

/** Undefined where the bytes are no batch: another version wrote them, or nobody did. */
export function decodeBatch(payload: Uint8Array): Batch | undefined {
  try {
    return readBatch(packr.unpack(payload))
  } catch {
    return undefined
  }
}

/** @throws TypeError where something is not what it should be. */
function readBatch(data: unknown): Batch {
  const [node, boot, sentMs, beat, names, sessions, operators, tickets, health] = row(data)
  const texts = row(names).map(text)
  const nameOf = (index: unknown): string => text(texts[number(index)])
  return {
    node: text(node),
    boot: text(boot),
    sentMs: number(sentMs),
    beat: beat === null || beat === undefined ? undefined : readBeat(row(beat)),
    entries: [
      ...row(sessions).map((fields) => readSession(row(fields), nameOf)),
      ...row(operators).map((fields) => readOperator(row(fields), nameOf)),
      ...row(tickets).map((fields) => readTickets(row(fields))),
    ],
    health: row(health).map((fields) => readHealth(row(fields), nameOf)),
  }
}

function readBeat([version, leaving]: readonly unknown[]): { version: string; leaving: boolean } {
  return { version: text(version), leaving: leaving === true }
}

function readSession(
  [key, group, target, expiresMs, touchedMs, high, low]: readonly unknown[],
  nameOf: (index: unknown) => string,
): SessionEntry {
  const from = bytes(key)
  if (from.length !== KEY_BYTES) throw new TypeError('a session key has 16 bytes')
  const words = new Int32Array(SESSION_KEY_WORDS)
  new Uint8Array(words.buffer).set(from)
  return {
    kind: 'session',
    key: words,
    group: nameOf(group),
    target: nameOf(target),
    expiresMs: number(expiresMs),
    touchedMs: number(touchedMs),
    high: number(high) | 0,
    low: number(low) | 0,
  }
}

function readOperator(
  [group, target, state, weight, drainUntilMs, high, low]: readonly unknown[],
  nameOf: (index: unknown) => string,
): OperatorEntry {
  const name = ADMIN_STATES[number(state)]
  if (name === undefined) throw new TypeError('no such state')
  return {
    kind: 'operator',
    group: nameOf(group),
    target: nameOf(target),
    state: name,
    weight: number(weight),
    drainUntilMs: number(drainUntilMs),
    high: number(high) | 0,
    low: number(low) | 0,
  }
}

function readTickets([keys, high, low]: readonly unknown[]): TicketsEntry {
  return { kind: 'tickets', keys: Uint8Array.from(bytes(keys)), high: number(high) | 0, low: number(low) | 0 }
}

function readHealth(
  [group, target, state, reason]: readonly unknown[],
  nameOf: (index: unknown) => string,
): HealthNews {
  const check = CHECK_STATES[number(state)]
  const why = HEALTH_REASONS[number(reason)]
  if (check === undefined || why === undefined) throw new TypeError('no such health')
  return { kind: 'health', group: nameOf(group), target: nameOf(target), state: check, reason: why }
}

function row(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new TypeError('not a list')
  return value
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw new TypeError('not a text')
  return value
}

function number(value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new TypeError('not a number')
  return value
}

function bytes(value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new TypeError('not bytes')
  return value
}
