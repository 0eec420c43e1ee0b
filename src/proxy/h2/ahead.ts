/** Bytes of a response that a target may be ahead of a client of HTTP/2, for each stream, whatever else there is. */
export const SHARE_BYTES = 16 * 1024
/** The same for a stream whose client takes what comes, as long as its connection has room for that. */
export const WIDE_BYTES = 64 * 1024
/** The room of a connection: what its streams may have on top of their shares. */
const ROOM_BYTES = 1024 * 1024

/**
 * How far targets may be ahead of one client connection, over all its streams: a share each, and more for those that are
 * read as fast as they are written. So a connection makes Castor hold at most `maxConcurrentStreams` shares and the room,
 * however the windows of its streams open and shut.
 */
export class AheadBudget {
  #roomBytes = ROOM_BYTES

  /** True where a stream may have `WIDE_BYTES` from now on; each is to be given back. */
  widen(): boolean {
    if (this.#roomBytes < WIDE_BYTES) return false
    this.#roomBytes -= WIDE_BYTES
    return true
  }

  giveBack(): void {
    this.#roomBytes += WIDE_BYTES
  }
}
