import type { Endpoint } from '../../../src/core/conn.js'
import type { GroupEntry, ListenerEntry, SeriesEntry } from '../../../src/core/snapshot.js'
import type { Listener } from '../../../src/proxy/listener.js'
import type { Route } from '../../../src/proxy/route.js'
import type { Target } from '../../../src/proxy/target.js'
import type { Drainable } from '../../../src/proxy/worker-context.js'

const NOBODY: Endpoint = { family: 4, address: '192.0.2.1', port: 1 }

/** What a request goes by, as the snapshot says that was in force when it began. */
export interface Began {
  readonly listener: ListenerEntry
  readonly group: GroupEntry | undefined
  readonly series: SeriesEntry
}

export interface SimulatedRequest extends Began {
  readonly route: Route
  readonly target: Target | undefined
}

/** A client's connection in a simulated thread, with one request at a time: it counts as those of the product do. */
export class SimulatedClient implements Drainable {
  readonly listener: Listener
  /** Which of the slot's holders the listener is. */
  readonly entry: ListenerEntry
  request: SimulatedRequest | undefined
  readonly fd: number
  readonly #closed: (client: SimulatedClient) => void

  constructor(listener: Listener, entry: ListenerEntry, fd: number, closed: (client: SimulatedClient) => void) {
    this.listener = listener
    this.entry = entry
    this.fd = fd
    this.#closed = closed
    listener.connectionOpened()
  }

  begin(began: Began): void {
    const { route } = this.listener
    const target = route.group.pick(NOBODY, -1, [])
    target?.begin()
    target?.connectionOpened()
    this.request = { ...began, route, target }
  }

  end(): void {
    this.#finish()
    if (this.listener.draining) this.cut()
  }

  #finish(): void {
    const { request } = this
    if (request === undefined) return
    this.request = undefined
    request.target?.finish()
    request.target?.connectionClosed()
    request.route.countRequest(200, 1)
  }

  /** Asked after a second of the system's own time, which means nothing here. */
  drain(): void {}

  onTargetRemoved(targetSlot: number): void {
    if (this.request?.target?.slot === targetSlot) this.end()
  }

  cut(): void {
    this.#finish()
    this.listener.connectionClosed()
    this.#closed(this)
  }
}
