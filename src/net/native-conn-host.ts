import type { Clock } from '../core/clock.js'
import type { NativeAddon } from '../native/addon.js'
import type { NativeConn } from './native-conn.js'
import type { Closing } from './native-opening.js'
import type { NativeTls } from './native-tls.js'
import type { SpareBlocks } from './spare-blocks.js'

/** Bytes read at once at the most. Larger reads save system calls on bodies and cost cache; one buffer serves a thread. */
export const READ_BYTES = 128 * 1024

/** What a connection needs of the transport that it belongs to. */
export interface NativeConnHost {
  readonly addon: NativeAddon
  readonly clock: Clock
  readonly readBuffer: Uint8Array
  readonly scratch: Uint8Array
  readonly spareBlocks: SpareBlocks
  /** Made when it is first asked for; only for connections that speak it. */
  readonly tls: NativeTls
  /** Bytes wait that no event will announce again: `readOn` is to be called. */
  readLater(conn: NativeConn): void
  /** It failed in the middle of a call: `closeFailed` is to be called once the caller is done. */
  failLater(conn: NativeConn): void
  /** Closes an adopted descriptor. */
  drop(fd: number, how: Closing): void
  /** It is closed. */
  forget(conn: NativeConn): void
  /** A handler threw. */
  onFault(fault: unknown): void
}
