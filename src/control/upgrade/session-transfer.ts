import { setImmediate as nextTurn } from 'node:timers/promises'
import { type Clock, steadyTime, wallTime } from '../../core/clock.js'
import type { ListedTarget } from '../../core/directory.js'
import { blankEntry, SESSION_KEY_WORDS, type SessionStore, type StickyEntry } from '../../core/session-store.js'
import { keyOf } from '../../shm/sessions-scan.js'
import type { SessionsFrame } from './frames.js'

/** Sessions a message. */
const PAGE = 1_000
/** In the order in which this version writes them; they are read by name. */
const FIELDS = ['key', 'group', 'target', 'expiresMs', 'touchedMs', 'high', 'low', 'used'] as const
type Field = (typeof FIELDS)[number]
const KEY_BYTES = SESSION_KEY_WORDS * 4

export interface SessionParts {
  readonly store: SessionStore
  /** Names by slot. */
  readonly groups: () => readonly (string | undefined)[]
  readonly targets: () => readonly ListedTarget[]
  /** As of now. */
  readonly clock: () => Clock
}

/**
 * The sessions used since that time (by `Clock.steadyMs`, 0 = all), named rather than by slot, in time since the epoch. A
 * page a turn of the loop, so that the process goes on serving.
 */
export async function* exportSessions(parts: SessionParts, sinceMs: number): AsyncGenerator<SessionsFrame> {
  const { store } = parts
  const groups = parts.groups()
  const ids = new Map(parts.targets().map(({ slot, generation, id }) => [`${slot} ${generation}`, id]))
  for (let cursor = 0; cursor >= 0; ) {
    const clock = parts.clock()
    const page = store.scan(cursor, PAGE, -1)
    cursor = page.next
    const rows: unknown[][] = []
    for (const row of page.sessions) {
      const target = row.targetSlot < 0 ? '' : ids.get(`${row.targetSlot} ${row.generation}`)
      const group = groups[row.group]
      if (row.touchedMs < sinceMs || target === undefined || group === undefined) continue
      const { buffer } = keyOf(row.key)
      const times = [Math.round(wallTime(row.expiresMs, clock)), Math.round(wallTime(row.touchedMs, clock))]
      rows.push([new Uint8Array(buffer), group, target, ...times, row.versionHigh, row.versionLow, row.used])
    }
    if (rows.length > 0) yield { type: 'sessions', fields: [...FIELDS], rows }
    await nextTurn()
  }
}

/** Takes sessions in, except those of groups and targets that this process does not have; returns how many. */
export function importSessions({ fields, rows }: SessionsFrame, parts: SessionParts): number {
  const at = (field: Field): number => fields.indexOf(field)
  const positions = FIELDS.map(at)
  const groups = parts.groups()
  const slots = new Map(parts.targets().map((target) => [`${groups[target.group]} ${target.id}`, target] as const))
  const session = blankEntry()
  const key = new Int32Array(SESSION_KEY_WORDS)
  const { store } = parts
  const clock = parts.clock()
  let taken = 0
  for (const row of rows) {
    const [bytes, group, id, expiresMs, touchedMs, high, low, used] = positions.map((position) => row[position])
    if (!(bytes instanceof Uint8Array) || bytes.length !== KEY_BYTES) continue
    if (![expiresMs, touchedMs, high, low].every(Number.isFinite)) continue
    const target = slots.get(`${group} ${id}`)
    session.group = groups.indexOf(group as string)
    if (session.group < 0 || (target === undefined && id !== '')) continue
    session.targetSlot = target?.slot ?? -1
    session.generation = target?.generation ?? 0
    // Half a millisecond, so that what is translated there and back stays what it was.
    session.expiresMs = steadyTime((expiresMs as number) + 0.5, clock)
    session.touchedMs = steadyTime((touchedMs as number) + 0.5, clock)
    session.versionHigh = high as number
    session.versionLow = low as number
    session.used = used === true
    if (session.expiresMs <= clock.steadyMs) continue
    new Uint8Array(key.buffer).set(bytes)
    if (isKnown(store, key, session)) continue
    if (store.put(key, session) === 'done') taken++
  }
  return taken
}

/** The same write, perhaps used here since; stores cut fractions of milliseconds off. */
function isKnown(
  store: SessionStore,
  key: Int32Array,
  { versionHigh, versionLow, expiresMs }: Readonly<StickyEntry>,
): boolean {
  if (!store.find(key)) return false
  const { found } = store
  return found.versionHigh === versionHigh && found.versionLow === versionLow && found.expiresMs > expiresMs - 1
}
