import type { ServerResponse } from 'node:http'

export const MAX_STREAMS = 32
export const MAX_STREAMS_PER_SOURCE = 16
/** The head of a stream, whose connection ends with it. */
export const EVENT_STREAM = { 'Content-Type': 'text/event-stream; charset=utf-8', Connection: 'close' } as const
const INTERVAL_MS = 1000
/** A reader that has not taken this much is left out until it has. */
const MAX_BEHIND_BYTES = 256 * 1024
/** And one that has taken nothing for so many events in a row is cut. */
const MAX_SKIPPED = 30

interface Stream {
  readonly response: ServerResponse
  readonly source: string
  skipped: number
}

/**
 * Server-sent events: one status a second to everyone who listens, made once for all, and not at all while nobody does.
 */
export class EventStreams {
  readonly #render: () => string
  readonly #onError: (error: unknown) => void
  readonly #intervalMs: number
  readonly #streams = new Set<Stream>()
  #timer: NodeJS.Timeout | undefined

  /** `render` makes one event's data: a single line. Where it throws later, the streams are cut and `onError` is told. */
  constructor(render: () => string, onError: (error: unknown) => void, intervalMs = INTERVAL_MS) {
    this.#render = render
    this.#onError = onError
    this.#intervalMs = intervalMs
  }

  get size(): number {
    return this.#streams.size
  }

  /**
   * Takes the response over and sends a first event at once. Where there are too many streams, of all sources or of this
   * one, it sends nothing and says which.
   */
  add(response: ServerResponse, source: string): 'all' | 'source' | undefined {
    if (this.#streams.size >= MAX_STREAMS) return 'all'
    let own = 0
    for (const stream of this.#streams) if (stream.source === source) own++
    if (own >= MAX_STREAMS_PER_SOURCE) return 'source'
    const first = this.#render()
    const stream = { response, source, skipped: 0 }
    this.#streams.add(stream)
    response.on('close', () => this.#remove(stream))
    response.on('error', () => this.#remove(stream))
    response.writeHead(200, EVENT_STREAM)
    response.write(`retry: 2000\n\ndata: ${first}\n\n`)
    this.#timer ??= setInterval(() => this.#tick(), this.#intervalMs)
    return undefined
  }

  /** Ends every stream. Resolves when the clients' systems have the last of it, or they are gone. Idempotent. */
  async close(): Promise<void> {
    const streams = [...this.#streams]
    this.#streams.clear()
    this.#stop()
    const over = ({ response }: Stream): Promise<void> =>
      new Promise((resolve) => {
        response.once('close', resolve)
        response.end(resolve)
      })
    await Promise.all(streams.map(over))
  }

  #tick(): void {
    try {
      this.#send(`data: ${this.#render()}\n\n`)
    } catch (error) {
      for (const { response } of this.#streams) response.destroy()
      this.#onError(error)
    }
  }

  #send(event: string): void {
    for (const stream of this.#streams) {
      if (stream.response.writableLength <= MAX_BEHIND_BYTES) {
        stream.skipped = 0
        stream.response.write(event)
      } else if (++stream.skipped > MAX_SKIPPED) {
        stream.response.destroy()
      }
    }
  }

  #remove(stream: Stream): void {
    this.#streams.delete(stream)
    if (this.#streams.size === 0) this.#stop()
  }

  #stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
