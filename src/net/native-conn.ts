// Hot path: every byte of every connection passes here. No allocation but for bytes the kernel would not take.
import type { Conn, ConnHandler, Endpoint } from '../core/conn.js'
import { RECORD_ADDRESS, RECORD_FAMILY, RECORD_PORT, RECORD_WORDS, recordPeer } from '../core/connection-record.js'
import { CastorError } from '../core/errors.js'
import type { TlsInfo } from '../core/tls.js'
import { EAGAIN, EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP } from '../native/addon.js'
import type { NativeTransport } from './native-transport.js'

/** Bytes read at once at the most. Larger reads save system calls on bodies and cost cache; one buffer serves a thread. */
export const READ_BYTES = 128 * 1024

/** Reads at the most of what a peer sent before it reset the connection in the middle of a write. */
const LAST_READS = 64

const UNKNOWN: Endpoint = { family: 4, address: '0.0.0.0', port: 0 }

/** A connection by its descriptor, in one thread's `NativeTransport`. */
export class NativeConn implements Conn {
  handler: ConnHandler
  context: unknown = undefined
  readonly tls: TlsInfo | undefined = undefined
  bytesRead = 0
  bytesWritten = 0
  lastActiveMs: number
  closed = false
  readSize = READ_BYTES
  readonly fd: number
  readonly tag: number
  readonly #transport: NativeTransport
  #connecting: boolean
  #paused = false
  /** The kernel may hold bytes, or the end of the stream, that no further edge will announce. */
  #unread = false
  /** On the transport's list of connections to read on. */
  #listed = false
  /** An event said that the peer is gone both ways, in good order or by a reset. */
  #hungUp = false
  #readEnded = false
  #writeEnded = false
  #ending = false
  #closing = false
  #failure: CastorError | undefined
  #failed = false
  /** What the kernel would not take, oldest first; `#queueOffset` counts what it took of the first since. */
  #queue: Uint8Array[] | undefined
  #queueOffset = 0
  /** Peer's family, port and address words, or the endpoint once somebody asked. */
  #peerFamily = 0
  #peerPort = 0
  #peerAddress: Int32Array | number = 0
  #peer: Endpoint | undefined
  #local: Endpoint | undefined

  constructor(transport: NativeTransport, fd: number, tag: number, handler: ConnHandler, connecting: boolean) {
    this.#transport = transport
    this.fd = fd
    this.tag = tag
    this.handler = handler
    this.#connecting = connecting
    this.lastActiveMs = transport.clock.nowMs
  }

  rememberPeer(records: Int32Array, at: number): void {
    this.#peerFamily = records[at + RECORD_FAMILY]!
    this.#peerPort = records[at + RECORD_PORT]!
    this.#peerAddress =
      this.#peerFamily === 4
        ? records[at + RECORD_ADDRESS]!
        : records.slice(at + RECORD_ADDRESS, at + RECORD_ADDRESS + 4)
  }

