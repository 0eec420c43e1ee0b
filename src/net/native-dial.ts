import type { SocketShare } from '../core/conn.js'
import { EMFILE } from '../native/addon.js'
import type { WaitingDial } from './dial-room.js'
import type { NativeConn } from './native-conn.js'

/** What makes the sockets of dials. */
export interface NativeDialler {
  /** 0, or a negative errno where this host has no socket for it. */
  tryBegin(
    conn: NativeConn,
    address: string,
    port: number,
    share: SocketShare | undefined,
    keepAliveSeconds: number,
  ): number
}

/** A dial that this host had no socket for. */
export class NativeDial implements WaitingDial {
  readonly share: SocketShare | undefined
  readonly #dialler: NativeDialler
  readonly #conn: NativeConn
  readonly #address: string
  readonly #port: number
  readonly #keepAliveSeconds: number
  /** What was missing the last time; where the budget was used up, what would have been missing without it. */
  #error = EMFILE

  constructor(
    dialler: NativeDialler,
    conn: NativeConn,
    address: string,
    port: number,
    share: SocketShare | undefined,
    keepAliveSeconds: number,
  ) {
    this.#dialler = dialler
    this.#conn = conn
    this.#address = address
    this.#port = port
    this.#keepAliveSeconds = keepAliveSeconds
    this.share = share
  }

  get abandoned(): boolean {
    return this.#conn.closed
  }

  tryBegin(): boolean {
    const error = this.#dialler.tryBegin(this.#conn, this.#address, this.#port, this.share, this.#keepAliveSeconds)
    if (error !== 0) this.#error = error
    return error === 0
  }

  giveUp(): void {
    this.#conn.fail(this.#error)
  }

  abort(): void {
    this.#conn.abort()
  }
}
