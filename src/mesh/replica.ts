import { type Clock, steadyTime } from '../core/clock.js'
import { stampMs } from '../core/hybrid-clock.js'
import type {
  HealthNews,
  HybridClock,
  MeshCounts,
  MeshEntry,
  MeshState,
  MeshTransport,
  MeshTransportEvents,
  Peer,
} from '../core/mesh.js'
import type { SessionKey } from '../core/session-store.js'
import { type Batch, encodeBatch } from './batch.js'
import { isOutdated, keptMs } from './keeping.js'
import { entryName, sessionName } from './merge-order.js'
import { Peers } from './peers.js'
import { decodeBatch, type ReadBatch } from './read-batch.js'
import { MAX_FRAME_BYTES } from './reply-filter.js'
import type { Sealer } from './seal.js'

/** A change waits this long for others to share its frame. */
const BATCH_MS = 20
const BATCH_ENTRIES = 256
/** While so many frames are on their way a refill waits: it must not crowd out what happens now. */
const REFILL_PENDING = 2_000
const REFILL_PAGE = 200
/** How long after a write failed, though connected, it is tried again. */
const RETRY_MS = 1_000
/** How long a frame that was forged is worth a look. */
const FORGED_MS = 5 * 60_000
/** How often within a heartbeat it is looked who has fallen silent. */
const CHECKS_A_BEAT = 4
/** How much of the newest a replica that takes over may lack. */
const FAILOVER_LOSS_MS = 5_000
/** How long an orderly stop waits for its last frame to be taken. */
const LEAVE_MS = 500
/** A stamp this far ahead of the wall clock is a broken clock's, and would drag every other clock along. */
const MAX_AHEAD_MS = 60_000
/** Hosts whose clocks are kept by a time server are closer than this by far. */
const AHEAD_TOLD_MS = 2_000
/** No target drains for longer: an hour is the most that a configuration allows, and clocks differ. */
const MAX_DRAIN_MS = 2 * 60 * 60_000
/** What this version can do that the first could not: it takes the rows that it knows out of a frame with others. */
const FEATURES = ['skips-rows']

export interface ReplicaOptions {
  readonly node: string
  readonly boot: string
  readonly version: string
  readonly heartbeatMs: number
}

export interface ReplicaParts {
  readonly transport: MeshTransport
  readonly sealer: Sealer
  readonly state: MeshState
  readonly clock: HybridClock
  readonly time: Clock
  readonly onPeer: (peer: Peer, change: 'joined' | 'restarted' | 'back' | 'left' | 'silent') => void
  readonly onLink: (up: boolean, reason: string) => void
  /** A host's clock is ahead of this one's, so that one of the two is wrong; told with each sign of life. */
  readonly onAhead: (node: string, aheadMs: number) => void
  /** A host sent rows that were not taken, of the same frame as others that were. */
  readonly onSkipped: (node: string, skipped: Pick<ReadBatch, 'faults' | 'firstFault'>) => void
}

/**
 * One host's end of the mesh: sends what changes here in batches, merges what comes, and after a break sends again what
 * may have been missed. It keeps no queue for bad times: what this host knows is in its state, and the time of the
 * earliest change that was not acknowledged says from where on to send it again.
 */
export class Replica implements MeshTransportEvents {
  readonly counts: MeshCounts = {
    framesIn: 0,
    framesOut: 0,
    entriesIn: 0,
    entriesOut: 0,
    forged: 0,
    unreadable: 0,
    oversize: 0,
    stale: 0,
    invalid: 0,
    newer: 0,
    ahead: 0,
    unknown: 0,
    refills: 0,
  }
  readonly peers: Peers
  up = false
  /** Another process speaks for this host: nothing is sent, and what was not is remembered as missed. */
  #isMuted = false
  readonly #options: ReplicaOptions
  readonly #parts: ReplicaParts
  /** From when on the others may have missed what happened here, by the wall clock; infinite where they have it all. */
  #missedMs = Number.POSITIVE_INFINITY
  #entries: MeshEntry[] = []
  #health: HealthNews[] = []
  /** Names of sessions that this host has no room for any more. */
  #forgotten: string[] = []
  #queuedMs = 0
  #checkAtMs = 0
  #beatAtMs = Number.NEGATIVE_INFINITY
  #retryAtMs = Number.POSITIVE_INFINITY
  #forgedMs = Number.NEGATIVE_INFINITY
  /** Where the refill under way stands; −1 without one. */
  #refillCursor = -1
  #refillFromMs = 0

