import { randomUUID } from 'node:crypto'
import type { Redis } from 'ioredis'
import type { RedisConfig } from '../core/config.js'
import type { MeshTransport, MeshTransportEvents } from '../core/mesh.js'
import { COMMAND_MS, type RedisClient, reconnectMs } from './redis-clients.js'
import { RedisLink, within } from './redis-link.js'
import { evictionPolicyOf } from './redis-policy.js'
import { isRefusal, reasonOf } from './redis-reasons.js'
import { tryRights } from './redis-rights.js'
import { followStream, type StreamPosition, tailOf, whetherFollows } from './redis-stream.js'

/** The stream's length, about: what a host can miss and still go on where it was. */
const STREAM_FRAMES = 10_000
/** Commands on their way; beyond that Redis is too slow to be waited for. */
const MAX_PENDING = 10_000
const SCAN_COUNT = 500
/** Values asked for at once: as long as they may be, they must have room in memory. */
const KEPT_COUNT = 128
const MAX_KEY_BYTES = 1_000
const PROBE_MS = 1_000
/** How many of these lie between two looks at how the server deals with full memory. */
const PROBES_A_POLICY = 30
/** A link that stood for so long was a good one: the next try after its end is the first. */
const STEADY_MS = 10_000

/**
 * The mesh over Redis: one stream that everybody reads, and one key for each thing that is kept. The keys lie in one
 * slot of a Redis Cluster, because their common part is in braces.
 */
export class RedisTransport implements MeshTransport {
  pending = 0
  readonly #config: RedisConfig
  readonly #cluster: string
  readonly #prefix: string
  readonly #onPolicy: (policy: string) => void
  readonly #position: StreamPosition = { id: undefined }
  #link: RedisLink | undefined
  #events: MeshTransportEvents | undefined
  /** The store's name for itself: another one means that it has lost what it kept. */
  #epoch: string | undefined
  #closed = false
  #wake: () => void = () => {}

  /** `onPolicy` is told now and then by which policy the server throws away what is kept; empty where it does not. */
  constructor(config: RedisConfig, cluster: string, onPolicy: (policy: string) => void = () => {}) {
    this.#config = config
    this.#onPolicy = onPolicy
    this.#cluster = cluster
    this.#prefix = `castor:{${cluster}}`
  }

  open(events: MeshTransportEvents): void {
    this.#events = events
    void this.#run()
  }

  publish(frame: Uint8Array, done: (ok: boolean) => void): void {
    this.#write(done, ({ writer }) =>
      writer.xadd(`${this.#prefix}:stream`, 'MAXLEN', '~', STREAM_FRAMES, '*', 'f', Buffer.from(frame)),
    )
  }

  save(key: string, frame: Uint8Array, ttlMs: number, done: (ok: boolean) => void): void {
    const name = `${this.#prefix}:k:${key}`
    const value = Buffer.from(frame)
    this.#write(done, ({ writer }) =>
      ttlMs === 0 ? writer.set(name, value) : writer.set(name, value, 'PX', Math.ceil(ttlMs)),
    )
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#events = undefined
    this.#wake()
    this.#link?.close()
  }

  #write(done: (ok: boolean) => void, command: (link: RedisLink) => Promise<unknown>): void {
    const link = this.#link
    if (this.#closed || this.pending >= MAX_PENDING || link === undefined || !link.isReady) {
      done(false)
      return
    }
    this.pending++
    command(link).then(
      () => {
        this.pending--
        done(true)
      },
      (cause) => {
        this.pending--
        // A server that refuses one write, being full or not allowing it, refuses the next: that is no link.
        link.fail(cause)
        done(false)
      },
    )
  }

  /** Connects, catches up, follows; and again after each break, until it is closed. */
  async #run(): Promise<void> {
    for (let tries = 0; !this.#closed; tries++) {
      let link: RedisLink | undefined
      let upSinceMs = Number.POSITIVE_INFINITY
      let isRefused = false
      try {
        link = new RedisLink(this.#config, this.#cluster)
        this.#link = link
        await link.connect()
        await tryRights(link, this.#prefix)
        const empty = await this.#catchUp(link)
        upSinceMs = performance.now()
        this.#events?.onUp(empty)
        await Promise.race([this.#follow(link), this.#probe(link), link.broken])
      } catch (error) {
        const cause = link === undefined ? error : link.causeOf(error)
        isRefused = isRefusal(cause)
        this.#events?.onDown(reasonOf(cause))
      }
      link?.close()
      // One that breaks soon after each start is not to be asked without a pause.
      if (performance.now() - upSinceMs >= STEADY_MS) tries = 0
      if (!this.#closed) await this.#pause(reconnectMs(tries, isRefused))
    }
  }

  /** Delivers what is kept, unless the stream still has all that came since. Returns whether the store forgot everything. */
  async #catchUp(link: RedisLink): Promise<boolean> {
    const { writer } = link
    const epochKey = `${this.#prefix}:epoch`
    const made = await within(writer.set(epochKey, randomUUID(), 'NX'))
    const epoch = await within(writer.get(epochKey))
    const empty = made !== null || (this.#epoch !== undefined && this.#epoch !== epoch)
    const stream = `${this.#prefix}:stream`
    if (empty || !(await whetherFollows(writer, stream, this.#position))) await this.#joinAnew(link)
    // Only now: a try that broke off before must not make the next one think that nothing was lost.
    this.#epoch = epoch ?? undefined
    return empty
  }

  async #joinAnew(link: RedisLink): Promise<void> {
    // The end first: what is added while the keys are read comes by the stream as well. Kept only when all is read.
    this.#position.id = undefined
    const tail = await tailOf(link.writer, `${this.#prefix}:stream`)
    for (const node of nodesOf(link.reader)) await this.#readKept(link, node)
    this.#position.id = tail
  }

  async #readKept(link: RedisLink, node: Redis): Promise<void> {
    let cursor = '0'
    do {
      const [next, keys] = await within(node.scan(cursor, 'MATCH', `${this.#prefix}:k:*`, 'COUNT', SCAN_COUNT))
      cursor = next
      const names = keys.filter((key) => key.length > 0 && key.length <= MAX_KEY_BYTES)
      for (let at = 0; at < names.length; at += KEPT_COUNT) {
        const frames = await within(node.mgetBuffer(names.slice(at, at + KEPT_COUNT)), COMMAND_MS, link.reader)
        for (const frame of frames) if (frame !== null) this.#events?.onFrame(frame, true)
      }
    } while (cursor !== '0')
  }

  async #follow(link: RedisLink): Promise<never> {
    for (;;) {
      const frames = await followStream(link.reader, `${this.#prefix}:stream`, this.#position)
      for (const frame of frames) this.#events?.onFrame(frame, false)
      if (this.#position.id === undefined) await this.#joinAnew(link)
    }
  }

  /** A server that hangs closes no connection: only an answer that does not come tells. */
  async #probe(link: RedisLink): Promise<never> {
    for (let probes = 0; ; probes++) {
      if (probes % PROBES_A_POLICY === 0) {
        const policies: string[] = []
        // By the writer: the reader's answers come when there is news.
        for (const node of nodesOf(link.writer)) policies.push(await evictionPolicyOf(node))
        this.#onPolicy(policies.find((policy) => policy !== '') ?? '')
      }
      await this.#pause(PROBE_MS)
      if (this.#closed) throw new Error('closed')
      await within(link.writer.ping())
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

function nodesOf(client: RedisClient): readonly Redis[] {
  return 'nodes' in client ? client.nodes('master') : [client]
}
