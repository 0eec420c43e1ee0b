import type { TargetSlot } from '../../../src/core/directory.js'
import type { HealthNews } from '../../../src/core/mesh.js'
import type { SessionKey } from '../../../src/core/session-store.js'
import { nameNumber } from '../../../src/shm/key-hash.js'
import { keyText } from '../../../src/shm/sessions-scan.js'
import { CLIENTS, clientAddress } from './simulated-client.js'
import { GROUP_NAMES, SESSION_MS } from './simulated-file.js'
import { SESSION_KEYS } from './simulated-proxy.js'
import { SimulatedRedis } from './simulated-redis.js'

/** Beyond a minute a host's stamps are refused: what may differ then is the design's to say. */
const FAR_MS = 55_000

/** What a host saw of a target when another one told it news of the target's health. */
export interface ToldHealth extends Pick<HealthNews, 'group' | 'target' | 'state'> {
  readonly host: number
  readonly slot: number
  readonly generation: number
  readonly check: number
  readonly checksWanted: number
}

/** A client was with its target. */
interface Use {
  readonly nowMs: number
  readonly stepsMs: number
  readonly skewMs: number
}

/** What the hosts have around them, and what is known of them from outside. */
export class World {
  readonly redis = new SimulatedRedis()
  /** How far each host's wall clock is off. */
  readonly offMs: number[] = []
  /** Since the start, back and forth. */
  stepsMs = 0
  maxSkewMs = 0
  /** A clock was off by more than the others take, since all was quiet last. */
  isFarOff = false
  wasFarOff = false
  nowMs = 0
  /** Addresses of servers that fail their checks. */
  readonly sick = new Set<string>()
  /** By target, and stamp of what operators had said of it: the processes where they knew that, and said something else. */
  readonly superseded = new Map<string, Set<string>>()
  /** Since news may have been lost last, by receiving host and target. */
  readonly health = new Map<string, ToldHealth>()
  /** Each host hears the other: what one tells from here on the other will be told. */
  isConnected = false
  readonly #uses = new Map<string, Use>()
  /** Which group and client a key stands for. */
  readonly #owners = new Map<string, string>()

  constructor(hosts: number) {
    for (let host = 0; host < hosts; host++) this.offMs.push(0)
    for (const group of GROUP_NAMES) {
      for (let client = 0; client < CLIENTS; client++) {
        const address = Buffer.from(clientAddress(client))
        this.#owners.set(keyText(SESSION_KEYS.of(nameNumber(group), address, 0, address.length)), group)
      }
    }
  }

  /** The group that a session's key was made for. */
  ownerOf(key: string): string | undefined {
    return this.#owners.get(key)
  }

  isWell({ address }: TargetSlot): boolean {
    return !this.sick.has(address)
  }

  /** What was told may not arrive. */
  disturbed(): void {
    this.health.clear()
    this.isConnected = false
  }

  /** A host's wall clock is set. */
  stepped(host: number, byMs: number): void {
    this.offMs[host]! += byMs
    this.stepsMs += Math.abs(byMs)
    this.maxSkewMs = Math.max(this.maxSkewMs, this.skewMs)
    if (this.skewMs <= FAR_MS && Math.abs(byMs) <= FAR_MS) return
    this.isFarOff = true
    this.wasFarOff = true
    // Where a clock is set back by minutes, which is the older is not known any more.
    this.superseded.clear()
  }

  get skewMs(): number {
    return Math.max(...this.offMs) - Math.min(...this.offMs)
  }

  used(key: SessionKey): void {
    const { nowMs, stepsMs, skewMs } = this
    this.#uses.set(keyText(key), { nowMs, stepsMs, skewMs })
  }

  /** Until when, at the latest, somebody may know of the session. */
  expiresMs(key: string): number {
    const use = this.#uses.get(key)
    return use === undefined ? 0 : use.nowMs + SESSION_MS + use.skewMs + this.stepsMs - use.stepsMs
  }
}
