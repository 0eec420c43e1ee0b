import type { ManualClock } from '../../src/core/clock.js'
import { LocalHybridClock } from '../../src/core/hybrid-clock.js'
import type {
  HealthNews,
  MergeOutcome,
  MeshEntry,
  MeshState,
  MeshTransport,
  SessionEntry,
  Stamp,
} from '../../src/core/mesh.js'
import { entryName, replaces } from '../../src/mesh/merge-order.js'
import { Replica } from '../../src/mesh/replica.js'
import type { Sealer } from '../../src/mesh/seal.js'

/** What one host knows, in a plain Map. */
export class MapState implements MeshState {
  readonly entries = new Map<string, MeshEntry>()
  /** Called with what came from elsewhere and was new here. */
  onNews: (name: string, entry: MeshEntry) => void = () => {}

  merge(entry: MeshEntry): MergeOutcome {
    const name = entryName(entry)
    const known = this.entries.get(name)
    if (known !== undefined && !replaces(entry, known)) return replaces(known, entry) ? 'older' : 'known'
    this.entries.set(name, entry)
    this.onNews(name, entry)
    return 'news'
  }

  current(entry: MeshEntry): MeshEntry | undefined {
    return this.entries.get(entryName(entry))
  }

  page(_cursor: number, _limit: number, sinceMs: number): { entries: readonly MeshEntry[]; next: number } {
    const entries = [...this.entries.values()].filter((entry) => entry.kind !== 'session' || entry.touchedMs >= sinceMs)
    return { entries, next: -1 }
  }

  onHealth(_news: HealthNews): void {}
}

/** One host of a simulation: the product's replica, with its own clock that may be wrong by `skewMs`. */
export class SimulatedHost {
  readonly state = new MapState()
  readonly replica: Replica
  readonly #stamps: LocalHybridClock
  readonly #stamp: Stamp = { high: 0, low: 0 }
  readonly #wallMs: () => number

  constructor(
    readonly name: string,
    readonly link: MeshTransport & { cut(): void; mend(): void },
    sealer: Sealer,
    clock: ManualClock,
    skewMs: number,
    heartbeatMs: number,
  ) {
    const time = {
      get nowMs(): number {
        return clock.nowMs
      },
      get steadyMs(): number {
        return clock.steadyMs
      },
      get wallMs(): number {
        return clock.wallMs + skewMs
      },
      refresh: () => {},
    }
    this.#wallMs = () => time.wallMs
    this.#stamps = new LocalHybridClock(name, this.#wallMs)
    this.replica = new Replica(
      { node: name, boot: name, version: '0', heartbeatMs },
      {
        transport: link,
        sealer,
        state: this.state,
        clock: this.#stamps,
        time,
        onPeer: () => {},
        onLink: () => {},
        onAhead: () => {},
        onSkipped: () => {},
      },
    )
  }

  /** A client of `key` is bound to `target` here. */
  bind(key: number, target: string, timeoutMs: number): SessionEntry {
    this.#stamps.next(this.#stamp)
    const touchedMs = this.#wallMs()
    const entry: SessionEntry = {
      kind: 'session',
      key: Int32Array.of(key, 0, 0, 0),
      group: 'app',
      target,
      touchedMs,
      expiresMs: touchedMs + timeoutMs,
      ...this.#stamp,
    }
    this.state.merge(entry)
    this.replica.change(entry)
    return entry
  }
}
