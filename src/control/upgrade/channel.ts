import { once } from 'node:events'
import { Socket } from 'node:net'
import { CastorError } from '../../core/errors.js'
import { encodeFrame, type Frame, FrameReader } from './frames.js'

/** One end of the connection between the two processes of an upgrade. */
export class Channel {
  readonly #socket: Socket
  readonly #reader: FrameReader
  readonly #frames: Frame[]
  #ended = false
  #fault: unknown
  #wake: () => void = () => {}

  /** Owns `fd`. `reader` has read from it already, and `frames` came of that. */
  constructor(fd: number, reader = new FrameReader(), frames: readonly Frame[] = []) {
    this.#reader = reader
    this.#frames = [...frames]
    this.#socket = new Socket({ fd, readable: true, writable: true })
    this.#socket.on('data', (data) => this.#read(data))
    this.#socket.on('error', () => this.#end())
    this.#socket.on('close', () => this.#end())
    this.#socket.on('end', () => this.#end())
  }

  get isOpen(): boolean {
    return !this.#ended
  }

  /** The next message; undefined when the other side has ended. @throws CastorError UPGRADE_FAILED for what is none. */
  async next(): Promise<Frame | undefined> {
    while (this.#frames.length === 0) {
      if (this.#fault !== undefined) throw this.#fault
      if (this.#ended) return undefined
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
    return this.#frames.shift()
  }

  /** Resolves when there is room for more. What is sent to a side that has ended is lost: `next` tells. */
  async send(frame: Frame): Promise<void> {
    if (this.#ended || this.#socket.write(encodeFrame(frame))) return
    await Promise.race([once(this.#socket, 'drain'), once(this.#socket, 'close')]).catch(() => {})
  }

  /** What was sent still goes out. */
  close(): void {
    this.#socket.end()
    this.#socket.unref()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #read(data: Buffer): void {
    try {
      this.#frames.push(...this.#reader.push(data))
    } catch (cause) {
      this.#fault = cause
      this.#socket.destroy()
    }
    this.#wake()
  }

  #end(): void {
    this.#ended = true
    this.#wake()
  }
}

/** What ends an upgrade. */
export function upgradeFailed(message: string, cause?: unknown): CastorError {
  return new CastorError('UPGRADE_FAILED', message, { cause })
}
