import type { MeshEntry } from '../core/mesh.js'

const HOUR_MS = 60 * 60_000
/** Whoever has the target says it again long before; what nobody says any more is about targets that are gone. */
const OPERATOR_KEPT_MS = 30 * 24 * HOUR_MS
/** A cluster that lives makes new keys every eight hours. */
const TICKETS_KEPT_MS = 24 * HOUR_MS

/** For how long the store keeps an entry that is saved now, in milliseconds; none at all where it is not above 0. */
export function keptMs(entry: MeshEntry, wallMs: number): number {
  switch (entry.kind) {
    case 'session':
      return Math.ceil(entry.expiresMs - wallMs)
    case 'operator':
      return OPERATOR_KEPT_MS
    case 'tickets':
      return TICKETS_KEPT_MS
  }
}

/**
 * Whether an entry of a frame that was sent then holds no more. By then every host may have forgotten what had replaced
 * it: whoever writes to Redis could bring it back by sending the old frame again.
 */
export function isOutdated(entry: MeshEntry, sentMs: number, wallMs: number): boolean {
  return entry.kind !== 'session' && sentMs + keptMs(entry, wallMs) < wallMs
}
