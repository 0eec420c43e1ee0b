import { Packr } from 'msgpackr'
import type { HealthNews, MeshEntry } from '../core/mesh.js'
import { SESSION_KEY_WORDS } from '../core/session-store.js'
import { ADMIN_STATES, CHECK_STATES, HEALTH_REASONS } from '../core/target-state.js'

/** A host's sign of life: its version, whether it is the last, and what it can do that its first version could not. */
export interface Beat {
  readonly version: string
  readonly leaving: boolean
  readonly features: readonly string[]
}

/** What one frame carries: who sent it and when, and any of what there is to tell. Drawn in docs/WIRE.md. */
export interface Batch {
  readonly node: string
  /** The sending process: another start of the same host has another. */
  readonly boot: string
  readonly sentMs: number
  /** Set when the frame is a sign of life. */
  readonly beat: Beat | undefined
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
  const beat = batch.beat && [batch.beat.version, batch.beat.leaving, batch.beat.features]
  return packr.pack([batch.node, batch.boot, batch.sentMs, beat ?? null, names, sessions, operators, tickets, health])
}
