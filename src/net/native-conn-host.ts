import type { Clock } from '../core/clock.js'
import type { Closing } from './native-closing.js'
import type { NativeIo } from './native-io.js'
import type { SpareBlocks } from './spare-blocks.js'

/** Bytes read at once at the most. Larger reads save system calls on bodies and cost cache; one buffer serves a thread. */
export const READ_BYTES = 128 * 1024

/** What a connection, of type `C`, needs of the transport that it belongs to. */
export interface NativeConnHost<C> extends NativeIo {
  readonly clock: Clock
  readonly spareBlocks: SpareBlocks
  /** Bytes wait that no event will announce again: `readOn` is to be called. */
  readLater(conn: C): void
  /** It failed in the middle of a call: `closeFailed` is to be called once the caller is done. */
  failLater(conn: C): void
  /** Closes an adopted descriptor. */
  drop(fd: number, how: Closing): void
  /** It is closed. */
  forget(conn: C): void
  /** A handler threw. */
  onFault(fault: unknown): void
}
