import { AHEAD_BYTES, AHEAD_END, AHEAD_NOTHING, type Ahead } from '../core/conn.js'
import type { TlsInfo } from '../core/tls.js'
import { AddressedConn } from './addressed-conn.js'

/** What the system knows of a connection beside its addresses, for whoever must decide whether a request may go on it. */
export abstract class DescriptorConn extends AddressedConn {
  abstract readonly tls: TlsInfo | undefined
  abstract readonly closed: boolean
  abstract readonly dialledMs: number
  unacknowledgedBytes = 0

  lookAhead(): Ahead {
    const ahead = this.closed ? AHEAD_END : this.addon.ahead(this.fd)
    return ahead === AHEAD_NOTHING || ahead === AHEAD_BYTES ? ahead : AHEAD_END
  }

  /**
   * The peer's end was read. Its system said with it how much it had of what was sent; behind a reset, which tells no such
   * thing, this is not called. Only whoever dialled has something to send again.
   */
  protected noteEnd(): void {
    if (this.dialledMs === 0 || this.tls !== undefined) return
    this.unacknowledgedBytes = Math.max(0, this.addon.unacknowledged(this.fd))
  }
}
