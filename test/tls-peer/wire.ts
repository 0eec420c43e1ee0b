import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { HEADER_BYTES } from './record-keys.js'

/** Cuts a stream into records. */
export class RecordReader {
  #rest: Buffer = Buffer.alloc(0)

  feed(bytes: Buffer, each: (record: Buffer) => void): void {
    let rest = Buffer.concat([this.#rest, bytes])
    while (rest.length >= HEADER_BYTES) {
      const end = HEADER_BYTES + rest.readUInt16BE(3)
      if (rest.length < end) break
      each(rest.subarray(0, end))
      rest = rest.subarray(end)
    }
    this.#rest = rest
  }
}

/** What `node:tls` speaks through until somebody takes its place: all bytes of both directions are seen. */
export class Wire extends Duplex {
  readonly sent: Buffer[] = []
  readonly received: Buffer[] = []
  readonly #socket: Socket
  #cut = false

  constructor(socket: Socket) {
    super()
    this.#socket = socket
    socket.on('data', (data: Buffer) => {
      if (this.#cut) return
      this.received.push(data)
      this.push(data)
    })
    socket.on('end', () => {
      if (!this.#cut) this.push(null)
    })
    socket.on('error', (error) => {
      if (!this.#cut) this.destroy(error)
    })
  }

  /** From here on neither side of this has to do with the socket. */
  cut(): void {
    this.#cut = true
    this.#socket.removeAllListeners('data')
    this.#socket.removeAllListeners('end')
  }

  override _read(): void {}

  override _write(data: Buffer, _encoding: string, done: () => void): void {
    if (!this.#cut) {
      this.sent.push(data)
      this.#socket.write(data)
      this.emit('sent')
    }
    done()
  }

  override _final(done: () => void): void {
    done()
  }
}
