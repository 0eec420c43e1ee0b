import type { MeshTransport, MeshTransportEvents } from '../../../src/core/mesh.js'

/** The store's stream, and one answer of it, in miniature: what falls out of the first is missed, as it may be in Redis. */
const STREAM_FRAMES = 60
const READ_COUNT = 12
const KEPT_COUNT = 8
/** Ids grow with the store's clock, as Redis makes them; so many fit a millisecond. */
const IDS_A_MS = 1_000
/** What a replica that takes over may lack: see FAILOVER_LOSS_MS in the replica. */
const MAX_LOSS_MS = 4_500

interface StreamEntry {
  readonly id: number
  readonly frame: Uint8Array
}

interface Kept {
  readonly frame: Uint8Array
  readonly untilMs: number
}

interface Undo {
  readonly atMs: number
  readonly act: () => void
}

/** A Redis: one stream that everybody reads, and what is kept by key. It is lost, or a replica takes over, as the simulation says. */
export class SimulatedRedis {
  nowMs = 0
  /** Its name for itself; undefined until somebody gives it one. */
  epoch: number | undefined
  readonly links = new Set<SimulatedLink>()
  readonly kept = new Map<string, Kept>()
  #stream: StreamEntry[] = []
  #lastId = 0
  #lastEpoch = 0
  #undo: Undo[] = []

  link(): SimulatedLink {
    return new SimulatedLink(this)
  }

  /** Time has passed. */
  pass(ms: number): void {
    this.nowMs += ms
    this.#undo = this.#undo.filter(({ atMs }) => atMs >= this.nowMs - MAX_LOSS_MS)
    for (const [key, { untilMs }] of this.kept) if (untilMs <= this.nowMs) this.kept.delete(key)
  }

  /** It ends, and another one starts with nothing in it. */
  lose(how: number): void {
    this.#cutAll(how)
    this.#stream = []
    this.kept.clear()
    this.epoch = undefined
    this.#undo = []
  }

  /** A replica takes over that lacks the newest. */
  failOver(how: number): void {
    this.#cutAll(how)
    const sinceMs = this.nowMs - (how % MAX_LOSS_MS)
    while (this.#undo.length > 0 && this.#undo.at(-1)!.atMs >= sinceMs) this.#undo.pop()!.act()
    // Its clock goes on: no id is given out twice.
    this.#lastId = Math.max(this.#lastId, this.nowMs * IDS_A_MS)
  }

  /** Gives it a name unless it has one; returns whether it had none. */
  nameIt(): boolean {
    if (this.epoch !== undefined) return false
    this.epoch = ++this.#lastEpoch
    return true
  }

  publish(frame: Uint8Array): void {
    this.#lastId = Math.max(this.#lastId + 1, this.nowMs * IDS_A_MS)
    this.#stream.push({ id: this.#lastId, frame })
    const trimmed = this.#stream.length > STREAM_FRAMES ? this.#stream.shift() : undefined
    this.#note(() => {
      this.#stream.pop()
      if (trimmed !== undefined) this.#stream.unshift(trimmed)
    })
  }

  save(key: string, frame: Uint8Array, ttlMs: number): void {
    const before = this.kept.get(key)
    this.kept.set(key, { frame, untilMs: ttlMs === 0 ? Number.POSITIVE_INFINITY : this.nowMs + Math.ceil(ttlMs) })
    this.#note(() => {
      if (before === undefined) this.kept.delete(key)
      else this.kept.set(key, before)
    })
  }

  get tail(): number {
    return this.#stream.at(-1)?.id ?? 0
  }

  get first(): number | undefined {
    return this.#stream[0]?.id
  }

  after(id: number): readonly StreamEntry[] {
    const from = this.#stream.findIndex((entry) => entry.id > id)
    return from < 0 ? [] : this.#stream.slice(from, from + READ_COUNT)
  }

  #cutAll(how: number): void {
    for (const link of this.links) link.cut(how)
  }

  #note(act: () => void): void {
    this.#undo.push({ atMs: this.nowMs, act })
  }
}

interface Write {
  readonly run: () => void
  readonly done: (ok: boolean) => void
}

type State =
  | { readonly type: 'down' }
  /** What is kept is being read. `isFirst`: nobody has been told that the link is up. */
  | {
      readonly type: 'joining'
      readonly keys: string[]
      readonly tail: number
      readonly empty: boolean
      readonly isFirst: boolean
    }
  | { readonly type: 'up' }

/**
 * One host's connection to the store, which does what the product's does, in the same order: it goes on where it was in
 * the stream while nothing after that was trimmed, and else reads what is kept. Writes are executed in the order in which
 * they were made; of those under way when the connection breaks some are executed, and nobody is told which.
 */
