import {
  AHEAD_BYTES,
  AHEAD_END,
  AHEAD_NOTHING,
  type Ahead,
  type Conn,
  type ConnHandler,
  type Endpoint,
  type Silence,
  type SocketShare,
} from '../../src/core/conn.js'
import { CastorError, type ErrorCode } from '../../src/core/errors.js'
import { endSilence } from '../../src/net/silence.js'
import type { MemoryTransport } from './memory-transport.js'

/** As much as Node reads at once; smaller than the capacity, so that bytes arrive in several calls. */
const READ_BYTES = 64 * 1024

/** What a borrowed buffer is overwritten with once the borrower must be done with it. */
const SCRIBBLE = 0xdb

/**
 * One end of a connection in memory. What it has received and not yet given to its handler lies in `#inbox`, as in a
 * kernel's receive buffer; what the other end's inbox has no room for lies in `#queue`. Everything but `abort` and
 * `close` takes effect in the transport's turns.
 */
export class MemoryConn implements Conn {
  handler: ConnHandler
  context: unknown = undefined
  readonly tls = undefined
  readonly dialledMs: number
  share: SocketShare | undefined = undefined
  readonly peerReset = false
  silence: Silence | undefined = undefined
  unacknowledgedBytes = 0
  bytesRead = 0
  bytesWritten = 0
  lastActiveMs: number
  closed = false
  readSize = READ_BYTES
  readonly peer: Endpoint
  readonly local: Endpoint
  /** Already on the transport's list for its next turn. */
  listed = false
  readonly #transport: MemoryTransport
  #other: MemoryConn | undefined
  #connecting = true
  #adopted = false
  #paused = false
  readonly #inbox: Uint8Array[] = []
  #inboxBytes = 0
  /** The other end has ended, which the handler learns once the inbox is empty. */
  #endReceived = false
  #resetReceived = false
  #readEnded = false
  readonly #queue: Uint8Array[] = []
  #ending = false
  #closing = false
  #writeEnded = false
  /** A write met a reset, or both sides have ended: it closes in the next turn. */
  #finishing = false

  constructor(transport: MemoryTransport, handler: ConnHandler, peer: Endpoint, local: Endpoint) {
    this.#transport = transport
    this.handler = handler
    this.peer = peer
    this.local = local
    this.lastActiveMs = transport.clock.nowMs
    this.dialledMs = transport.clock.nowMs
  }

  get connecting(): boolean {
    return this.#connecting
  }

  /** Ties two ends together; the accepted one is silent until `adopt`. */
  static join(dialled: MemoryConn, accepted: MemoryConn): void {
    dialled.#other = accepted
    accepted.#other = dialled
    dialled.#connecting = false
    dialled.#adopted = true
    accepted.#connecting = false
  }

  adopt(handler: ConnHandler): void {
    this.handler = handler
    this.#adopted = true
    this.#wake()
  }