  constructor(options: ReplicaOptions, parts: ReplicaParts) {
    this.#options = options
    this.#parts = parts
    this.peers = new Peers(options.node, options.boot, options.heartbeatMs, parts.time.wallMs)
  }

  start(): void {
    this.#parts.transport.open(this)
  }

  get forgedLately(): boolean {
    return this.#parts.time.nowMs - this.#forgedMs < FORGED_MS
  }

  /** Something changed here; the state has it already. */
  change(entry: MeshEntry): void {
    this.#queue()
    this.#entries.push(entry)
    if (this.#entries.length >= BATCH_ENTRIES) this.#flush()
  }

  /**
   * A session was pushed out of this host's table before its time. The store lets go of it as well, so that it never
   * holds more than the tables do. Not while the link is down: then it goes with its time.
   */
  forget(key: SessionKey): void {
    if (!this.#speaks) return
    this.#queue()
    this.#forgotten.push(sessionName(key))
    if (this.#forgotten.length >= BATCH_ENTRIES) this.#flush()
  }

  news(health: HealthNews): void {
    this.#queue()
    this.#health.push(health)
    if (this.#health.length >= BATCH_ENTRIES) this.#flush()
  }

  /** Changes may have been lost on their way here: all that was made or used since (by `Clock.steadyMs`) is sent again. */
  resync(sinceMs: number): void {
    this.#missedMs = Math.min(this.#missedMs, sinceMs)
    this.#retryAtMs = Math.min(this.#retryAtMs, this.#parts.time.nowMs)
  }

  /** Another process of this host speaks in its place from here on. `done` is called when all that was said is out. */
  mute(done: () => void): void {
    this.peers.shareName(Number.POSITIVE_INFINITY)
    this.#flush()
    const spoke = this.#speaks
    this.#isMuted = true
    this.#abandonRefill()
    spoke ? this.#send([], [], false, done) : done()
  }

  /** This process speaks for the host from here on, and says what it has not said so far. */
  unmute(): void {
    this.peers.shareName(this.#parts.time.wallMs)
    this.#isMuted = false
    if (this.#missedMs !== Number.POSITIVE_INFINITY) this.#retryAtMs = this.#parts.time.nowMs
    this.#beat(false)
  }

  /** Does what is due; to be called every few milliseconds. */
  tick(): void {
    const { nowMs, steadyMs } = this.#parts.time
    if (this.#queued > 0 && nowMs - this.#queuedMs >= BATCH_MS) this.#flush()
    if (nowMs - this.#beatAtMs >= this.#options.heartbeatMs) this.#beat(false)
    if (nowMs >= this.#checkAtMs) {
      this.#checkAtMs = nowMs + this.#options.heartbeatMs / CHECKS_A_BEAT
      for (const peer of this.peers.check(steadyMs)) this.#parts.onPeer(peer, 'silent')
    }
    if (!this.#speaks) return
    if (nowMs >= this.#retryAtMs && this.#refillCursor < 0) this.#beginRefill()
    this.#refill()
  }

  /** The last words of an orderly stop; resolves when they are out, or nobody can tell. */
  async leave(): Promise<void> {
    this.#flush()
    if (this.#speaks) {
      await new Promise<void>((resolve) => {
        const patience = setTimeout(resolve, LEAVE_MS)
        this.#send([], [], true, () => {
          clearTimeout(patience)
          resolve()
        })
      })
    }
    this.up = false
    await this.#parts.transport.close()
  }

  onUp(empty: boolean): void {
    this.up = true
    if (empty) this.#missedMs = 0
    if (this.#missedMs !== Number.POSITIVE_INFINITY) this.#retryAtMs = this.#parts.time.nowMs
    this.#beat(false)
    this.#parts.onLink(true, '')
  }

  onDown(reason: string): void {
    if (!this.up) {
      this.#parts.onLink(false, reason)
      return
    }
    this.up = false
    // What was acknowledged last may be lost with the server that did it, where a replica takes over.
    this.#missedMs = Math.min(this.#missedMs, this.#parts.time.steadyMs - FAILOVER_LOSS_MS)
    this.#abandonRefill()
    this.#parts.onLink(false, reason)
  }

  onFrame(frame: Uint8Array): void {
    const { sealer, time } = this.#parts
    if (sealer.isOwn(frame)) return
    this.counts.framesIn++
    if (frame.length === 0 || frame.length > MAX_FRAME_BYTES) {
      this.counts.oversize++
      return
    }
    const opened = sealer.open(frame)
    const batch = opened && decodeBatch(opened.payload)
    if (batch === undefined) {
      if (opened === undefined && sealer.fault === 'forged') {
        this.counts.forged++
        this.#forgedMs = time.nowMs
      } else this.counts.unreadable++
      return
    }
    const change = this.peers.saw(batch, opened!, time.steadyMs, time.wallMs)
    if (change === 'stale') {
      // What is kept is old by nature, and no less true for it.
      if (batch.beat !== undefined || batch.health.length > 0) this.counts.stale++
    } else if (change !== undefined) {
      this.#parts.onPeer(this.peers.list.find(({ node }) => node === batch.node)!, change)
      // Whoever joins learns at once who is there.
      if (change === 'joined') this.#beatAtMs = Number.NEGATIVE_INFINITY
    }
    const aheadMs = batch.sentMs - time.wallMs
    if (batch.beat !== undefined && aheadMs > AHEAD_TOLD_MS) this.#parts.onAhead(batch.node, aheadMs)
    const { faults, firstFault } = batch
    if (firstFault !== undefined) {
      this.counts.invalid += faults.invalid
      this.counts.newer += faults.newer
      this.#parts.onSkipped(batch.node, { faults, firstFault })
    }
    for (const entry of batch.entries) this.#merge(entry, batch.sentMs)
    if (change !== 'stale') for (const health of batch.health) this.#parts.state.onHealth(health)
  }

  #merge(entry: MeshEntry, sentMs: number): void {
    const { state, clock, time } = this.#parts
    this.counts.entriesIn++
    if (writtenMs(entry) > time.wallMs + MAX_AHEAD_MS) {
      this.counts.ahead++
      return
    }
    if (entry.kind === 'operator' && entry.drainUntilMs > time.wallMs + MAX_DRAIN_MS) {
      this.counts.invalid++
      return
    }
    if (isOutdated(entry, sentMs, time.wallMs)) {
      this.counts.stale++
      return
    }
    clock.witness(entry.high, entry.low)
    const outcome = state.merge(entry, sentMs)
    if (outcome === 'unknown-target') this.counts.unknown++
    else if (outcome === 'older' && this.#speaks) {
      // The store may have kept the older one last, and whoever said it may have missed the newer: both get it. Not the
      // store alone, where what another host has said meanwhile might be replaced, and nobody would notice.
      const newer = state.current(entry)
      if (newer !== undefined) this.change(newer)
    }
  }

  get #speaks(): boolean {
    return this.up && !this.#isMuted
  }

  get #queued(): number {
    return this.#entries.length + this.#health.length + this.#forgotten.length
  }

  #queue(): void {
    if (this.#queued === 0) this.#queuedMs = this.#parts.time.nowMs
  }

  #flush(): void {
    const entries = this.#entries
    const health = this.#health
    this.#entries = []
    this.#health = []
    if (entries.length + health.length > 0) {
      if (this.#speaks) this.#sendEntries(entries, health)
      else this.#miss(entries)
    }
    // Behind the entries, one of which may have been evicted while it waited here.
    for (const name of this.#forgotten.splice(0)) this.#expire(name)
  }

  #sendEntries(entries: readonly MeshEntry[], health: readonly HealthNews[]): void {
    const failed = (): void => {
      this.#miss(entries)
      this.#retryAtMs = Math.min(this.#retryAtMs, this.#parts.time.nowMs + RETRY_MS)
    }
    // Kept first, told then: who joins notes the stream's end and reads what is kept, and finds each entry in one of them.
    for (const entry of entries) {
      this.#save(entry, (ok) => {
        if (!ok) failed()
      })
    }
    this.#send(entries, health, undefined, (ok) => {
      if (!ok) failed()
    })
  }

  #beat(leaving: boolean): void {
    this.#beatAtMs = this.#parts.time.nowMs
    if (this.#speaks) this.#send([], [], leaving, () => {})
  }

  #send(
    entries: readonly MeshEntry[],
    health: readonly HealthNews[],
    leaving: boolean | undefined,
    done: (ok: boolean) => void,
  ): void {
    this.counts.framesOut++
    this.counts.entriesOut += entries.length
    this.#parts.transport.publish(this.#seal(entries, health, leaving), done)
  }

  #save(entry: MeshEntry, done: (ok: boolean) => void = () => {}): void {
    const ttlMs = keptMs(entry, this.#parts.time.wallMs)
    if (ttlMs > 0) this.#parts.transport.save(entryName(entry), this.#seal([entry], [], undefined), ttlMs, done)
  }

  /** Expiring needs no right that saving does not. Whoever reads it in its last millisecond finds nothing in it. */
  #expire(name: string): void {
    if (this.#speaks) this.#parts.transport.save(name, this.#seal([], [], undefined), 1, () => {})
  }

  #seal(entries: readonly MeshEntry[], health: readonly HealthNews[], leaving: boolean | undefined): Buffer {
    const { node, boot, version } = this.#options
    const beat = leaving === undefined ? undefined : { version, leaving, features: FEATURES }
    const batch: Batch = { node, boot, sentMs: Math.floor(this.#parts.time.wallMs), beat, entries, health }
    return this.#parts.sealer.seal(encodeBatch(batch))
  }

  #beginRefill(): void {
    this.#retryAtMs = Number.POSITIVE_INFINITY
    if (this.#missedMs === Number.POSITIVE_INFINITY) return
    this.#refillFromMs = this.#missedMs
    this.#missedMs = Number.POSITIVE_INFINITY
    this.#refillCursor = 0
    this.counts.refills++
  }

  #refill(): void {
    const { state, transport } = this.#parts
    while (this.#refillCursor >= 0 && transport.pending < REFILL_PENDING) {
      const page = state.page(this.#refillCursor, REFILL_PAGE, this.#refillFromMs)
      this.#refillCursor = page.next
      for (let at = 0; at < page.entries.length; at += BATCH_ENTRIES) {
        this.#sendEntries(page.entries.slice(at, at + BATCH_ENTRIES), [])
      }
    }
  }

  #abandonRefill(): void {
    if (this.#refillCursor < 0) return
    this.#refillCursor = -1
    this.#missedMs = Math.min(this.#missedMs, this.#refillFromMs)
  }

  #miss(entries: readonly MeshEntry[]): void {
    // All but sessions is little, and goes with every refill.
    this.#missedMs = Math.min(this.#missedMs, this.#parts.time.steadyMs)
    for (const entry of entries) {
      if (entry.kind === 'session')
        this.#missedMs = Math.min(this.#missedMs, steadyTime(entry.touchedMs, this.#parts.time))
    }
  }
}

/** The latest that an entry says to have happened, by the clock of whoever wrote it. */
function writtenMs(entry: MeshEntry): number {
  const ms = stampMs(entry.high, entry.low)
  return entry.kind === 'session' ? Math.max(ms, entry.touchedMs) : ms
}
