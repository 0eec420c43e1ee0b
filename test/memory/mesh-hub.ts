import type { MeshTransport, MeshTransportEvents } from '../../src/core/mesh.js'

/** What the imitated network does to a frame on its way; all of it may be changed while it runs. */
export interface HubBehaviour {
  /** Milliseconds that a frame is on its way. */
  delayMs: () => number
  /** Whether it is lost, and whether it comes a second time. */
  loses: () => boolean
  doubles: () => boolean
}

interface InFlight {
  readonly atMs: number
  readonly order: number
  readonly act: () => void
}

/**
 * A store and its network in memory, for tests and simulations: time passes only through `advanceTo`, and frames arrive
 * after their delay, in the order of arrival.
 */
export class MemoryHub {
  readonly #behaviour: HubBehaviour
  readonly #kept = new Map<string, { readonly frame: Uint8Array; readonly untilMs: number }>()
  readonly #links = new Set<MemoryMeshTransport>()
  readonly #inFlight: InFlight[] = []
  #order = 0
  nowMs = 0
  /** Whether somebody has filled the store since it last lost everything. */
  #known = false
  /** Frames carried to a host, kept frames included. */
  delivered = 0
  /** Frames that hosts handed over, to be published or kept. */
  accepted = 0

  constructor(behaviour: HubBehaviour) {
    this.#behaviour = behaviour
  }

  transport(): MeshTransport & { cut(): void; mend(): void } {
    return new MemoryMeshTransport(this)
  }

  /** The store restarts with nothing in it; every host is cut off and has to be mended. */
  loseEverything(): void {
    this.#kept.clear()
    this.#known = false
    for (const link of this.#links) link.cut()
  }

  /** Lets time pass; what is due by then happens, in order. */
  advanceTo(nowMs: number): void {
    for (;;) {
      const next = this.#inFlight[0]
      if (next === undefined || next.atMs > nowMs) break
      this.#take()
      this.nowMs = next.atMs
      next.act()
    }
    this.nowMs = nowMs
  }

  join(link: MemoryMeshTransport): void {
    this.#links.add(link)
    const empty = !this.#known
    this.#known = true
    this.later(() => {
      for (const [key, { frame, untilMs }] of this.#kept) {
        if (untilMs <= this.nowMs) this.#kept.delete(key)
        else this.#deliver(link, frame, true)
      }
      link.events?.onUp(empty)
    })
  }

  leave(link: MemoryMeshTransport): void {
    this.#links.delete(link)
  }

  publish(frame: Uint8Array): void {
    this.accepted++
    for (const link of this.#links) {
      if (this.#behaviour.loses()) {
        // A reader that finds a gap in the stream takes the snapshot again.
        this.join(link)
        continue
      }
      this.later(() => this.#deliver(link, frame, false))
      if (this.#behaviour.doubles()) this.later(() => this.#deliver(link, frame, false))
    }
  }

  save(key: string, frame: Uint8Array, ttlMs: number): void {
    this.accepted++
    this.#kept.set(key, { frame, untilMs: ttlMs === 0 ? Number.POSITIVE_INFINITY : this.nowMs + ttlMs })
  }

  /** After one delay of the network. */
  later(act: () => void): void {
    this.#push({ atMs: this.#arrivalMs(), order: this.#order++, act })
  }

  /** The same, and not before `notBeforeMs`. Returns when. */
  laterThan(notBeforeMs: number, act: () => void): number {
    const atMs = Math.max(notBeforeMs, this.#arrivalMs())
    this.#push({ atMs, order: this.#order++, act })
    return atMs
  }

  #arrivalMs(): number {
    return this.nowMs + this.#behaviour.delayMs()
  }

  #deliver(link: MemoryMeshTransport, frame: Uint8Array, isKept: boolean): void {
    if (!this.#links.has(link)) return
    this.delivered++
    link.events?.onFrame(frame, isKept)
  }

  /** A binary heap by time of arrival: simulations have many thousand frames on their way. */
  #push(item: InFlight): void {
    const heap = this.#inFlight
    let at = heap.push(item) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!isBefore(item, heap[parent]!)) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = item
  }

  #take(): void {
    const heap = this.#inFlight
    const last = heap.pop()!
    if (heap.length === 0) return
    let at = 0
    for (;;) {
      let child = at * 2 + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++
      if (!isBefore(heap[child]!, last)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = last
  }
}

function isBefore(a: InFlight, b: InFlight): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}

/** One host's connection to the hub. */
class MemoryMeshTransport implements MeshTransport {
  events: MeshTransportEvents | undefined
  readonly #hub: MemoryHub
  #connected = false
  #lastMs = 0
  pending = 0

  constructor(hub: MemoryHub) {
    this.#hub = hub
  }

  open(events: MeshTransportEvents): void {
    this.events = events
    this.mend()
  }

  publish(frame: Uint8Array, done: (ok: boolean) => void): void {
    this.#send(done, () => this.#hub.publish(frame))
  }

  save(key: string, frame: Uint8Array, ttlMs: number, done: (ok: boolean) => void): void {
    this.#send(done, () => this.#hub.save(key, frame, ttlMs))
  }

  /** The network between this host and the store is gone. */
  cut(): void {
    if (!this.#connected) return
    this.#connected = false
    this.#hub.leave(this)
    this.events?.onDown('cut off')
  }

  /** The network is back. */
  mend(): void {
    if (this.#connected) return
    this.#connected = true
    this.#hub.join(this)
  }

  async close(): Promise<void> {
    this.#connected = false
    this.#hub.leave(this)
    this.events = undefined
  }

  #send(done: (ok: boolean) => void, act: () => void): void {
    if (!this.#connected) {
      done(false)
      return
    }
    this.pending++
    // What one host sends goes through one connection: it is not overtaken by what it sends next.
    this.#lastMs = this.#hub.laterThan(this.#lastMs, () => {
      this.pending--
      if (this.#connected) act()
      done(this.#connected)
    })
  }
}
