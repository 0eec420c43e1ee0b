import { type Clock, steadyTime } from '../core/clock.js'
import type { HealthNews, MeshCounts, MeshEntry, MeshState, MeshTransport } from '../core/mesh.js'
import type { SessionKey } from '../core/session-store.js'
import { type Batch, encodeBatch } from './batch.js'
import { keptMs } from './keeping.js'
import { entryName, sessionName } from './merge-order.js'
import type { Sealer } from './seal.js'

/** A change waits this long for others to share its frame. */
const BATCH_MS = 20
const BATCH_ENTRIES = 256
/** While so many frames are on their way a refill waits: it must not crowd out what happens now. */
const REFILL_PENDING = 2_000
const REFILL_PAGE = 200
/** How long after a write failed, though connected, it is tried again. */
const RETRY_MS = 1_000
/** How much of the newest a replica that takes over may lack. */
const FAILOVER_LOSS_MS = 5_000
/** What this version can do that the first could not: it takes the rows that it knows out of a frame with others. */
const FEATURES = ['skips-rows']

export interface SenderOptions {
  readonly node: string
  readonly boot: string
  readonly version: string
  readonly heartbeatMs: number
}

export interface SenderParts {
  readonly transport: MeshTransport
  readonly sealer: Sealer
  readonly state: MeshState
  readonly time: Clock
  readonly counts: MeshCounts
}

/**
 * What one host says: changes in batches, signs of life, and after a break again what the others may have missed. It
 * keeps no queue for bad times: what this host knows is in its state, and the time of the earliest change that was not
 * acknowledged says from where on to send it again.
 */
export class Sender {
  readonly #options: SenderOptions
  readonly #parts: SenderParts
  #isUp = false
  /** Another process speaks for this host: nothing is sent, and what was not is remembered as missed. */
  #isMuted = false
  /** From when on the others may have missed what happened here, by `Clock.steadyMs`; infinite where they have it all. */
  #missedMs = Number.POSITIVE_INFINITY
  #entries: MeshEntry[] = []
  #health: HealthNews[] = []
  /** Names of sessions that this host has no room for any more. */
  #forgotten: string[] = []
  #queuedMs = 0
  #beatAtMs = Number.NEGATIVE_INFINITY
  #retryAtMs = Number.POSITIVE_INFINITY
  /** Where the refill under way stands; −1 without one. */
  #refillCursor = -1
  #refillFromMs = 0

  constructor(options: SenderOptions, parts: SenderParts) {
    this.#options = options
    this.#parts = parts
  }

  /** Whether what it sends now goes out. */
  get speaks(): boolean {
    return this.#isUp && !this.#isMuted
  }

