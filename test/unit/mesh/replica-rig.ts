import { ManualClock } from '../../../src/core/clock.js'
import { LocalHybridClock } from '../../../src/core/hybrid-clock.js'
import type { HealthNews, MeshTransport, OperatorEntry, SessionEntry, Stamp } from '../../../src/core/mesh.js'
import { Replica } from '../../../src/mesh/replica.js'
import { Sealer } from '../../../src/mesh/seal.js'
import { type HubBehaviour, MemoryHub } from '../../memory/mesh-hub.js'
import { MapState } from '../../simulation/simulated-host.js'

export const HEARTBEAT_MS = 1_000
const SESSION_MS = 300_000
const STEP_MS = 5

export interface HostOptions {
  readonly boot?: string
  readonly secret?: string
  /** How far its wall clock is off. */
  readonly skewMs?: number
}

/** A host as tests see it: the product's replica over a state in a Map. */
export class TestHost {
  readonly state: MapState
  readonly health: HealthNews[] = []
  /** What was said of peers and of the link, in order. */
  readonly events: string[] = []
  readonly replica: Replica
  readonly #stamps: LocalHybridClock
  readonly #wallMs: () => number

  constructor(
    readonly name: string,
    readonly link: MeshTransport & { cut(): void; mend(): void },
    clock: ManualClock,
    { boot = `boot of ${name}`, secret = 'the secret of all', skewMs = 0 }: HostOptions,
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
    this.state = new MapState()
    this.state.onHealth = (news) => this.health.push(news)
    this.replica = new Replica(
      { node: name, boot, version: '1.2.3', heartbeatMs: HEARTBEAT_MS },
      {
        transport: link,
        sealer: new Sealer(secret),
        state: this.state,
        clock: this.#stamps,
        time,
        onPeer: ({ node }, change) => this.events.push(`${node} ${change}`),
        onLink: (up, reason) => this.events.push(up ? 'up' : `down: ${reason}`),
        onAhead: (node, aheadMs) => this.events.push(`${node} is ahead by ${aheadMs}`),
        onSkipped: (node, { firstFault }) => this.events.push(`${node} ${firstFault!.kind} ${firstFault!.fault}`),
      },
    )
    this.replica.start()
  }

  stamp(): Stamp {
    const stamp = { high: 0, low: 0 }
    this.#stamps.next(stamp)
    return stamp
  }

  /** A client is bound to a target here. */
  bind(client: number, target: string, given: Partial<SessionEntry> = {}): SessionEntry {
    const touchedMs = this.#wallMs()
    const entry: SessionEntry = {
      kind: 'session',
      key: Int32Array.of(client, 0, 0, 0),
      group: 'app',
      target,
      touchedMs,
      expiresMs: touchedMs + SESSION_MS,
      ...this.stamp(),
      ...given,
    }
    this.state.merge(entry)
    this.replica.change(entry)
    return entry
  }

  operate(target: string, state: OperatorEntry['state']): void {
    const entry: OperatorEntry = {
      kind: 'operator',
      group: 'app',
      target,
      state,
      weight: -1,
      drainUntilMs: 0,
      ...this.stamp(),
    }
    this.state.merge(entry)
    this.replica.change(entry)
  }

  targetOf(client: number): string | undefined {
    for (const entry of this.state.entries.values()) {
      if (entry.kind === 'session' && entry.key[0] === client) return entry.target
    }
    return undefined
  }

  /** All that it knows, to compare hosts by. */
  get knowledge(): readonly string[] {
    const told = [...this.state.entries].map(([name, entry]) => {
      const content = entry.kind === 'session' ? `${entry.target} ${entry.expiresMs}` : entry.kind
      return `${name} ${entry.high} ${entry.low} ${content}`
    })
    return told.sort()
  }
}

/** Hosts, a hub between them, and the time of all. */
export class ReplicaRig {
  readonly clock = new ManualClock(0, Date.UTC(2026, 0, 1))
  readonly hub: MemoryHub
  readonly hosts: TestHost[] = []

  constructor(behaviour: Partial<HubBehaviour> = {}) {
    this.hub = new MemoryHub({ delayMs: () => 1, loses: () => false, doubles: () => false, ...behaviour })
  }

  host(name: string, options: HostOptions = {}): TestHost {
    const host = new TestHost(name, this.hub.transport(), this.clock, options)
    this.hosts.push(host)
    return host
  }

  /** It dies without a word. */
  kill(host: TestHost): void {
    this.hosts.splice(this.hosts.indexOf(host), 1)
    void host.link.close()
  }

  pass(ms: number): void {
    for (let passed = 0; passed < ms; passed += STEP_MS) {
      this.clock.advance(STEP_MS)
      this.hub.advanceTo(this.clock.nowMs)
      for (const host of this.hosts) host.replica.tick()
    }
  }
}
