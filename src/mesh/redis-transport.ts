import { randomUUID } from 'node:crypto'
import type { Redis } from 'ioredis'
import type { RedisConfig } from '../core/config.js'
import type { MeshTransport, MeshTransportEvents } from '../core/mesh.js'
import { COMMAND_MS, createRedisClient, type RedisClient, reconnectMs } from './redis-clients.js'
import { followStream, type StreamPosition, tailOf, whetherFollows } from './redis-stream.js'

/** The stream's length, about: what a host can miss and still go on where it was. */
const STREAM_FRAMES = 10_000
/** Commands on their way; beyond that Redis is too slow to be waited for. */
const MAX_PENDING = 10_000
const SCAN_COUNT = 500
const PROBE_MS = 1_000

/**
 * The mesh over Redis: one stream that everybody reads, and one key for each thing that is kept. The keys lie in one
 * slot of a Redis Cluster, because their common part is in braces.
 */
export class RedisTransport implements MeshTransport {
  pending = 0
  readonly #prefix: string
  readonly #writer: RedisClient
  readonly #reader: RedisClient
  readonly #position: StreamPosition = { id: undefined }
  #events: MeshTransportEvents | undefined
  /** The store's name for itself: another one means that it has lost what it kept. */
  #epoch: string | undefined
  #closed = false
  #wake: () => void = () => {}

  constructor(config: RedisConfig, cluster: string) {
    this.#prefix = `castor:{${cluster}}`
    this.#writer = createRedisClient(config, `castor-${cluster}-writer`)
    this.#reader = createRedisClient(config, `castor-${cluster}-reader`)
    // Every failed command and every lost connection says so where it matters; without a listener it would be fatal.
    this.#writer.on('error', () => {})
    this.#reader.on('error', () => {})
  }

  open(events: MeshTransportEvents): void {
    this.#events = events
    void this.#run()
  }

  publish(frame: Uint8Array, done: (ok: boolean) => void): void {
    this.#write(done, () =>
      this.#writer.xadd(`${this.#prefix}:stream`, 'MAXLEN', '~', STREAM_FRAMES, '*', 'f', Buffer.from(frame)),
    )
  }

  save(key: string, frame: Uint8Array, ttlMs: number, done: (ok: boolean) => void): void {
    const name = `${this.#prefix}:k:${key}`
    const value = Buffer.from(frame)
    this.#write(done, () =>
      ttlMs === 0 ? this.#writer.set(name, value) : this.#writer.set(name, value, 'PX', Math.ceil(ttlMs)),
    )
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#events = undefined
    this.#wake()
    this.#writer.disconnect()
    this.#reader.disconnect()
  }

  #write(done: (ok: boolean) => void, command: () => Promise<unknown>): void {
    if (this.#closed || this.pending >= MAX_PENDING || this.#writer.status !== 'ready') {
      done(false)
      return
    }
    this.pending++
    command().then(
      () => {
        this.pending--
        done(true)
      },
      () => {
        this.pending--
        done(false)
      },
    )
  }

  /** Connects, catches up, follows; and again after each break, until it is closed. */
  async #run(): Promise<void> {
    for (let tries = 0; !this.#closed; tries++) {
      try {
        await Promise.all([connect(this.#writer), connect(this.#reader)])
        const empty = await this.#catchUp()
        tries = 0
        this.#events?.onUp(empty)
        await Promise.race([this.#follow(), this.#probe()])
      } catch (cause) {
        this.#events?.onDown(reasonOf(cause))
      }
      this.#writer.disconnect()
      this.#reader.disconnect()
      if (!this.#closed) await this.#pause(reconnectMs(tries))
    }
  }

  /** Delivers what is kept, unless the stream still has all that came since. Returns whether the store forgot everything. */
  async #catchUp(): Promise<boolean> {
    const epochKey = `${this.#prefix}:epoch`
    const made = await within(this.#writer.set(epochKey, randomUUID(), 'NX'))
    const epoch = await within(this.#writer.get(epochKey))
    const empty = made !== null || (this.#epoch !== undefined && this.#epoch !== epoch)
    this.#epoch = epoch ?? undefined
    const stream = `${this.#prefix}:stream`
    if (!empty && (await whetherFollows(this.#writer, stream, this.#position))) return false
    // The end first: what is added while the keys are read comes by the stream as well.
    this.#position.id = await tailOf(this.#writer, stream)
    for (const node of this.#nodes()) await this.#readKept(node)
    return empty
  }

  async #readKept(node: Redis): Promise<void> {
    let cursor = '0'
    do {
      const [next, keys] = await within(node.scan(cursor, 'MATCH', `${this.#prefix}:k:*`, 'COUNT', SCAN_COUNT))
      cursor = next
      if (keys.length > 0) {
        for (const frame of await within(node.mgetBuffer(keys))) if (frame !== null) this.#events?.onFrame(frame)
      }
    } while (cursor !== '0')
  }

  #nodes(): readonly Redis[] {
    return 'nodes' in this.#reader ? this.#reader.nodes('master') : [this.#reader]
  }

  async #follow(): Promise<never> {
    for (;;) {
      const frames = await followStream(this.#reader, `${this.#prefix}:stream`, this.#position)
      for (const frame of frames) this.#events?.onFrame(frame)
    }
  }

  /** A server that hangs closes no connection: only an answer that does not come tells. */
  async #probe(): Promise<never> {
    for (;;) {
      await this.#pause(PROBE_MS)
      if (this.#closed) throw new Error('closed')
      await within(this.#writer.ping())
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}

async function connect(client: RedisClient): Promise<void> {
  if (client.status !== 'ready') await within(client.connect(), COMMAND_MS * 2)
}

/** Rejects when the answer takes too long. The command itself cannot be taken back. */
function within<T>(answer: Promise<T>, ms = COMMAND_MS): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer from Redis within ${ms} ms`)), ms)
    answer.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