  write(buffer: Uint8Array, start: number, end: number): boolean {
    if (this.closed || this.#ending || this.#finishing) return false
    if (start === end) return this.#queue.length === 0
    if (this.#resetReceived) {
      this.#finishing = true
      this.#wake()
      return false
    }
    // Not `slice`, which for a `Buffer` would be a view.
    const bytes = new Uint8Array(buffer.subarray(start, end))
    // Scratch is everybody's: nobody may count on it after a write.
    if (buffer === this.#transport.scratch) buffer.fill(SCRIBBLE, start, end)
    if (this.#connecting || this.#queue.length > 0) {
      this.#queue.push(bytes)
      return false
    }
    const taken = this.#send(bytes)
    if (taken === bytes.length) return true
    this.#queue.push(bytes.subarray(taken))
    return false
  }

  lookAhead(): Ahead {
    if (this.closed) return AHEAD_END
    if (this.#transport.blind) return AHEAD_NOTHING
    if (this.#endReceived || this.#resetReceived) return AHEAD_END
    return this.#inboxBytes > 0 ? AHEAD_BYTES : AHEAD_NOTHING
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#wake()
  }

  end(): void {
    if (this.#ending || this.closed) return
    this.#ending = true
    if (this.#queue.length === 0 && !this.#connecting) this.#endNow()
  }

  close(): void {
    if (this.closed) return
    this.#ending = true
    this.#closing = true
    if (this.#queue.length === 0 && !this.#connecting) this.#closeNow()
  }

  abort(): void {
    if (this.closed) return
    this.#other?.receiveReset()
    this.#finish()
  }

  /** The dial came to nothing. */
  refuse(reason: string): void {
    if (!this.closed) this.#finish('CONNECT_FAILED', reason)
  }

  /** The dial was accepted. */
  opened(): void {
    this.lastActiveMs = this.#transport.clock.nowMs
    this.handler.onOpen(this)
    this.#wake()
  }

  /** Its part of a turn: what could be sent, then what there is to read, a read at the most. */
  step(): void {
    if (this.closed || this.#connecting || !this.#adopted) return
    this.#flush()
    if (!this.closed) this.#receive()
  }

  receiveEnd(): void {
    this.#endReceived = true
    this.#wake()
  }

  receiveReset(): void {
    this.#resetReceived = true
    this.#wake()
  }

  #flush(): void {
    if (this.#resetReceived) {
      this.#finishing ||= this.#queue.length > 0
      return
    }
    if (this.#queue.length > 0) {
      while (this.#queue.length > 0) {
        const first = this.#queue[0]!
        const taken = this.#send(first)
        if (taken < first.length) {
          this.#queue[0] = first.subarray(taken)
          return
        }
        this.#queue.shift()
      }
      if (!this.#ending) this.handler.onWritable(this)
    }
    if (this.#closing) this.#closeNow()
    else if (this.#ending) this.#endNow()
  }

  #receive(): void {
    if (!this.#paused && this.#inboxBytes > 0) {
      this.#read()
      this.#wake()
      return
    }
    if (this.#resetReceived) {
      // Paused, what arrived before the reset waits; but a write has found out, and nobody can wait longer than that.
      if (this.#inboxBytes === 0 || this.#finishing) this.#finish('PEER_RESET', 'ECONNRESET')
      return
    }
    if (this.#finishing) {
      this.#finish()
      return
    }
    if (this.#paused || !this.#endReceived || this.#readEnded) return
    this.#readEnded = true
    if (this.#writeEnded) this.#finish()
    else this.handler.onEnd(this)
  }

  #read(): void {
    const { readBuffer, clock } = this.#transport
    const limit = Math.min(this.readSize, readBuffer.length)
    let length = 0
    while (length < limit && this.#inbox.length > 0) {
      const first = this.#inbox[0]!
      const part = first.subarray(0, limit - length)
      readBuffer.set(part, length)
      length += part.length
      if (part.length === first.length) this.#inbox.shift()
      else this.#inbox[0] = first.subarray(part.length)
    }
    this.#inboxBytes -= length
    this.bytesRead += length
    endSilence(this)
    this.lastActiveMs = clock.nowMs
    this.#other?.roomMade()
    this.handler.onData(this, readBuffer, length)
    readBuffer.fill(SCRIBBLE, 0, length)
  }

  roomMade(): void {
    if (this.#queue.length > 0) this.#wake()
  }

  /** Puts as much as there is room for into the other end's inbox. */
  #send(bytes: Uint8Array): number {
    const other = this.#other!
    // A system takes what is written to a peer that has gone; the answer is a reset.
    const taken = other.closed
      ? bytes.length
      : Math.min(bytes.length, this.#transport.capacityBytes - other.#inboxBytes)
    if (taken <= 0) return 0
    this.bytesWritten += taken
    this.lastActiveMs = this.#transport.clock.nowMs
    if (other.closed) {
      if (this.#endReceived) this.unacknowledgedBytes += taken
      this.receiveReset()
    } else {
      other.#inbox.push(bytes.subarray(0, taken))
      other.#inboxBytes += taken
      other.#wake()
    }
    return taken
  }

  #endNow(): void {
    if (this.#writeEnded) return
    this.#writeEnded = true
    this.#other!.receiveEnd()
    if (!this.#readEnded) return
    this.#finishing = true
    this.#wake()
  }

  #closeNow(): void {
    // What was not read makes a close a reset, as with TCP (RFC 9293 3.6.1, RFC 2525 2.17).
    if (this.#inboxBytes > 0) this.#other!.receiveReset()
    else if (!this.#writeEnded) this.#other!.receiveEnd()
    this.#finish()
  }

  #finish(code?: ErrorCode, reason?: string): void {
    this.closed = true
    endSilence(this)
    this.#queue.length = 0
    this.#inbox.length = 0
    this.#inboxBytes = 0
    this.#transport.forget(this)
    this.handler.onClose(this, code && new CastorError(code, reason))
  }

  #wake(): void {
    if (!this.closed) this.#transport.list(this)
  }
}
