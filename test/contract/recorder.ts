import type { Conn, ConnHandler } from '../../src/core/conn.js'
import type { CastorError } from '../../src/core/errors.js'

/** What may be done when something happens, beside writing it down. */
export interface Reactions {
  open?(conn: Conn): void
  data?(conn: Conn, buffer: Uint8Array, length: number): void
  end?(conn: Conn): void
  writable?(conn: Conn): void
  close?(conn: Conn): void
}

/** Writes down what happens to one connection, and lets a test wait for it. */
export class Recorder implements ConnHandler {
  /** In order: `open`, `data` (once for any number in a row), `end`, `writable`, `close`, `close CODE`. */
  readonly log: string[] = []
  /** Lengths of what came at once. */
  readonly reads: number[] = []
  bytes = 0
  cause: CastorError | undefined
  readonly #chunks: Buffer[] = []
  readonly #reactions: Reactions
  readonly #waiting = new Set<() => void>()

  constructor(reactions: Reactions = {}) {
    this.#reactions = reactions
  }

  get received(): Buffer {
    return Buffer.concat(this.#chunks)
  }

  get closed(): boolean {
    return this.count('close') > 0
  }

  /** How often something happened; `close` with any cause or none. */
  count(what: string): number {
    return this.log.filter((entry) => entry.split(' ')[0] === what).length
  }

  /** Resolves as soon as `holds()` does; looked at whenever something happens. */
  until(holds: () => boolean): Promise<void> {
    if (holds()) return Promise.resolve()
    return new Promise((resolve) => {
      const look = (): void => {
        if (!holds()) return
        this.#waiting.delete(look)
        resolve()
      }
      this.#waiting.add(look)
    })
  }

  untilBytes(bytes: number): Promise<void> {
    return this.until(() => this.bytes >= bytes)
  }

  untilLogged(what: string): Promise<void> {
    return this.until(() => this.count(what) > 0)
  }

  onOpen(conn: Conn): void {
    this.#note('open')
    this.#reactions.open?.(conn)
    this.#tell()
  }

  onData(conn: Conn, buffer: Uint8Array, length: number): void {
    if (this.log.at(-1) !== 'data') this.#note('data')
    // Borrowed: it must be copied to be kept.
    this.#chunks.push(Buffer.from(buffer.subarray(0, length)))
    this.reads.push(length)
    this.bytes += length
    this.#reactions.data?.(conn, buffer, length)
    this.#tell()
  }

  onEnd(conn: Conn): void {
    this.#note('end')
    this.#reactions.end?.(conn)
    this.#tell()
  }

  onWritable(conn: Conn): void {
    this.#note('writable')
    this.#reactions.writable?.(conn)
    this.#tell()
  }

  onClose(conn: Conn, cause?: CastorError): void {
    this.cause = cause
    this.#note(cause === undefined ? 'close' : `close ${cause.code}`)
    this.#reactions.close?.(conn)
    this.#tell()
  }

  #note(what: string): void {
    this.log.push(what)
  }

  #tell(): void {
    for (const look of [...this.#waiting]) look()
  }
}

/** As much of the pattern as anybody has asked for yet: to make it takes longer than most tests. */
let made = Buffer.alloc(0)

/** Bytes of which no stretch looks like another near it, so that a lost, doubled or displaced one shows. */
export function pattern(length: number, from = 0): Buffer {
  const end = from + length
  if (made.length < end) {
    const more = Buffer.allocUnsafeSlow(Math.max(end, 2 * made.length))
    made.copy(more)
    for (let at = made.length; at < more.length; at++) more[at] = (at * 151 + (at >>> 8) * 61 + (at >>> 16) * 7) & 0xff
    made = more
  }
  return Buffer.from(made.subarray(from, end))
}