export class SimulatedLink implements MeshTransport {
  readonly #redis: SimulatedRedis
  #events: MeshTransportEvents | undefined
  #state: State = { type: 'down' }
  #position: number | undefined
  #epoch: number | undefined
  #sent: Write[] = []
  #answered: Write[] = []
  /** How often it lost its place in the stream, or the connection. */
  breaks = 0

  constructor(redis: SimulatedRedis) {
    this.#redis = redis
    redis.links.add(this)
  }

  get pending(): number {
    return this.#sent.length + this.#answered.length
  }

  get isUp(): boolean {
    return this.#state.type === 'up'
  }

  open(events: MeshTransportEvents): void {
    this.#events = events
  }

  publish(frame: Uint8Array, done: (ok: boolean) => void): void {
    this.#write(() => this.#redis.publish(frame), done)
  }

  save(key: string, frame: Uint8Array, ttlMs: number, done: (ok: boolean) => void): void {
    this.#write(() => this.#redis.save(key, frame, ttlMs), done)
  }

  async close(): Promise<void> {
    this.die(0)
  }

  /** The process at this end is gone. */
  die(how: number): void {
    this.#redis.links.delete(this)
    this.#events = undefined
    this.#runSome(how)
    this.#state = { type: 'down' }
  }

  connect(): void {
    if (this.#state.type !== 'down' || this.#events === undefined) return
    const made = this.#redis.nameIt()
    const empty = made || (this.#epoch !== undefined && this.#epoch !== this.#redis.epoch)
    if (empty || !this.#follows()) this.#join(empty, true)
    else this.#up(empty)
  }

  cut(how: number): void {
    if (this.#state.type === 'down') return
    this.breaks++
    this.#runSome(how)
    const lost = [...this.#answered, ...this.#sent]
    this.#answered = []
    this.#sent = []
    this.#state = { type: 'down' }
    if (how % 2 === 0) this.#events?.onDown('cut')
    for (const { done } of lost) done(false)
    if (how % 2 === 1) this.#events?.onDown('cut')
  }

  /** So many writes reach the store, and as many answers come back. */
  carry(writes: number, answers: number): void {
    if (this.#state.type === 'down') return
    for (const { done } of this.#answered.splice(0, answers)) done(true)
    const executed = this.#sent.splice(0, writes)
    for (const { run } of executed) run()
    this.#answered.push(...executed)
  }

  /** The next answer of the store to the reader. */
  read(): void {
    const state = this.#state
    if (state.type === 'joining') this.#readKept(state)
    else if (state.type === 'up') this.#follow()
  }

  get hasReadAll(): boolean {
    return this.#state.type === 'up' && this.#position! >= this.#redis.tail
  }

  /** Nothing is under way in either direction. */
  get isQuiet(): boolean {
    return this.hasReadAll && this.pending === 0
  }

  #write(run: () => void, done: (ok: boolean) => void): void {
    if (this.#state.type === 'down') done(false)
    else this.#sent.push({ run, done })
  }

  /** Of what is under way the first few arrive. */
  #runSome(how: number): void {
    for (const write of this.#sent.slice(0, how % (this.#sent.length + 1))) {
      write.run()
    }
  }

  #follows(): boolean {
    const { tail, first } = this.#redis
    if (this.#position === undefined || this.#position > tail) return false
    return first === undefined ? this.#position === 0 : first <= this.#position
  }

  /** The end first: what is added while the keys are read comes by the stream as well. */
  #join(empty: boolean, isFirst: boolean): void {
    this.#position = undefined
    this.#state = { type: 'joining', keys: [...this.#redis.kept.keys()], tail: this.#redis.tail, empty, isFirst }
  }

  #readKept({ keys, tail, empty, isFirst }: Extract<State, { type: 'joining' }>): void {
    for (const key of keys.splice(0, KEPT_COUNT)) {
      const kept = this.#redis.kept.get(key)
      if (kept !== undefined) this.#events?.onFrame(kept.frame, true)
    }
    if (keys.length > 0) return
    this.#position = tail
    if (isFirst) this.#up(empty)
    else this.#state = { type: 'up' }
  }

  #up(empty: boolean): void {
    this.#epoch = this.#redis.epoch
    this.#state = { type: 'up' }
    this.#events?.onUp(empty)
  }

  #follow(): void {
    const before = this.#position!
    const entries = this.#redis.after(before)
    for (const { id, frame } of entries) {
      this.#position = id
      this.#events?.onFrame(frame, false)
    }
    const { first } = this.#redis
    if (entries.length < READ_COUNT || first === undefined || first <= before) return
    this.breaks++
    this.#join(false, false)
  }
}
