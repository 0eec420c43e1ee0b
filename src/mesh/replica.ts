import type { Clock } from '../core/clock.js'
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
import { isOutdated } from './keeping.js'
import { Peers } from './peers.js'
import { decodeBatch, type ReadBatch } from './read-batch.js'
import { MAX_FRAME_BYTES } from './reply-filter.js'
import type { Sealer } from './seal.js'
import { Sender, type SenderOptions } from './sender.js'

/** How long a frame that was forged is worth a look. */
const FORGED_MS = 5 * 60_000
/** How often within a heartbeat it is looked who has fallen silent. */
const CHECKS_A_BEAT = 4
/** How long an orderly stop waits for its last frame to be taken. */
const LEAVE_MS = 500
/** A stamp this far ahead of the wall clock is a broken clock's, and would drag every other clock along. */
const MAX_AHEAD_MS = 60_000
/** Hosts whose clocks are kept by a time server are closer than this by far. */
const AHEAD_TOLD_MS = 2_000
/** No target drains for longer: an hour is the most that a configuration allows, and clocks differ. */
const MAX_DRAIN_MS = 2 * 60 * 60_000

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

/** One host's end of the mesh: its sender says what changes here; what the others say is merged into its state. */
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
  readonly #heartbeatMs: number
  readonly #parts: ReplicaParts
  readonly #sender: Sender
  #up = false
  #checkAtMs = 0
  #forgedMs = Number.NEGATIVE_INFINITY

  constructor(options: SenderOptions, parts: ReplicaParts) {
    this.#heartbeatMs = options.heartbeatMs
    this.#parts = parts
    this.peers = new Peers(options.node, options.boot, options.heartbeatMs, parts.time.wallMs)
    const { transport, sealer, state, time } = parts
    this.#sender = new Sender(options, { transport, sealer, state, time, counts: this.counts })
  }

  start(): void {
    this.#parts.transport.open(this)
  }

  get forgedLately(): boolean {
    return this.#parts.time.nowMs - this.#forgedMs < FORGED_MS
  }

  /** Something changed here; the state has it already. */
  change(entry: MeshEntry): void {
    this.#sender.change(entry)
  }

  /**
   * A session was pushed out of this host's table before its time. The store lets go of it as well, so that it never
   * holds more than the tables do. Not while the link is down: then it goes with its time.
   */
  forget(key: SessionKey): void {
    this.#sender.forget(key)
  }

  news(health: HealthNews): void {
    this.#sender.news(health)
  }

  /** Changes may have been lost on their way here: all that was made or used since (by `Clock.steadyMs`) is sent again. */
  resync(sinceMs: number): void {
    this.#sender.resync(sinceMs)
  }

  /** Another process of this host speaks in its place from here on. `done` is called when all that was said is out. */
  mute(done: () => void): void {
    this.peers.shareName(Number.POSITIVE_INFINITY)
    this.#sender.mute(done)
  }

  /** This process speaks for the host from here on, and says what it has not said so far. */
  unmute(): void {
    this.peers.shareName(this.#parts.time.wallMs)
    this.#sender.unmute()
  }

  /** Does what is due; to be called every few milliseconds. */
  tick(): void {
    const { nowMs, steadyMs } = this.#parts.time
    if (nowMs >= this.#checkAtMs) {
      this.#checkAtMs = nowMs + this.#heartbeatMs / CHECKS_A_BEAT
      for (const peer of this.peers.check(steadyMs)) this.#parts.onPeer(peer, 'silent')
    }
    this.#sender.tick()
  }

  /** The last words of an orderly stop; resolves when they are out, or nobody can tell. */
  async leave(): Promise<void> {
    await new Promise<void>((resolve) => {
      const patience = setTimeout(resolve, LEAVE_MS)
      this.#sender.leave(() => {
        clearTimeout(patience)
        resolve()
      })
    })
    this.#up = false
    await this.#parts.transport.close()
  }

  onUp(empty: boolean): void {
    this.#up = true
    this.#sender.onUp(empty)
    this.#parts.onLink(true, '')
  }

  onDown(reason: string): void {
    if (this.#up) this.#sender.onDown()
    this.#up = false
    this.#parts.onLink(false, reason)
  }

  onFrame(frame: Uint8Array, isKept = false): void {
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
      if (change === 'joined') this.#sender.beatSoon()
    }
    const aheadMs = batch.sentMs - time.wallMs
    if (batch.beat !== undefined && aheadMs > AHEAD_TOLD_MS) this.#parts.onAhead(batch.node, aheadMs)
    const { faults, firstFault } = batch
    if (firstFault !== undefined) {
      this.counts.invalid += faults.invalid
      this.counts.newer += faults.newer
      this.#parts.onSkipped(batch.node, { faults, firstFault })
    }
    for (const entry of batch.entries) this.#merge(entry, batch, isKept)
    if (change !== 'stale') for (const health of batch.health) this.#parts.state.onHealth(health)
  }

  #merge(entry: MeshEntry, { sentMs, node }: Pick<ReadBatch, 'sentMs' | 'node'>, isKept: boolean): void {
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
    const outcome = state.merge(entry, sentMs, node)
    if (outcome === 'unknown-target') this.counts.unknown++
    else if (outcome === 'news' && isKept && entry.kind !== 'session') {
      // Whoever saved it may have died before it was told, and the others would go without. Sessions tell of themselves
      // with their next use.
      this.resync(time.steadyMs)
    } else if (outcome === 'older' && this.#sender.speaks) {
      // The store may have kept the older one last, and whoever said it may have missed the newer: both get it. Not the
      // store alone, where what another host has said meanwhile might be replaced, and nobody would notice.
      const newer = state.current(entry)
      if (newer !== undefined) this.change(newer)
    }
  }
}

/** The latest that an entry says to have happened, by the clock of whoever wrote it. */
function writtenMs(entry: MeshEntry): number {
  const ms = stampMs(entry.high, entry.low)
  return entry.kind === 'session' ? Math.max(ms, entry.touchedMs) : ms
}
