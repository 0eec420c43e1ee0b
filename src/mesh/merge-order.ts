import { isEarlier } from '../core/hybrid-clock.js'
import type { MeshEntry } from '../core/mesh.js'
import type { SessionKey } from '../core/session-store.js'

/** The name of a session: see `entryName`. */
export function sessionName(key: SessionKey): string {
  return `s:${Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('hex')}`
}

/** The name of what operators want of a target: see `entryName`. */
export function operatorName(group: string, target: string): string {
  return `o:${group}/${target}`
}

/** What an entry is about: two with the same name are two versions of one thing. Also its key in the store. */
export function entryName(entry: MeshEntry): string {
  switch (entry.kind) {
    case 'session':
      return sessionName(entry.key)
    case 'operator':
      return operatorName(entry.group, entry.target)
    case 'tickets':
      return 't'
  }
}

/**
 * Whether `entry` replaces `other`, which is about the same thing: the later stamp wins. Equal stamps mean the same
 * write, where only the use it has seen since may differ; or, once in many years, two hosts whose bits met, and then what
 * they wrote decides. Every host comes to the same end, in whatever order the two arrive.
 */
export function replaces(entry: MeshEntry, other: MeshEntry): boolean {
  if (entry.high !== other.high || entry.low !== other.low) {
    return isEarlier(other.high, other.low, entry.high, entry.low)
  }
  const mine = content(entry)
  const theirs = content(other)
  if (mine !== theirs) return mine > theirs
  if (entry.kind !== 'session' || other.kind !== 'session') return false
  return entry.expiresMs > other.expiresMs
}

function content(entry: MeshEntry): string {
  switch (entry.kind) {
    case 'session':
      return `${entry.group}\n${entry.target}`
    case 'operator':
      return `${entry.state}\n${entry.weight}\n${entry.drainUntilMs}`
    case 'tickets':
      return Buffer.from(entry.keys).toString('hex')
  }
}
