import type { ConnHandler } from '../core/conn.js'

/** For a dial that nobody waits for any more. */
export const DISCARD: ConnHandler = {
  onOpen: (conn) => conn.abort(),
  onData: () => {},
  onEnd: () => {},
  onWritable: () => {},
  onClose: () => {},
}
