import type { Peer } from '../core/mesh.js'
import type { Batch } from './batch.js'

/** Beats missed until a host counts as silent, and as gone from the list. */
const SILENT_BEATS = 3
const FORGOTTEN_MS = 10 * 60_000

/** Who else is there, by their signs of life. Every frame of a host is one. */
export class Peers {
  readonly #self: string
  readonly #boot: string
  readonly #silentMs: number
  readonly #seen = new Map<string, Peer>()
  /** Another process calls itself by this host's name: its boot id. Two hosts must not share one. */
  impostor: string | undefined
  #impostorSeenMs = 0

  constructor(self: string, boot: string, heartbeatMs: number) {
    this.#self = self
    this.#boot = boot
    this.#silentMs = heartbeatMs * SILENT_BEATS
  }

  /** Returns what changed about the sender, for the log. */
  saw(batch: Batch, nowMs: number): 'joined' | 'restarted' | 'back' | 'left' | undefined {
    if (batch.node === this.#self) {
      if (batch.boot !== this.#boot && batch.beat !== undefined) {
        this.impostor = batch.beat.leaving ? undefined : batch.boot
        this.#impostorSeenMs = nowMs
      }
      return undefined
    }
    // What the store keeps of a host long gone is no sign of life.
    if (batch.beat === undefined && !this.#seen.has(batch.node)) return undefined
    const before = this.#seen.get(batch.node)
    if (before !== undefined && batch.sentMs < before.lastSeenMs - before.lagMs) return undefined
    const left = batch.beat?.leaving === true
    this.#seen.set(batch.node, {
      node: batch.node,
      boot: batch.boot,
      state: left ? 'left' : 'alive',
      version: batch.beat?.version ?? before?.version ?? '',
      lastSeenMs: nowMs,
      lagMs: Math.max(0, nowMs - batch.sentMs),
    })
    if (left) return before?.state === 'left' ? undefined : 'left'
    if (before === undefined) return 'joined'
    if (before.boot !== batch.boot) return 'restarted'
    return before.state === 'alive' ? undefined : 'back'
  }

  /** Marks who has not been heard of; returns those who just fell silent. */
  check(nowMs: number): readonly Peer[] {
    const silent: Peer[] = []
    if (nowMs - this.#impostorSeenMs > this.#silentMs) this.impostor = undefined
    for (const [node, peer] of this.#seen) {
      const quietMs = nowMs - peer.lastSeenMs
      if (peer.state === 'alive' && quietMs > this.#silentMs) {
        const now = { ...peer, state: 'silent' } as const
        this.#seen.set(node, now)
        silent.push(now)
      } else if (quietMs > FORGOTTEN_MS) {
        this.#seen.delete(node)
      }
    }
    return silent
  }

  get list(): readonly Peer[] {
    return [...this.#seen.values()].sort((a, b) => (a.node < b.node ? -1 : 1))
  }

  get alive(): number {
    let count = 0
    for (const peer of this.#seen.values()) if (peer.state === 'alive') count++
    return count
  }
}
