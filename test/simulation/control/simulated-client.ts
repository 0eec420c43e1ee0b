import type { Endpoint } from '../../../src/core/conn.js'
import type { GroupEntry, ListenerEntry, SeriesEntry } from '../../../src/core/snapshot.js'
import type { ClientAddress } from '../../../src/proxy/client-address.js'
import type { Drainable } from '../../../src/proxy/drainables.js'
import type { Listener } from '../../../src/proxy/listener.js'
import type { Route } from '../../../src/proxy/route.js'
import { Affinity } from '../../../src/proxy/stickiness.js'
import type { Target } from '../../../src/proxy/target.js'
import type { Waiter } from '../../../src/proxy/wait-list.js'
import { insist } from './violation.js'
import type { World } from './world.js'

/** As many as there are, on whichever host and connection. */
export const CLIENTS = 10

export function clientAddress(number: number): string {
  return `192.0.2.${number % CLIENTS}`
}

/** What a request goes by, as the snapshot says that was in force when it began. */
export interface Began {
  readonly listener: ListenerEntry
  readonly group: GroupEntry | undefined
  readonly series: SeriesEntry
}

/** A request in a simulated thread, which is given a target or waits for one as those of the product do. */
export class SimulatedRequest implements Waiter, Began {
  readonly listener: ListenerEntry
  readonly group: GroupEntry | undefined
  readonly series: SeriesEntry
  readonly route: Route
  readonly client: Endpoint
  readonly hash = -1
  readonly affinity = new Affinity()
  readonly tried: readonly number[] = []
  waitNext: Waiter | null = null
  waitPrevious: Waiter | null = null
  waitTicket = 0
  waitSlot = -1
  target: Target | undefined
  readonly #world: Pick<World, 'used'>
  readonly #refused: () => void

  constructor(
    { listener, group, series }: Began,
    route: Route,
    address: ClientAddress,
    world: Pick<World, 'used'>,
    refused: () => void,
  ) {
    this.listener = listener
    this.group = group
    this.series = series
    this.route = route
    this.client = address.source
    this.#world = world
    this.#refused = refused
    route.group.stickiness?.bindClient(this.affinity, address)
    this.#used()
  }

  /** Returns false where there is no target for it, and nothing to wait for. */
  acquire(): boolean {
    const { group } = this.route
    const { slot } = this.affinity
    const bound = group.bound(slot, [])
    const outcome = group.acquire(this)
    if (outcome === 'waiting') return true
    if (typeof outcome === 'string') return false
    insist(
      bound === undefined || this.affinity.spilled || outcome === bound,
      `a client that is bound to slot ${slot} is given ${outcome.slot}`,
    )
    this.#take(outcome)
    return true
  }

  onTurn(target: Target | undefined): void {
    if (target === undefined) this.#refused()
    else this.#take(target)
  }

  get isWaiting(): boolean {
    return this.waitTicket !== 0
  }

  /** `isAnswered`: the target has answered, so that the client stays with it. */
  end(isAnswered: boolean): void {
    const { route, target } = this
    route.group.cancel(this)
    if (target !== undefined) {
      if (isAnswered) {
        route.group.stickiness?.onTarget(this.affinity, target.slot)
        this.#used()
      }
      this.target = undefined
      target.connectionClosed()
      route.group.finish(target)
    }
    route.countRequest(200, 1)
  }

  #used(): void {
    if (this.affinity.hasKey) this.#world.used(this.affinity.key)
  }

  #take(target: Target): void {
    this.target = target
    target.connectionOpened()
  }
}

/** A client's connection in a simulated thread, with one request at a time: it counts as those of the product do. */
export class SimulatedClient implements Drainable {
  drainablesPlace = -1
  readonly listener: Listener
  /** Which of the slot's holders the listener is. */
  readonly entry: ListenerEntry
  request: SimulatedRequest | undefined
  readonly fd: number
  readonly #address: ClientAddress
  readonly #closed: (client: SimulatedClient) => void

  constructor(listener: Listener, entry: ListenerEntry, fd: number, closed: (client: SimulatedClient) => void) {
    this.listener = listener
    this.entry = entry
    this.fd = fd
    this.#closed = closed
    const source = { family: 4, address: clientAddress(fd), port: fd } as const
    this.#address = { source, vip: '', vport: 0, tls: undefined, place: -1, isForwarded: false, sessionKey: undefined }
    listener.connectionOpened(-1)
  }

  begin(began: Began, world: Pick<World, 'used'>): void {
    const request = new SimulatedRequest(began, this.listener.route, this.#address, world, () => this.#end(false))
    this.request = request
    if (!request.acquire()) this.#end(false)
  }

  /** The target answers; or the client has waited for too long. */
  answer(): void {
    this.#end(true)
  }

  #end(isAnswered: boolean): void {
    this.#finish(isAnswered)
    if (this.listener.draining) this.cut()
  }

  #finish(isAnswered: boolean): void {
    const { request } = this
    this.request = undefined
    request?.end(isAnswered)
  }

  /** Asked after a second of the system's own time, which means nothing here. */
  drain(): void {}

  onTargetRemoved(targetSlot: number): void {
    if (this.request?.target?.slot === targetSlot) this.#end(false)
  }

  cut(): void {
    this.#finish(false)
    this.listener.connectionClosed(-1)
    this.#closed(this)
  }
}
