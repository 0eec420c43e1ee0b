import type { CheckState, HealthReason } from './target-state.js'

/**
 * When something was written, in an order that all hosts agree on: 64 bits as two words, compared as unsigned. From the
 * top: 42 bits of milliseconds since 2020, 12 bits that count what happened within one, 10 bits of the writing host.
 */
export interface Stamp {
  high: number
  low: number
}

/** A hybrid logical clock: close to the wall clock, and never behind anything it has issued or seen. */
export interface HybridClock {
  /** A stamp greater than every one issued or witnessed before, written into `into`. */
  next(into: Stamp): void
  /** Something with this stamp came from elsewhere. */
  witness(high: number, low: number): void
}

/** A client bound to a target. Without a target it was forgotten, and an older binding must not come back. */
export interface SessionEntry {
  readonly kind: 'session'
  /** Four 32-bit words; the same on every host with the same secret. */
  readonly key: Int32Array
  readonly group: string
  /** Target id; empty = none. */
  readonly target: string
  readonly expiresMs: number
  readonly touchedMs: number
  readonly high: number
  readonly low: number
}

/** What the operator wants of a target; stays until it is replaced. */
export interface OperatorEntry {
  readonly kind: 'operator'
  readonly group: string
  readonly target: string
  readonly state: 'active' | 'draining' | 'maintenance'
  /** −1 = what the configuration says. */
  readonly weight: number
  /** When draining ends, in milliseconds since the epoch; 0 where it does not drain. */
  readonly drainUntilMs: number
  readonly high: number
  readonly low: number
}

/** The keys of TLS session tickets, newest first, 80 bytes each. */
export interface TicketsEntry {
  readonly kind: 'tickets'
  readonly keys: Uint8Array
  readonly high: number
  readonly low: number
}

/** Another host's check came out differently: a reason to look now, never one to believe. Not kept. */
export interface HealthNews {
  readonly kind: 'health'
  readonly group: string
  readonly target: string
  readonly state: CheckState
  readonly reason: HealthReason
}

/** What is kept and merged: of two entries for the same thing the one with the greater stamp stands. */
export type MeshEntry = SessionEntry | OperatorEntry | TicketsEntry

/** How a merge went. `older`: what is here is newer than what came. */
export type MergeOutcome = 'news' | 'known' | 'older' | 'unknown-target'

/** What this host knows, as the mesh reads and writes it. */
export interface MeshState {
  /** Takes an entry from elsewhere in, if it is newer; `sentMs`: when somebody said it. Commutative and idempotent. */
  merge(entry: MeshEntry, sentMs: number, from: string): MergeOutcome
  /** What this host has for the same thing, if anything. */
  current(entry: MeshEntry): MeshEntry | undefined
  /**
   * Sessions made or used since that time (milliseconds since the epoch, 0 = all of them), and everything else there is;
   * a page at a time, from `cursor` 0 until `next` is −1. A page may be empty and still not be the last.
   */
  page(cursor: number, limit: number, sinceMs: number): { entries: readonly MeshEntry[]; next: number }
  onHealth(news: HealthNews): void
}

/** A host as the others see it. */
export interface Peer {
  readonly node: string
  /** Made anew each time the process starts. */
  readonly boot: string
  readonly state: 'alive' | 'silent' | 'left'
  readonly version: string
  /** What it can do that the first version could not. */
  readonly features: readonly string[]
  /** By this host's `Clock.steadyMs`. */
  readonly lastSeenMs: number
  /** From a batch's sending to its arrival, by both hosts' wall clocks. */
  readonly lagMs: number
}

export interface MeshTransportEvents {
  /**
   * Frames published or saved by anyone, this host included; in any order, perhaps more than once. `isKept`: it was read
   * from what is kept, which the others are not told.
   */
  onFrame(frame: Uint8Array, isKept: boolean): void
  /**
   * Connected, and everything that is kept has been delivered. `empty`: the store remembers nothing of what this host
   * saved before; it is for the hosts to fill it again.
   */
  onUp(empty: boolean): void
  /** Not, or no longer, connected; said again after each try that fails. The reason is for an operator to read. */
  onDown(reason: string): void
}

/**
 * Carries frames between the hosts. It knows nothing of what they hold. Whatever is published before `onUp` or after
 * `onDown` may be lost, and says so.
 */
export interface MeshTransport {
  open(events: MeshTransportEvents): void
  /** To all hosts that are there. `done(false)`: nobody can say whether it arrived. */
  publish(frame: Uint8Array, done: (ok: boolean) => void): void
  /** Keeps a frame for hosts that come later, in place of what `key` named before. `ttlMs` 0 = for good. */
  save(key: string, frame: Uint8Array, ttlMs: number, done: (ok: boolean) => void): void
  /** Frames on their way to the store; whoever has much to send waits for it to fall. */
  readonly pending: number
  close(): Promise<void>
}

/** How the mesh stands, as the mesh thread tells the primary. Times are milliseconds since the epoch. */
export interface MeshStatus {
  /** Whether Redis is there, since when it is or is not, and why it is not. */
  readonly up: boolean
  readonly sinceMs: number
  readonly reason: string
  readonly peers: readonly Peer[]
  /** The boot id of another process with this host's name, if there is one. */
  readonly impostor: string | undefined
  /** Other nodes that two processes are called, both of which speak. */
  readonly doubled: readonly string[]
  /** The server's policy where it throws away what is kept when its memory is full; empty where it does not, or does not tell. */
  readonly evictionPolicy: string
  /** Whether a frame came within the last minutes that was sealed with another secret, or damaged. */
  readonly forgedLately: boolean
  readonly counts: Readonly<MeshCounts>
}

/** What a host's end of the mesh has counted since the start. */
export interface MeshCounts {
  framesIn: number
  framesOut: number
  entriesIn: number
  entriesOut: number
  /** Frames sealed without our secret, or damaged. */
  forged: number
  /** Frames written by a version that this one does not understand. */
  unreadable: number
  /** Frames that are longer than any host sends, or stand in the stream as no host puts them there. */
  oversize: number
  /** Signs of life and news of health that are old, or were seen before. */
  stale: number
  /** Rows with a field that is missing, or is not what it may be. */
  invalid: number
  /** Rows of a kind that a later version knows and this one does not. */
  newer: number
  /** Entries stamped by a clock that is far ahead. */
  ahead: number
  /** Entries about groups or targets that this host does not have. */
  unknown: number
  /** How often everything since a break was sent again. */
  refills: number
}
