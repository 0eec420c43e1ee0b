// Hot path: every event of every connection of a thread passes here. No allocation or closure per event.
import type { Clock } from '../core/clock.js'
import type { Conn, ConnHandler, SocketShare, Transport } from '../core/conn.js'
import { RECORD_FD } from '../core/connection-record.js'
import { CastorError } from '../core/errors.js'
import type { ClientTls, ClientTlsConfig, ServerTls, ServerTlsConfig } from '../core/tls.js'
import { ECANCELED, EVENT_BATCH, EVENT_WORDS, type NativeAddon } from '../native/addon.js'
import { charge, DialRoom } from './dial-room.js'
import { isLocalShortage } from './local-shortage.js'
import { type Closing, LINGER, RESET } from './native-closing.js'
import { NativeConn } from './native-conn.js'
import { type NativeConnHost, READ_BYTES } from './native-conn-host.js'
import { NativeDial } from './native-dial.js'
import { DIALLING, TlsDialling } from './native-opening.js'
import { NativeTls } from './native-tls.js'
import { SpareBlocks } from './spare-blocks.js'

const SCRATCH_BYTES = 256 * 1024
/** Looks at the poller again within one turn while there is work, before timers and messages have their say. */
const ROUNDS_PER_TURN = 4
/** How long peers have to read why they are refused, and how many at once are given that. */
const LINGER_MS = 1_000
const MOST_LINGERING = 64

/**
 * Connections on an epoll of the thread's own. The addon tells once a turn which descriptors are ready; what happens to
 * them is decided here and in `NativeConn`. Edge-triggered: a connection that was not read to the end is kept on a list
 * of its own and read on, in turn with the others.
 */
