import type { Socket } from 'node:net'

/** The stream ended, or failed, before what was asked for had come. */
export class CutShort extends Error {
  /** What had come of it. */
  readonly got: Buffer

  constructor(got: Buffer, cause: Error | undefined) {
    super(`cut short after ${got.length} bytes${cause === undefined ? '' : `: ${cause.message}`}`, { cause })
    this.got = got
  }
}

/** Reads a socket in pieces of the reader's own choice, in the order of its calls. */
export class ByteReader {
  /** Everything that has come so far, read or not. */
  total = 0
  ended = false
  failure: Error | undefined
  #parts: Buffer[] = []
  #size = 0
  #wake: () => void = () => {}

  constructor(socket: Socket) {
    socket.on('data', (data: Buffer) => {
      this.#parts.push(data)
      this.#size += data.length
      this.total += data.length
      this.#wake()
    })
    socket.on('error', (error) => {
      this.failure = error
      this.#wake()
    })
    const end = (): void => {
      this.ended = true
      this.#wake()
    }
    socket.on('end', end)
    socket.on('close', end)
  }

  /** Bytes that nobody has taken yet. */
  get waiting(): number {
    return this.#size
  }

  /** Whether the text is among the bytes that nobody has taken yet. */
  has(text: string): boolean {
    return this.#all().includes(text, 0, 'latin1')
  }

  /** Up to the next CRLF, without it. */
  async line(): Promise<string> {
    for (;;) {
      const all = this.#all()
      const end = all.indexOf('\r\n')
      if (end >= 0) {
        const text = all.toString('latin1', 0, end)
        this.#put(all.subarray(end + 2))
        return text
      }
      await this.#more()
    }
  }

  async bytes(count: number): Promise<Buffer> {
    while (this.#size < count) await this.#more()
    const all = this.#all()
    this.#put(all.subarray(count))
    return all.subarray(0, count)
  }

  /** All that comes until the peer ends its side; rejects where the connection breaks instead. */
  async rest(): Promise<Buffer> {
    while (!this.ended && this.failure === undefined) await this.#wait()
    const all = this.#all()
    this.#put(Buffer.alloc(0))
    if (this.failure !== undefined) throw new CutShort(all, this.failure)
    return all
  }

  /** True when something is there to be read; false when the stream has ended. */
  async more(): Promise<boolean> {
    while (this.#size === 0 && !this.ended && this.failure === undefined) await this.#wait()
    return this.#size > 0
  }

  async #more(): Promise<void> {
    if (this.ended || this.failure !== undefined) throw new CutShort(this.#all(), this.failure)
    await this.#wait()
  }

  #wait(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }

  #all(): Buffer {
    if (this.#parts.length > 1) this.#parts = [Buffer.concat(this.#parts)]
    return this.#parts[0] ?? Buffer.alloc(0)
  }

  #put(rest: Buffer): void {
    this.#parts = rest.length === 0 ? [] : [rest]
    this.#size = rest.length
  }
}
