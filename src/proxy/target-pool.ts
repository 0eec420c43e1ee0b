import type { Conn, ConnHandler } from '../core/conn.js'
import type { SpareTaker } from '../net/idle-pool.js'

/** Where a target's open connections wait for requests; the handler of those that nobody uses. */
export interface TargetPool extends ConnHandler {
  /** Connections that carry nothing now. */
  readonly size: number
  /** A connection that may carry a request at once, or undefined. Its handler is the caller's to set. */
  take(): Conn | undefined
  /** The same for a request that cannot be sent twice: one whose target has sent nothing meanwhile, not even its end. */
  takeQuiet(): Conn | undefined
  /** A connection whose request went well; `keepSeconds` is what the target said of its patience, −1 without. */
  put(conn: Conn, keepSeconds: number): void
  /** `taker` wants a connection that becomes free, because there is no socket for one of its own. */
  awaitSpare(taker: SpareTaker): void
  /** Closes those that have been idle for longest. */
  closeOldest(count: number): void
  /** Closes all, those that carry something once they do not. */
  closeAll(): void
}

/** A pool whose connections carry many requests at once: those it makes are its own to dial and to count. */
export interface MultiplexingPool extends TargetPool {
  /** As `Transport.dial`, for one request. */
  dial(handler: ConnHandler): Conn
  /** The connection that carries this request, or will carry it, takes no others after it. */
  retire(conn: Conn): void
}
