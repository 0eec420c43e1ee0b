// Hot path: every byte of every connection passes here. No allocation except for bytes the kernel would not take.
import type { Conn, ConnHandler, Silence, SocketShare } from '../core/conn.js'
import { CastorError } from '../core/errors.js'
import type { ServerTls, TlsInfo } from '../core/tls.js'
import { EAGAIN, EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP, type NativeAddon } from '../native/addon.js'
import { DescriptorConn } from './descriptor-conn.js'
import type { Closing } from './native-closing.js'
import { type NativeConnHost, READ_BYTES } from './native-conn-host.js'
import { errorOf, type Opening, SHAKING_HANDS } from './native-opening.js'
import { sendBytes } from './native-send.js'
import type { NativeTls } from './native-tls.js'
import { endSilence } from './silence.js'

/** Reads at the most of what a peer sent before it reset the connection in the middle of a write. */
const LAST_READS = 64

/** In a queue: what is still to be sent is in the addon, encrypted. */
const ENCRYPTED = new Uint8Array(0)

type Host = NativeConnHost<NativeConn>

/** A connection by its descriptor, in one thread's transport. */
export class NativeConn extends DescriptorConn implements Conn {
  handler: ConnHandler
  context: unknown = undefined
  tls: TlsInfo | undefined = undefined
  bytesRead = 0
  bytesWritten = 0
  lastActiveMs: number
  closed = false
  readSize = READ_BYTES
  dialledMs = 0
  share: SocketShare | undefined = undefined
  silence: Silence | undefined = undefined
  /** −1 where the dial has not begun, or never will. */
  fd: number
  readonly tag: number
  readonly #transport: Host
  /** What it goes through before it is open; undefined from then on. */
  #opening: Opening | undefined
  /** The thread's TLS, once this connection speaks it. */
  #engine: NativeTls | undefined
  /** The addon holds bytes that nobody who writes knows of, such as the answer to a change of keys. */
  #keptUnasked = false
  /** What is queued waits for the rest of a message of TLS, and so for something to read, not for room. */
  #writeAwaitsRead = false
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

  constructor(transport: Host, fd: number, tag: number, handler: ConnHandler, opening: Opening | undefined) {
    super()
    this.#transport = transport
    this.fd = fd
    this.tag = tag
    this.handler = handler
    this.#opening = opening
    this.lastActiveMs = transport.clock.nowMs
  }

