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
  /** The process of that name before this one, and the last number of its frames. */
  readonly before: Source | undefined
}

interface Seen {
  readonly heard: Heard
  readonly peer: Peer
}

/** Who else is there, by their signs of life. Every frame of a host is one. */
export class Peers {
  readonly #self: string
  readonly #boot: string
  readonly #silentMs: number
  readonly #seen = new Map<string, Seen>()
  /** From when on, by the wall clock, another process of this host's name is one that runs beside this one. */
  #startMs: number
  /** Another process calls itself by this host's name: its boot id. Two hosts must not share one. */
  impostor: string | undefined
  #impostorSeenMs = 0
  /** Other names that two processes speak under in turn, and when that was seen last. */
  readonly #doubled = new Map<string, number>()
  #impostorHeard: Heard | undefined

  constructor(self: string, boot: string, heartbeatMs: number, wallMs: number) {
    this.#startMs = wallMs
    this.#self = self
    this.#boot = boot
    this.#silentMs = heartbeatMs * SILENT_BEATS
  }

  /** In an upgrade another process of this host's name is no impostor: until `wallMs`, or for good where that is infinite. */
  shareName(untilWallMs: number): void {
    this.#startMs = untilWallMs
    this.impostor = undefined
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
    const seen = this.#seen.get(batch.node)
    // A process that was heard before goes on by its numbers, also where its clock was set, or this host's.
    const isKnown = seen !== undefined && seen.heard.sender === source.sender
    if (!isKnown && Math.abs(wallMs - batch.sentMs) > FRESH_MS) return 'stale'
    if (batch.node === this.#self) return this.#sawNamesake(batch, source, nowMs)
    // What the store keeps of a host long gone is no sign of life.
    if (batch.beat === undefined && seen === undefined) return undefined
    const heard = hear(batch, source, seen?.heard)
    if (heard === undefined) return 'stale'
    const before = seen?.peer
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
    this.#seen.set(batch.node, { heard, peer })
    // A process that was replaced says nothing more.
    if (seen !== undefined && seen.heard.sender !== source.sender && seen.heard.before?.sender === source.sender) {
      this.#doubled.set(batch.node, nowMs)
      return undefined
    }
    if (left) return before?.state === 'left' ? undefined : 'left'
    if (before === undefined) return 'joined'
    if (before.boot !== batch.boot) return 'restarted'
    return before.state === 'alive' ? undefined : 'back'
  }

  #sawNamesake(batch: Batch, source: Source, nowMs: number): 'stale' | undefined {
    if (batch.boot === this.#boot || batch.beat === undefined || this.#startMs === Number.POSITIVE_INFINITY)
      return undefined
    const heard = hear(batch, source, this.#impostorHeard)
    if (batch.sentMs < this.#startMs || heard === undefined) return 'stale'
    this.#impostorHeard = heard
    this.impostor = batch.beat.leaving ? undefined : batch.boot
    this.#impostorSeenMs = nowMs
    return undefined
  }

  /** Marks who has not been heard of; returns those who just fell silent. */
  check(nowMs: number): readonly Peer[] {
    const silent: Peer[] = []
    if (nowMs - this.#impostorSeenMs > this.#silentMs) this.impostor = undefined
    for (const [node, ms] of this.#doubled) if (nowMs - ms > this.#silentMs) this.#doubled.delete(node)
    for (const [node, { heard, peer }] of this.#seen) {
      const quietMs = nowMs - peer.lastSeenMs
      if (peer.state === 'alive' && quietMs > this.#silentMs) {
        const now = { ...peer, state: 'silent' } as const
        this.#seen.set(node, { heard, peer: now })
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

  get doubled(): readonly string[] {
    return [...this.#doubled.keys()].sort()
  }

  get alive(): number {
    let count = 0
    for (const { peer } of this.#seen.values()) if (peer.state === 'alive') count++
    return count
  }
}

/**
 * What was heard last, once a frame has come; undefined where the frame was sent before that, or was heard already. One
 * process's frames are numbered; of two processes, which are two starts of a host or of its mesh thread, or two hosts of
 * one name, the time of sending tells, which may be the same.
 */
function hear({ sentMs }: Batch, { sender, number }: Source, last: Heard | undefined): Heard | undefined {
  if (last === undefined) return { sender, number, sentMs, before: undefined }
  if (sender === last.sender) return number > last.number ? { sender, number, sentMs, before: last.before } : undefined
  if (sentMs < last.sentMs || (sender === last.before?.sender && number <= last.before.number)) return undefined
  return { sender, number, sentMs, before: { sender: last.sender, number: last.number } }
}
