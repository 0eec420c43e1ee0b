import type { Conn, ConnHandler } from '../../core/conn.js'
import type { Target } from '../target.js'
import type { TargetGroup } from '../target-group.js'

/** More than one client has use for: a browser opens six connections, and each of them is a client here. */
const CAPACITY = 8

/**
 * Idle connections to targets that belong to one client connection, because the target authenticates whoever uses them
 * (NTLM, Negotiate). They serve nobody else and are closed with the client's (RFC 9110 3.3).
 */
export class PinnedConnections implements ConnHandler {
  readonly #conns: Conn[] = []
  readonly #targets: Target[] = []
  /** The targets' epochs when the connections were put here. */
  readonly #epochs: number[] = []

  /** The slot of the target that was used last among those of the group, −1 without one. */
  slotIn(group: TargetGroup): number {
    for (let i = this.#targets.length - 1; i >= 0; i--) {
      const { slot } = this.#targets[i]!
      if (group.bySlot(slot) === this.#targets[i]) return slot
    }
    return -1
  }

  /** The connection to that target, whose handler is the caller's to set, or undefined. */
  take(target: Target): Conn | undefined {
    const at = this.#targets.lastIndexOf(target)
    if (at < 0) return undefined
    const isCurrent = this.#epochs[at] === target.epoch
    const conn = this.#remove(at)
    if (isCurrent) return conn
    // The target's name means another host by now, or it is spoken to with other certificates.
    this.#close(conn, target)
    return undefined
  }

  put(conn: Conn, target: Target): void {
    conn.handler = this
    this.#conns.push(conn)
    this.#targets.push(target)
    this.#epochs.push(target.epoch)
    if (this.#conns.length > CAPACITY) this.#closeAt(0)
  }

  /** The target's time is over. */
  onTargetRemoved(targetSlot: number): void {
    for (let i = this.#targets.length - 1; i >= 0; i--) if (this.#targets[i]!.slot === targetSlot) this.#closeAt(i)
  }

  /** The client is not given to other targets any more than those of these routes. */
  closeOutside(routes: { serves(target: Target): boolean }): void {
    for (let i = this.#targets.length - 1; i >= 0; i--) if (!routes.serves(this.#targets[i]!)) this.#closeAt(i)
  }

  /** The client is gone. */
  closeAll(): void {
    this.#epochs.length = 0
    while (this.#conns.length > 0) this.#close(this.#conns.pop()!, this.#targets.pop()!)
  }

  onOpen(): void {}

  /** Bytes or the end of the stream between two requests mean that it must not serve another one. */
  onData(conn: Conn): void {
    conn.abort()
  }

  onEnd(conn: Conn): void {
    conn.close()
  }

  onWritable(): void {}

  onClose(conn: Conn): void {
    const at = this.#conns.indexOf(conn)
    if (at < 0) return
    const target = this.#targets[at]!
    this.#remove(at)
    target.connectionClosed()
  }

  #remove(at: number): Conn {
    this.#targets.splice(at, 1)
    this.#epochs.splice(at, 1)
    return this.#conns.splice(at, 1)[0]!
  }

  #closeAt(at: number): void {
    const target = this.#targets[at]!
    this.#close(this.#remove(at), target)
  }

  /** The pool counts the end of what it does not hold, too. */
  #close(conn: Conn, target: Target): void {
    conn.handler = target.pool
    conn.close()
  }
}