  /** An accepted connection speaks TLS from here on. */
  secure(context: ServerTls, early: Uint8Array | undefined): void {
    if (this.closed || this.#failed) return
    const engine = this.#transport.tls
    const error = engine.accept(this.fd, context, early)
    if (error < 0) {
      this.#failure = new CastorError('TLS_CONFIG', this.#transport.addon.errorName(error))
      this.#failLater(0)
      return
    }
    this.#engine = engine
    this.#opening = SHAKING_HANDS
    if (this.#unread || early !== undefined) this.#list()
  }

  protected get addon(): NativeAddon {
    return this.#transport.addon
  }

  get peerReset(): boolean {
    return this.#failure !== undefined
  }

  write(buffer: Uint8Array, start: number, end: number): boolean {
    if (this.closed || this.#failed || this.#ending) return false
    if (start === end) return this.#queue === undefined
    if (this.#queue !== undefined || this.#opening !== undefined) {
      this.#enqueue(buffer, start, end)
      return false
    }
    const taken = sendBytes(this.#transport, this.#engine, this.fd, buffer, start, end)
    if (taken < 0 && taken !== EAGAIN) {
      this.#failLater(taken)
      return false
    }
    if (taken > 0) {
      this.lastActiveMs = this.#transport.clock.nowMs
      this.bytesWritten += taken
      if (taken === end - start && (this.#engine === undefined || !this.#engine.kept)) return true
    }
    if (this.#engine !== undefined && taken < end - start) this.#awaitRead(this.#engine)
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
    if (this.#queue === undefined && this.#opening === undefined) this.#endNow()
  }

  close(): void {
    if (this.closed) return
    this.#closing = true
    this.#ending = true
    if (this.#queue === undefined && (this.#opening === undefined || this.#opening === SHAKING_HANDS)) this.#closeNow()
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
    if (this.#failure !== undefined && this.#opening === undefined) this.#readLast()
    if (!this.closed) this.#finish(this.#failure, 0)
  }

  onEvents(flags: number): void {
    if (this.#opening !== undefined) {
      if (!this.#open(this.#opening, flags)) return
      if (this.#engine !== undefined) {
        // The handshake read all there was, and said whether something of it is left.
        if (this.#unread && !this.#paused) this.#list()
        if ((flags & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) === 0) return
      }
    }
    if ((flags & EPOLLOUT) !== 0) {
      if (this.#queue !== undefined) this.#flush()
      else if (this.#keptUnasked) this.#flushUnasked()
    }
    if ((flags & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) === 0 || this.closed) return
    if ((flags & (EPOLLHUP | EPOLLERR)) !== 0) this.#hungUp = true
    if (this.#readEnded || this.#paused) {
      this.#unread = !this.#readEnded
      if (this.#writeAwaitsRead) this.#proceed()
      if (this.#hungUp && !this.closed) this.#checkReset()
      return
    }
    this.#unread = true
    // With an error or the end behind it, the stream must be read to its end: no further edge comes.
    this.#read((flags & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) !== 0)
    if (this.#writeAwaitsRead) this.#writeOn()
  }

  readOn(): void {
    this.#listed = false
    if (this.#opening !== undefined && !(this.#opening.shaking && this.#open(this.#opening, 0))) return
    if (this.closed || !this.#unread) return
    if (this.#paused) {
      if (this.#writeAwaitsRead) this.#proceed()
      return
    }
    this.#read(true)
    if (this.#writeAwaitsRead) this.#writeOn()
  }

  /** A step towards being open. False when there are more to come, or the connection closed. */
  #open(opening: Opening, flags: number): boolean {
    const transport = this.#transport
    const result = opening.step(transport, this.fd, flags)
    if (result < 0) this.#finish(this.#errorOf(result), opening.closing(result))
    if (result !== 1) return false
    this.#opening = undefined
    if (opening.shaking) this.#agreed(transport.tls)
    this.lastActiveMs = transport.clock.nowMs
    this.handler.onOpen(this)
    if (this.closed) return false
    if (this.#queue !== undefined) this.#flush()
    else if (this.#closing) this.#closeNow()
    else if (this.#ending) this.#endNow()
    return !this.closed
  }

  #agreed(engine: NativeTls): void {
    this.#engine = engine
    this.#keptUnasked = engine.kept
    // Data may have come with the last of the handshake.
    this.#unread = engine.more
    this.tls = engine.info(this.fd)
  }

  #receive(limit: number, mayHaveEnded: boolean): number {
    const engine = this.#engine
    if (engine === undefined) return this.#transport.addon.receive(this.fd, limit)
    const count = engine.receive(this.fd, limit, mayHaveEnded)
    if (engine.kept) this.#keptUnasked = true
    return count
  }

  /** After a write that took less than all: is it for want of the rest of a message? */
  #awaitRead(engine: NativeTls): void {
    this.#writeAwaitsRead = !engine.kept
    if (this.#writeAwaitsRead && this.#paused && this.#unread) this.#list()
  }

  /** Nobody reads data at the moment, perhaps until what is queued has been sent. */
  #proceed(): void {
    const result = this.#engine!.proceed(this.fd)
    if (result === 0) this.#writeOn()
    else if (result !== EAGAIN) this.#failLater(result)
  }

  #writeOn(): void {
    this.#writeAwaitsRead = false
    if (this.#queue !== undefined && !this.closed) this.#flush()
  }

  #flushUnasked(): void {
    const result = this.#engine!.flush(this.fd)
    this.#keptUnasked = result === EAGAIN
    if (result < 0 && result !== EAGAIN) this.#failLater(result)
  }

  #read(mayHaveEnded: boolean): void {
    if (this.#readEnded) {
      this.#unread = false
      return
    }
    const transport = this.#transport
    const limit = Math.min(this.readSize, READ_BYTES)
    const count = this.#receive(limit, mayHaveEnded)
    if (count > 0) {
      this.bytesRead += count
      this.lastActiveMs = transport.clock.nowMs
      if (this.silence !== undefined) endSilence(this)
      // Less than was asked for means the kernel has no more now (epoll(7)), unless the end is known to be behind it.
      const more = this.#engine === undefined ? count === limit || mayHaveEnded : this.#engine.more
      this.#unread = more
      this.handler.onData(this, transport.readBuffer, count)
      if (more && !this.closed && !this.#paused && this.#unread) this.#list()
      return
    }
    this.#unread = false
    if (count === 0) {
      this.#readEnded = true
      this.noteEnd()
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
    const unread = this.#transport.addon.unread(this.fd) > 0 || this.#engine?.unread(this.fd) === true
    if (this.#readEnded || !unread) this.#finish(this.#failure, 0)
  }

  /** To be kept, since asking clears it. */
  #askFailure(): void {
    const error = this.#transport.addon.socketError(this.fd)
    if (error < 0) this.#failure ??= this.#errorOf(error)
  }

  #readLast(): void {
    const transport = this.#transport
    for (let i = 0; i < LAST_READS && !this.closed && !this.#paused && !this.#readEnded; i++) {
      const count = this.#receive(READ_BYTES, true)
      if (count === 0) this.noteEnd()
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

  #enqueue(buffer: Uint8Array, start: number, end: number): void {
    const copy = this.#transport.spareBlocks.copy(buffer, start, end)
    if (this.#queue === undefined) this.#queue = [copy]
    else this.#queue.push(copy)
  }

  #flush(): void {
    const queue = this.#queue!
    while (queue.length > 0) {
      const first = queue[0]!
      const taken = sendBytes(this.#transport, this.#engine, this.fd, first, this.#queueOffset, first.length)
      if (taken < 0) {
        if (taken !== EAGAIN) this.#failLater(taken)
        else if (this.#engine !== undefined) this.#awaitRead(this.#engine)
        return
      }
      this.bytesWritten += taken
      this.lastActiveMs = this.#transport.clock.nowMs
      this.#queueOffset += taken
      if (this.#queueOffset < first.length) return
      this.#queueOffset = 0
      this.#transport.spareBlocks.giveBack(queue.shift()!)
    }
    if (this.#engine?.kept === true) {
      queue.push(ENCRYPTED)
      return
    }
    this.#queue = undefined
    if (this.#closing) this.#closeNow()
    else if (this.#ending) this.#endNow()
    else this.handler.onWritable(this)
  }

  #endNow(): void {
    if (this.#writeEnded || !this.#sayEnd()) return
    this.#writeEnded = true
    this.#transport.addon.shutdownWrite(this.fd)
    if (this.#readEnded) this.#failLater(0)
  }

  #closeNow(): void {
    if (this.#opening !== undefined || this.#writeEnded || this.#sayEnd()) this.#finish(undefined, 0)
  }

  /** Over TLS, the end is a message. False while it waits for the kernel; it is asked for again when that has room. */
  #sayEnd(): boolean {
    if (this.#engine === undefined || this.#engine.end(this.fd) !== EAGAIN) return true
    this.#queue = [ENCRYPTED]
    return false
  }

  /** `errno` 0 closes without a cause. */
  #failLater(errno: number): void {
    if (this.#failed || this.closed) return
    this.#failed = true
    if (errno !== 0) this.#failure ??= this.#errorOf(errno)
    this.#transport.failLater(this)
  }

  #finish(cause: CastorError | undefined, how: Closing): void {
    this.closed = true
    endSilence(this)
    this.#queue = undefined
    this.forgetAddresses()
    if (this.fd >= 0) this.#transport.drop(this.fd, how)
    this.#transport.forget(this)
    try {
      this.handler.onClose(this, cause)
    } catch (fault) {
      // Not for whoever closed it, which may be the handler of another connection.
      this.#transport.onFault(fault)
    }
  }

  #errorOf(errno: number): CastorError {
    return errorOf(this.#transport, this.#opening, this.#engine, this.fd, errno)
  }
}
