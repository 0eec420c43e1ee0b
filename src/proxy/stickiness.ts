// Hot path of sticky groups: one look-up a request.
import type { StickinessConfig } from '../core/config.js'
import { SESSION_KEY_WORDS, type SessionKey } from '../core/session-store.js'
import { CookieFinder } from '../http/cookie.js'
import type { RequestParser } from '../http/request-parser.js'
import type { ResponseParser } from '../http/response-parser.js'
import { ipToBytes } from '../net/ip-bytes.js'
import { type KeyHash, nameNumber } from '../shm/key-hash.js'
import { InsertedCookie } from '../sticky/inserted-cookie.js'
import { LearnedSessions, type SessionServices } from '../sticky/learned-sessions.js'
import type { ClientAddress, KeyOfClient } from './client-address.js'

/** Cookies of the same name that are looked at, as a client may have of several paths; more is an attempt to keep us busy. */
const MOST_COOKIES = 8

/** What a request is bound to while it is served; used again for the next. */
export class Affinity {
  /** The slot that the client's session or cookie names, −1 without one. */
  slot = -1
  /** The session's key: what the client's address makes, or a cookie that a target gave out. */
  readonly key: SessionKey = new Int32Array(SESSION_KEY_WORDS)
  hasKey = false
  /** The target of `slot` was full, so that the request went elsewhere for once: the client stays bound. */
  spilled = false

  reset(): void {
    this.slot = -1
    this.hasKey = false
    this.spilled = false
  }
}

/** What stickiness needs of its thread. */
export interface StickyServices extends SessionServices {
  readonly keys: KeyHash
  /** Keys Castor's own cookies; the same on every host of a cluster. */
  readonly secret: string
}

/** Keeps each client of one group on its target, in the way that the group asks for. One thread's. */
export class Stickiness {
  /** Asked for each request: words that came from another thread are compared letter by letter. */
  readonly #bySource: boolean
  readonly #byOwnCookie: boolean
  /** Stands for the group in keys; hosts agree on it, as they do on the name. */
  readonly #groupNumber: number
  readonly #keys: KeyHash
  readonly #finder: CookieFinder
  readonly #inserted: InsertedCookie | undefined
  readonly #sessions: LearnedSessions | undefined
  /** Bits of an IPv6 address that stand for a client. */
  readonly #ipv6Prefix: number
  readonly #addressBytes = Buffer.alloc(64)

  constructor(
    config: Exclude<StickinessConfig, { readonly type: 'off' }>,
    group: { readonly slot: number; readonly name: string },
    services: StickyServices,
  ) {
    this.#bySource = config.type === 'source-ip'
    this.#ipv6Prefix = config.type === 'source-ip' ? config.ipv6Prefix : 0
    this.#byOwnCookie = config.type === 'app-cookie'
    this.#groupNumber = nameNumber(group.name)
    this.#keys = services.keys
    this.#finder = new CookieFinder('name' in config ? config.name : '')
    if (config.type === 'cookie') {
      this.#inserted = new InsertedCookie({ ...config, secret: services.secret, group: group.name })
    } else {
      this.#sessions = new LearnedSessions(services, group.slot, config.timeoutMs)
    }
  }

  /** The group has these targets now. */
  setTargets(targets: readonly { readonly slot: number; readonly id: string }[]): void {
    this.#inserted?.setTargets(targets)
  }

  /** Finds out what an http request is bound to. */
  bindRequest(into: Affinity, parser: RequestParser, buffer: Uint8Array, start: number, client: ClientAddress): void {
    into.reset()
    if (this.#bySource) {
      this.bindClient(into, client)
      return
    }
    const finder = this.#finder
    for (let from = 0, seen = 0; seen < MOST_COOKIES && finder.inRequest(parser, buffer, start, from); seen++) {
      from = finder.valueEnd
      if (this.#inserted !== undefined) into.slot = this.#inserted.slotOf(buffer, finder.valueStart, finder.valueEnd)
      else {
        into.key.set(this.#keys.of(this.#groupNumber, buffer, finder.valueStart, finder.valueEnd))
        this.#bind(into)
      }
      if (into.slot >= 0 || into.hasKey) return
    }
  }

  /** Finds out what a client is bound to by its address alone. */
  bindClient(into: Affinity, client: ClientAddress): void {
    into.reset()
    if (!this.#bySource) return
    const known = client.sessionKey
    const { key } = known?.group === this.#groupNumber ? known : this.#makeKey(client)
    for (let i = 0; i < SESSION_KEY_WORDS; i++) into.key[i] = key[i]!
    this.#bind(into)
  }

  #makeKey(clientAddress: ClientAddress): KeyOfClient {
    const { address } = clientAddress.source
    const bytes = this.#addressBytes
    const length = ipToBytes(address, bytes, 0) === 16 ? maskIpv6(bytes, this.#ipv6Prefix) : writeText(bytes, address)
    const key = Int32Array.from(this.#keys.of(this.#groupNumber, bytes, 0, length))
    const made = { group: this.#groupNumber, key }
    clientAddress.sessionKey = made
    return made
  }

  /** The target has taken the request on. */
  onTarget(affinity: Affinity, targetSlot: number): void {
    if (affinity.hasKey && !affinity.spilled && affinity.slot !== targetSlot)
      this.#sessions!.remember(affinity.key, targetSlot)
  }

  /** The target has answered: the client stays there, and an application's own cookie is learned. */
  onResponse(affinity: Affinity, parser: ResponseParser, buffer: Uint8Array, start: number, targetSlot: number): void {
    this.onTarget(affinity, targetSlot)
    const finder = this.#finder
    if (!this.#byOwnCookie) return
    // Every one of that name: which of them the client keeps is for its paths and attributes to say, and one that
    // deletes another path's cookie must not hide the one that stays.
    for (let at = finder.nextInResponse(parser, buffer, start, 0); at > 0; ) {
      const { valueStart, valueEnd } = finder
      if (valueStart < valueEnd)
        this.#sessions!.remember(this.#keys.of(this.#groupNumber, buffer, valueStart, valueEnd), targetSlot)
      at = finder.nextInResponse(parser, buffer, start, at)
    }
  }

  /** How often at least `keep` has to be called while a connection of a bound client is open. */
  get keepEveryMs(): number {
    return this.#sessions?.keepEveryMs ?? Number.POSITIVE_INFINITY
  }

  /** A connection that began with this affinity is still open. */
  keep(affinity: Affinity): void {
    if (affinity.hasKey) this.#sessions!.keep(affinity.key)
  }

  /** The header line that goes with each response from that target, if any does. */
  responseLine(affinity: Affinity, targetSlot: number, secure: boolean): Uint8Array | undefined {
    return this.#inserted?.lineFor(affinity.spilled ? affinity.slot : targetSlot, secure)
  }

  /** An application's cookie is learned from its targets alone: what a client makes up is looked up and not stored. */
  #bind(into: Affinity): void {
    const sessions = this.#sessions!
    into.slot = sessions.find(into.key)
    into.hasKey = this.#bySource || sessions.isKnown
  }
}

/** Leaves the first `prefix` bits of 16 bytes. The text of an IPv4 address is shorter than that. */
function maskIpv6(bytes: Uint8Array, prefix: number): number {
  const whole = prefix >> 3
  if (whole < 16) {
    bytes[whole]! &= 0xff00 >> (prefix & 7)
    bytes.fill(0, whole + 1, 16)
  }
  return 16
}

function writeText(bytes: Uint8Array, text: string): number {
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i)
  return text.length
}
