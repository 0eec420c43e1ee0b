import type { Peer } from '../core/mesh.js'
import type { Batch } from './batch.js'
import type { OpenedFrame } from './seal.js'

/** Beats missed until a host counts as silent, and as gone from the list. */
const SILENT_BEATS = 3
const FORGOTTEN_MS = 10 * 60_000
/** A sign of life is not older than that, nor ahead of this host's clock: whoever writes to Redis can send it again. */
const FRESH_MS = 60_000

/** What a frame was sent with. */
type Source = Pick<OpenedFrame, 'sender' | 'number'>

interface Heard extends Source {
  readonly sentMs: number
  readonly peer: Peer
}

/** Who else is there, by their signs of life. Every frame of a host is one. */
export class Peers {
  readonly #self: string
  readonly #boot: string
  readonly #silentMs: number
  readonly #seen = new Map<string, Heard>()
  /** From when on, by the wall clock, another process of this host's name is one that runs beside this one. */
  readonly #startMs: number
  /** Another process calls itself by this host's name: its boot id. Two hosts must not share one. */
  impostor: string | undefined
  #impostorSeenMs = 0
  #impostorHeard: (Source & { readonly sentMs: number }) | undefined

  constructor(self: string, boot: string, heartbeatMs: number, wallMs: number) {
    this.#startMs = wallMs
    this.#self = self
    this.#boot = boot
    this.#silentMs = heartbeatMs * SILENT_BEATS
  }

  /**
   * Returns what changed about the sender, for the log; `stale` where the frame is old, or was seen before: then it says
   * nothing about now. `nowMs` by `Clock.steadyMs`.
   */
  saw(
    batch: Batch,
    source: Source,
    nowMs: number,
    wallMs: number,
  ): 'joined' | 'restarted' | 'back' | 'left' | 'stale' | undefined {
    const heard = this.#seen.get(batch.node)
    // A process that was heard before goes on by its numbers, also where its clock was set, or this host's.
    const isKnown = heard !== undefined && heard.sender === source.sender
    if (!isKnown && Math.abs(wallMs - batch.sentMs) > FRESH_MS) return 'stale'
    if (batch.node === this.#self) return this.#sawNamesake(batch, source, nowMs)
    // What the store keeps of a host long gone is no sign of life.
    if (batch.beat === undefined && heard === undefined) return undefined
    if (heard !== undefined && !isLater(batch, source, heard)) return 'stale'
    const before = heard?.peer
    const left = batch.beat?.leaving === true
    const peer: Peer = {
      node: batch.node,
      boot: batch.boot,
      state: left ? 'left' : 'alive',
      version: batch.beat?.version ?? before?.version ?? '',
      features: batch.beat?.features ?? before?.features ?? [],
      lastSeenMs: nowMs,
      lagMs: Math.max(0, wallMs - batch.sentMs),
    }
    this.#seen.set(batch.node, { peer, sender: source.sender, number: source.number, sentMs: batch.sentMs })
    if (left) return before?.state === 'left' ? undefined : 'left'
    if (before === undefined) return 'joined'
    if (before.boot !== batch.boot) return 'restarted'
    return before.state === 'alive' ? undefined : 'back'
  }

  #sawNamesake(batch: Batch, source: Source, nowMs: number): 'stale' | undefined {
    if (batch.boot === this.#boot || batch.beat === undefined) return undefined
    const heard = this.#impostorHeard
    if (batch.sentMs < this.#startMs || (heard !== undefined && !isLater(batch, source, heard))) return 'stale'
    this.#impostorHeard = { sender: source.sender, number: source.number, sentMs: batch.sentMs }
    this.impostor = batch.beat.leaving ? undefined : batch.boot
    this.#impostorSeenMs = nowMs
    return undefined
  }

  /** Marks who has not been heard of; returns those who just fell silent. */
  check(nowMs: number): readonly Peer[] {
    const silent: Peer[] = []
    if (nowMs - this.#impostorSeenMs > this.#silentMs) this.impostor = undefined
    for (const [node, heard] of this.#seen) {
      const { peer } = heard
      const quietMs = nowMs - peer.lastSeenMs
      if (peer.state === 'alive' && quietMs > this.#silentMs) {
        const now = { ...peer, state: 'silent' } as const
        this.#seen.set(node, { ...heard, peer: now })
        silent.push(now)
      } else if (quietMs > FORGOTTEN_MS) {
        this.#seen.delete(node)
      }
    }
    return silent
  }

  get list(): readonly Peer[] {
    return [...this.#seen.values()].map(({ peer }) => peer).sort((a, b) => (a.node < b.node ? -1 : 1))
  }

  get alive(): number {
    let count = 0
    for (const { peer } of this.#seen.values()) if (peer.state === 'alive') count++
    return count
  }
}

/**
 * Whether a frame was sent after another of the same node. One process's frames are numbered; of two processes, which are
 * two starts of a host or of its mesh thread, the later one counts.
 */
function isLater(batch: Batch, source: Source, than: Source & { readonly sentMs: number }): boolean {
  return source.sender === than.sender ? source.number > than.number : batch.sentMs > than.sentMs
}