  get peer(): Endpoint {
    if (this.#peer !== undefined) return this.#peer
    const peer = this.#peerFamily === 0 ? this.#ask(1) : this.#rememberedPeer()
    // Before a dialled connection is open there is nobody to ask about: the next time there may be.
    if (peer !== UNKNOWN) this.#peer = peer
    return peer
  }

  get local(): Endpoint {
    if (this.#local !== undefined) return this.#local
    const local = this.#ask(0)
    if (local !== UNKNOWN) this.#local = local
    return local
  }

  write(buffer: Uint8Array, start: number, end: number): boolean {
    if (this.closed || this.#failed || this.#ending) return false
    if (start === end) return this.#queue === undefined
    if (this.#queue !== undefined || this.#connecting) {
      this.#enqueue(buffer, start, end)
      return false
    }
    const taken = this.#send(buffer, start, end)
    if (taken < 0 && taken !== EAGAIN) {
      this.#failLater(taken)
      return false
    }
    if (taken > 0) {
      this.lastActiveMs = this.#transport.clock.nowMs
      this.bytesWritten += taken
      if (taken === end - start) return true
    }
    this.#enqueue(buffer, taken > 0 ? start + taken : start, end)
    return false
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    if (this.#unread && !this.closed) this.#list()
  }

  end(): void {
    if (this.#ending || this.closed) return
    this.#ending = true
    if (this.#queue === undefined && !this.#connecting) this.#endNow()
  }

  close(): void {
    if (this.closed) return
    this.#closing = true
    this.#ending = true
    if (this.#queue === undefined && !this.#connecting) this.#finish(undefined, 0)
  }

  abort(): void {
    if (!this.closed) this.#finish(undefined, 1)
  }

  /** A call failed with a negative errno before anything else could happen. */
  fail(errno: number): void {
    this.#failLater(errno)
  }

  closeFailed(): void {
    if (this.closed) return
    // A target may answer, end and reset while it is still being written to: its answer was sent and counts.
    if (this.#failure !== undefined && !this.#connecting) this.#readLast()
    if (!this.closed) this.#finish(this.#failure, 0)
  }

  onEvents(flags: number): void {
    if (this.#connecting) {
      if ((flags & (EPOLLOUT | EPOLLERR | EPOLLHUP)) === 0) return
      const error = this.#transport.addon.socketError(this.fd)
      if (error < 0) {
        this.#finish(this.#errorOf(error), 0)
        return
      }
      this.#connecting = false
      this.lastActiveMs = this.#transport.clock.nowMs
      this.handler.onOpen(this)
      if (this.closed) return
      if (this.#queue === undefined && this.#closing) {
        this.#finish(undefined, 0)
        return
      }
      if (this.#queue === undefined && this.#ending) this.#endNow()
    }
    if ((flags & EPOLLOUT) !== 0 && this.#queue !== undefined) this.#flush()
    if ((flags & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) === 0 || this.closed) return
    if ((flags & (EPOLLHUP | EPOLLERR)) !== 0) this.#hungUp = true
    if (this.#readEnded || this.#paused) {
      this.#unread = !this.#readEnded
      if (this.#hungUp) this.#checkReset()
      return
    }
    this.#unread = true
    // With an error or the end behind it, the stream must be read to its end: no further edge comes.
    this.#read((flags & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) !== 0)
  }

  readOn(): void {
    this.#listed = false
    if (this.closed || this.#paused || !this.#unread) return
    this.#read(true)
  }

  #read(mayHaveEnded: boolean): void {
    if (this.#readEnded) {
      this.#unread = false
      return
    }
    const transport = this.#transport
    const limit = Math.min(this.readSize, READ_BYTES)
    const count = transport.addon.receive(this.fd, limit)
    if (count > 0) {
      this.bytesRead += count
      this.lastActiveMs = transport.clock.nowMs
      // Less than was asked for means the kernel has no more now (epoll(7)), unless the end is known to be behind it.
      const more = count === limit || mayHaveEnded
      this.#unread = more
      this.handler.onData(this, transport.readBuffer, count)
      if (more && !this.closed && !this.#paused && this.#unread) this.#list()
      return
    }
    this.#unread = false
    if (count === 0) {
      this.#readEnded = true
      // The end hides a reset that came right behind it.
      if (this.#hungUp) this.#askFailure()
      if (this.#writeEnded || this.#failure !== undefined) {
        this.#finish(this.#failure, 0)
        return
      }
      this.handler.onEnd(this)
    } else if (count !== EAGAIN) {
      this.#finish(this.#failure ?? this.#errorOf(count), 0)
    }
  }

  /**
   * The peer seems gone both ways, and nothing is being read: paused, or at the end already. After a reset there is
   * nobody left to write to, but what arrived before it is still there for whoever resumes.
   */
  #checkReset(): void {
    this.#askFailure()
    if (this.#failure === undefined) return
    if (this.#readEnded || this.#transport.addon.unread(this.fd) <= 0) this.#finish(this.#failure, 0)
  }

  /** To be kept, since asking clears it. */
  #askFailure(): void {
    const error = this.#transport.addon.socketError(this.fd)
    if (error < 0) this.#failure ??= this.#errorOf(error)
  }

  #readLast(): void {
    const transport = this.#transport
    for (let i = 0; i < LAST_READS && !this.closed && !this.#paused && !this.#readEnded; i++) {
      const count = transport.addon.receive(this.fd, READ_BYTES)
      if (count <= 0) return
      this.bytesRead += count
      this.handler.onData(this, transport.readBuffer, count)
    }
  }

  #list(): void {
    if (this.#listed) return
    this.#listed = true
    this.#transport.readLater(this)
  }

  #send(buffer: Uint8Array, start: number, end: number): number {
    const transport = this.#transport
    if (buffer === transport.scratch) return transport.addon.send(this.fd, 1, start, end)
    if (buffer === transport.readBuffer) return transport.addon.send(this.fd, 0, start, end)
    return transport.addon.sendFrom(this.fd, buffer, start, end)
  }

  #enqueue(buffer: Uint8Array, start: number, end: number): void {
    const copy = this.#transport.spareBlocks.copy(buffer, start, end)
    if (this.#queue === undefined) this.#queue = [copy]
    else this.#queue.push(copy)
  }

  #flush(): void {
    const queue = this.#queue!
    while (queue.length > 0) {
      const first = queue[0]!
      const taken = this.#transport.addon.sendFrom(this.fd, first, this.#queueOffset, first.length)
      if (taken < 0) {
        if (taken !== EAGAIN) this.#failLater(taken)
        return
      }
      this.bytesWritten += taken
      this.lastActiveMs = this.#transport.clock.nowMs
      this.#queueOffset += taken
      if (this.#queueOffset < first.length) return
      this.#queueOffset = 0
      this.#transport.spareBlocks.giveBack(queue.shift()!)
    }
    this.#queue = undefined
    if (this.#closing) this.#finish(undefined, 0)
    else if (this.#ending) this.#endNow()
    else this.handler.onWritable(this)
  }

  #endNow(): void {
    if (this.#writeEnded) return
    this.#writeEnded = true
    this.#transport.addon.shutdownWrite(this.fd)
    if (this.#readEnded) this.#failLater(0)
  }

  /** `errno` 0 closes without a cause. */
  #failLater(errno: number): void {
    if (this.#failed || this.closed) return
    this.#failed = true
    if (errno !== 0) this.#failure ??= this.#errorOf(errno)
    this.#transport.failLater(this)
  }

  #finish(cause: CastorError | undefined, reset: 0 | 1): void {
    this.closed = true
    this.#queue = undefined
    // Whoever asks later must not be told of another connection's addresses.
    this.#peer ??= this.#peerFamily === 0 ? UNKNOWN : undefined
    this.#local ??= UNKNOWN
    if (this.fd >= 0) this.#transport.addon.drop(this.fd, reset)
    this.#transport.forget(this)
    try {
      this.handler.onClose(this, cause)
    } catch (fault) {
      // Not for whoever closed it, which may be the handler of another connection.
      this.#transport.onFault(fault)
    }
  }

  #errorOf(errno: number): CastorError {
    const name = this.#transport.addon.errorName(errno)
    return new CastorError(this.#connecting ? 'CONNECT_FAILED' : 'PEER_RESET', name)
  }

  #ask(peer: 0 | 1): Endpoint {
    if (this.fd < 0) return UNKNOWN
    const record = new Int32Array(RECORD_WORDS)
    return this.#transport.addon.address(this.fd, peer, record) < 0 ? UNKNOWN : recordPeer(record, 0)
  }

  #rememberedPeer(): Endpoint {
    const record = new Int32Array(RECORD_WORDS)
    record[RECORD_FAMILY] = this.#peerFamily
    record[RECORD_PORT] = this.#peerPort
    if (typeof this.#peerAddress === 'number') record[RECORD_ADDRESS] = this.#peerAddress
    else record.set(this.#peerAddress, RECORD_ADDRESS)
    return recordPeer(record, 0)
  }
}