export class NativeTransport implements Transport, NativeConnHost<NativeConn> {
  readonly clock: Clock
  /** Lent to handlers. No `Buffer`, of which `slice` would be a view for those who mean to keep a copy. */
  readonly readBuffer = new Uint8Array(READ_BYTES)
  readonly scratch = new Uint8Array(SCRATCH_BYTES)
  readonly addon: NativeAddon
  readonly spareBlocks = new SpareBlocks()
  readonly room: DialRoom
  size = 0
  readonly #events = new Int32Array(EVENT_BATCH * EVENT_WORDS)
  /** By descriptor. */
  readonly #conns: (NativeConn | undefined)[] = []
  /** Descriptors watched for someone else's purposes, such as a waker. */
  readonly #watches: ((() => void) | undefined)[] = []
  /** Descriptors of no connection any more, to be closed soon. */
  readonly #lingering: number[] = []
  #tls: NativeTls | undefined
  #tag = 0
  #unread: NativeConn[] = []
  #unreadNext: NativeConn[] = []
  #failed: NativeConn[] = []
  #inTurn = false
  #turnScheduled = false
  #disposed = false
  readonly onFault: (fault: unknown) => void
  readonly #laterTurn = (): void => {
    this.#turnScheduled = false
    this.#turn(0)
  }

  /**
   * `onFault` is told of what a handler threw; its connection alone is reset. Throws CastorError NATIVE_UNAVAILABLE when
   * the thread's poller cannot be made.
   */
  constructor(addon: NativeAddon, clock: Clock, onFault: (fault: unknown) => void) {
    this.onFault = onFault
    this.addon = addon
    this.clock = clock
    this.room = new DialRoom(clock)
    const error = addon.pollerOpen(this.#events, this.readBuffer, this.scratch, (count) => this.#turn(count))
    if (error < 0)
      throw new CastorError('NATIVE_UNAVAILABLE', `the poller could not be made: ${addon.errorName(error)}`)
  }

  adopt(records: Int32Array, at: number, _socket: unknown, handler: ConnHandler): Conn {
    const fd = records[at + RECORD_FD]!
    const conn = new NativeConn(this, fd, this.#nextTag(), handler, undefined)
    conn.rememberPeer(records, at)
    const error = this.#disposed ? ECANCELED : this.addon.adopt(fd, conn.tag)
    if (error < 0) {
      this.addon.closeFd(fd, 1)
      throw new CastorError('OUT_OF_DESCRIPTORS', `a connection could not be adopted: ${this.addon.errorName(error)}`)
    }
    this.#conns[fd] = conn
    this.size++
    return conn
  }

  dial(
    address: string,
    port: number,
    handler: ConnHandler,
    tls?: ClientTls,
    inClear?: Uint8Array,
    share?: SocketShare,
    keepAliveSeconds = 0,
  ): Conn {
    const opening = tls === undefined ? DIALLING : new TlsDialling(tls, address, port, inClear)
    const conn = new NativeConn(this, -1, this.#nextTag(), handler, opening)
    conn.dialledMs = -1
    this.size++
    let detail = ''
    if (this.#disposed || this.room.tryTake(share)) {
      const error = this.tryBegin(conn, address, port, share, keepAliveSeconds)
      if (error === 0) return conn
      this.room.giveBack()
      detail = this.addon.errorName(error)
    }
    this.room.wait(new NativeDial(this, conn, address, port, share, keepAliveSeconds), detail)
    return conn
  }

  /** For a dial that has a place in the budget. Fails it where that is not for want of a socket. */
  tryBegin(
    conn: NativeConn,
    address: string,
    port: number,
    share: SocketShare | undefined,
    keepAliveSeconds: number,
  ): number {
    const fd = this.#disposed ? ECANCELED : this.addon.connectTcp(address, port, keepAliveSeconds)
    const error = fd < 0 ? fd : this.addon.adopt(fd, conn.tag)
    // The number may be another connection's before this one is closed, which therefore never gets to know it.
    if (error < 0 && fd >= 0) this.addon.closeFd(fd, 1)
    if (error < 0 && isLocalShortage(this.addon.errorName(error))) return error
    // Never 0, which would say that it was accepted.
    conn.dialledMs = Math.max(this.clock.nowMs, Number.MIN_VALUE)
    if (error < 0) {
      conn.fail(error)
      return 0
    }
    conn.fd = fd
    charge(conn, share)
    this.#conns[fd] = conn
    return 0
  }

  mayHold(share: SocketShare | undefined): boolean {
    return this.room.mayHold(share)
  }

  serverTls(config: ServerTlsConfig): ServerTls {
    return this.tls.server(config)
  }

  clientTls(config: ClientTlsConfig): ClientTls {
    return this.tls.client(config)
  }

  secure(conn: Conn, context: ServerTls, early: Uint8Array | undefined): void {
    ;(conn as NativeConn).secure(context, early)
  }

  /** Made when it is first asked for. Throws CastorError NATIVE_UNAVAILABLE where this node has no OpenSSL to use. */
  get tls(): NativeTls {
    return (this.#tls ??= new NativeTls(this.addon))
  }

  /**
   * Calls `callback` in a turn whenever the descriptor becomes readable. The descriptor stays the caller's. Throws
   * CastorError NATIVE_UNAVAILABLE when it cannot be watched.
   */
  watch(fd: number, callback: () => void): void {
    const error = this.addon.watch(fd)
    if (error < 0)
      throw new CastorError('NATIVE_UNAVAILABLE', `a descriptor cannot be watched: ${this.addon.errorName(error)}`)
    this.#watches[fd] = callback
  }

  unwatch(fd: number): void {
    this.#watches[fd] = undefined
    this.addon.release(fd)
  }

  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    for (const conn of [...this.#conns]) conn?.abort()
    this.room.dispose()
    this.#closeFailed()
    this.#watches.length = 0
    this.addon.pollerClose()
  }

  readLater(conn: NativeConn): void {
    this.#unreadNext.push(conn)
    this.#ensureTurn()
  }

  failLater(conn: NativeConn): void {
    this.#failed.push(conn)
    this.#ensureTurn()
  }

  drop(fd: number, how: Closing): void {
    if (how !== LINGER || this.#lingering.length === MOST_LINGERING || this.#disposed) {
      this.addon.drop(fd, how === RESET ? 1 : 0)
      return
    }
    if (this.#lingering.push(fd) === 1) setTimeout(() => this.#dropLingering(0), LINGER_MS).unref()
  }

  /** Drops the first `due`; those behind them have their turn the next time. */
  #dropLingering(due: number): void {
    // Disposed, the poller has closed them, and their numbers may be another's.
    if (this.#disposed) return
    for (const fd of this.#lingering.splice(0, due)) this.addon.drop(fd, 0)
    const left = this.#lingering.length
    if (left > 0) setTimeout(() => this.#dropLingering(left), LINGER_MS).unref()
  }

  forget(conn: NativeConn): void {
    if (conn.fd >= 0 && this.#conns[conn.fd] === conn) this.#conns[conn.fd] = undefined
    this.size--
    if (conn.dialledMs <= 0) return
    charge(conn, undefined)
    this.room.giveBack()
  }

  #nextTag(): number {
    // 0 is for watches.
    this.#tag = (this.#tag % 0x7fff_fffe) + 1
    return this.#tag
  }

  #ensureTurn(): void {
    if (this.#inTurn || this.#turnScheduled) return
    this.#turnScheduled = true
    setImmediate(this.#laterTurn)
  }

  #turn(count: number): void {
    this.clock.refresh()
    this.#inTurn = true
    try {
      let ready = count
      for (let round = 0; ; ) {
        this.#handleEvents(ready)
        this.#readOn()
        this.#closeFailed()
        if (++round === ROUNDS_PER_TURN || this.#disposed) break
        ready = this.addon.collect()
        this.clock.refresh()
        if (ready <= 0 && this.#unreadNext.length === 0 && this.#failed.length === 0) break
      }
    } finally {
      this.#inTurn = false
    }
    if (this.#unreadNext.length > 0 || this.#failed.length > 0) this.#ensureTurn()
  }

  #handleEvents(count: number): void {
    const events = this.#events
    for (let i = 0, at = 0; i < count; i++, at += EVENT_WORDS) {
      const fd = events[at]!
      const conn = this.#conns[fd]
      if (conn !== undefined) {
        // A descriptor that was closed and given out again within this turn bears another tag.
        if (conn.tag === events[at + 1]) this.#guarded(conn, events[at + 2]!)
      } else if (events[at + 1] === 0) {
        this.#watches[fd]?.()
      }
    }
  }

  #readOn(): void {
    const list = this.#unreadNext
    if (list.length === 0) return
    this.#unreadNext = this.#unread
    this.#unread = list
    for (let i = 0; i < list.length; i++) this.#guarded(list[i]!, 0)
    list.length = 0
  }

  /** A fault in one connection's handling is that connection's end and nobody else's. Flags 0: read on. */
  #guarded(conn: NativeConn, flags: number): void {
    try {
      if (flags === 0) conn.readOn()
      else conn.onEvents(flags)
    } catch (fault) {
      this.onFault(fault)
      conn.abort()
    }
  }

  /** One round: what fails meanwhile, such as a dial that is tried again, has its turn after the events that wait. */
  #closeFailed(): void {
    const list = this.#failed
    if (list.length === 0) return
    this.#failed = []
    for (const conn of list) {
      try {
        conn.closeFailed()
      } catch (fault) {
        this.onFault(fault)
        conn.abort()
      }
    }
  }
}
