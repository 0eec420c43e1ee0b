import type { Socket } from 'node:net'
import type { Redis } from 'ioredis'
import type { RedisConfig } from '../core/config.js'
import { COMMAND_MS, createRedisClient, type RedisClient } from './redis-clients.js'
import { ReplyFilter } from './reply-filter.js'

/** A sentinel is asked first, and perhaps a second one. */
const SENTINEL_TRIES = 2

/**
 * One try at the store, from connecting to the first fault; the next try has a link of its own, so that nothing of a
 * connection that hangs is left in the way of the one after it. Two connections, because a read that waits holds one.
 */
export class RedisLink {
  readonly writer: RedisClient
  readonly reader: RedisClient
  /** Rejects at the first fault that `fail` was told of. */
  readonly broken: Promise<never>
  readonly #connectMs: number
  #break: (cause: unknown) => void = () => {}
  /** What the clients reported last: it tells more than the commands that fail in consequence. */
  #fault: unknown

  constructor(config: RedisConfig, cluster: string) {
    this.writer = createRedisClient(config, `castor-${cluster}-writer`)
    this.reader = createRedisClient(config, `castor-${cluster}-reader`)
    this.#connectMs = COMMAND_MS * (config.type === 'sentinel' ? SENTINEL_TRIES : 1)
    this.broken = new Promise((_, reject) => {
      this.#break = reject
    })
    this.broken.catch(() => {})
    for (const client of [this.writer, this.reader]) this.#listen(client)
  }

  get isReady(): boolean {
    return this.writer.status === 'ready'
  }

  async connect(): Promise<void> {
    const both = Promise.all([this.writer.connect(), this.reader.connect()])
    await within(both, this.#connectMs)
  }

  /** A command was refused, or went unanswered: the link is of no more use. */
  fail(cause: unknown): void {
    this.#break(cause)
  }

  /** The cause behind an error: what the connection reported, where a command only says that there is none. */
  causeOf(error: unknown): unknown {
    const isReply = error instanceof Error && error.name === 'ReplyError'
    return isReply ? error : (this.#fault ?? error)
  }

  close(): void {
    this.writer.disconnect()
    this.reader.disconnect()
  }

  #listen(client: RedisClient): void {
    client.on('error', (cause: unknown) => {
      this.#fault = cause
      if ('stream' in client) muffle(client)
    })
    if (!('nodes' in client)) client.on('connect', () => filterReplies(client, client))
    else {
      client.on('+node', (node: Redis) => {
        node.on('error', () => muffle(node))
        node.on('connect', () => filterReplies(node, client))
      })
    }
  }
}

/**
 * The library has no limit to what it keeps of an answer, and no place where one could be set: so what comes from the
 * socket is filtered before the library's listeners are given it.
 */
function filterReplies({ stream }: Redis, client: RedisClient): void {
  const socket = stream as Socket
  const filter = new ReplyFilter()
  const push = socket.push
  socket.push = (chunk: Buffer | null, encoding?: BufferEncoding): boolean => {
    if (chunk === null) return push.call(socket, null, encoding)
    heardAtMs.set(client, performance.now())
    const seen = filter.next(chunk)
    if (seen === undefined) {
      socket.destroy(new Error('it answers with something that is not Redis’s protocol'))
      return false
    }
    return seen.length === 0 || push.call(socket, seen, encoding)
  }
}

/** The library hears a socket's first error only; TLS may have a second one, which would end the thread. */
function muffle({ stream }: Redis): void {
  stream?.on('error', () => {})
}

/** When bytes came last through a client's connections, by `performance.now`. */
const heardAtMs = new WeakMap<RedisClient, number>()
/** However long an answer is. */
const LONGEST_ANSWER_MS = 60_000

/**
 * Rejects when the answer takes too long; with `client`, when nothing comes for so long, since what is too long for this
 * host is read as well, and left out. The command itself cannot be taken back.
 */
export function within<T>(answer: Promise<T>, ms = COMMAND_MS, client?: RedisClient): Promise<T> {
  return new Promise((resolve, reject) => {
    const begunMs = performance.now()
    const look = (): void => {
      const nowMs = performance.now()
      const heardMs = client === undefined ? begunMs : Math.max(begunMs, heardAtMs.get(client) ?? 0)
      const restMs = Math.min(heardMs + ms, begunMs + LONGEST_ANSWER_MS) - nowMs
      if (restMs > 0) timer = setTimeout(look, restMs)
      else reject(new Error(`no answer within ${ms} ms`))
    }
    let timer = setTimeout(look, ms)
    answer.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