  /** Something changed here; the state has it already. */
  change(entry: MeshEntry): void {
    this.#queue()
    this.#entries.push(entry)
    if (this.#entries.length >= BATCH_ENTRIES) this.flush()
  }

  /** See `Replica.forget`. */
  forget(key: SessionKey): void {
    if (!this.speaks) return
    this.#queue()
    this.#forgotten.push(sessionName(key))
    if (this.#forgotten.length >= BATCH_ENTRIES) this.flush()
  }

  news(health: HealthNews): void {
    this.#queue()
    this.#health.push(health)
    if (this.#health.length >= BATCH_ENTRIES) this.flush()
  }

  /** See `Replica.resync`. */
  resync(sinceMs: number): void {
    this.#missedMs = Math.min(this.#missedMs, sinceMs)
    this.#retryAtMs = Math.min(this.#retryAtMs, this.#parts.time.nowMs)
  }

  /** `done` is called when all that was said is out. */
  mute(done: () => void): void {
    this.flush()
    const spoke = this.speaks
    this.#isMuted = true
    this.#abandonRefill()
    spoke ? this.#send([], [], false, done) : done()
  }

  unmute(): void {
    this.#isMuted = false
    this.#retryMissed()
    this.beat()
  }

  /** Does what is due; to be called every few milliseconds. */
  tick(): void {
    const { nowMs } = this.#parts.time
    if (this.#queued > 0 && nowMs - this.#queuedMs >= BATCH_MS) this.flush()
    if (nowMs - this.#beatAtMs >= this.#options.heartbeatMs) this.beat()
    if (!this.speaks) return
    if (nowMs >= this.#retryAtMs && this.#refillCursor < 0) this.#beginRefill()
    this.#refill()
  }

  /** `empty`: the store remembers nothing of what this host saved before. */
  onUp(empty: boolean): void {
    this.#isUp = true
    if (empty) this.#missedMs = 0
    this.#retryMissed()
    this.beat()
  }

  onDown(): void {
    this.#isUp = false
    // What was acknowledged last may be lost with the server that did it, where a replica takes over.
    this.#missedMs = Math.min(this.#missedMs, this.#parts.time.steadyMs - FAILOVER_LOSS_MS)
    this.#abandonRefill()
  }

  /** The last words; `done` is called when they are out. Nothing is said after them. */
  leave(done: () => void): void {
    this.flush()
    this.speaks ? this.#send([], [], true, done) : done()
    this.#isUp = false
  }

  flush(): void {
    const entries = this.#entries
    const health = this.#health
    this.#entries = []
    this.#health = []
    if (entries.length + health.length > 0) {
      if (this.speaks) this.#sendEntries(entries, health)
      else this.#miss(entries)
    }
    // Behind the entries, one of which may have been evicted while it waited here.
    for (const name of this.#forgotten.splice(0)) this.#expire(name)
  }

  /** A sign of life, now. */
  beat(): void {
    this.#beatAtMs = this.#parts.time.nowMs
    if (this.speaks) this.#send([], [], false, () => {})
  }

  /** A sign of life with the next tick. */
  beatSoon(): void {
    this.#beatAtMs = Number.NEGATIVE_INFINITY
  }

  get #queued(): number {
    return this.#entries.length + this.#health.length + this.#forgotten.length
  }

  #queue(): void {
    if (this.#queued === 0) this.#queuedMs = this.#parts.time.nowMs
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

  #send(
    entries: readonly MeshEntry[],
    health: readonly HealthNews[],
    leaving: boolean | undefined,
    done: (ok: boolean) => void,
  ): void {
    const { transport, counts } = this.#parts
    counts.framesOut++
    counts.entriesOut += entries.length
    transport.publish(this.#seal(entries, health, leaving), done)
  }

  #save(entry: MeshEntry, done: (ok: boolean) => void = () => {}): void {
    const ttlMs = keptMs(entry, this.#parts.time.wallMs)
    if (ttlMs > 0) this.#parts.transport.save(entryName(entry), this.#seal([entry], [], undefined), ttlMs, done)
  }

  /** Expiring needs no right that saving does not. Whoever reads it in its last millisecond finds nothing in it. */
  #expire(name: string): void {
    if (this.speaks) this.#parts.transport.save(name, this.#seal([], [], undefined), 1, () => {})
  }

  #seal(entries: readonly MeshEntry[], health: readonly HealthNews[], leaving: boolean | undefined): Buffer {
    const { node, boot, version } = this.#options
    const beat = leaving === undefined ? undefined : { version, leaving, features: FEATURES }
    const batch: Batch = { node, boot, sentMs: Math.floor(this.#parts.time.wallMs), beat, entries, health }
    return this.#parts.sealer.seal(encodeBatch(batch))
  }

  #retryMissed(): void {
    if (this.#missedMs !== Number.POSITIVE_INFINITY) this.#retryAtMs = this.#parts.time.nowMs
  }

  #beginRefill(): void {
    this.#retryAtMs = Number.POSITIVE_INFINITY
    if (this.#missedMs === Number.POSITIVE_INFINITY) return
    this.#refillFromMs = this.#missedMs
    this.#missedMs = Number.POSITIVE_INFINITY
    this.#refillCursor = 0
    this.#parts.counts.refills++
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
