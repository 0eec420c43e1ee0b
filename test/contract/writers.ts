import type { Conn } from '../../src/core/conn.js'
import type { Recorder } from './recorder.js'

/** More than the kernel holds for one direction of a connection on loopback. */
export const PLENTY = 24 * 1024 * 1024
export const PIECE = 256 * 1024

/** Writes everything in pieces, waits whenever it is told to, and spoils each piece as soon as it is written. */
export async function send(
  conn: Conn,
  recorder: Recorder,
  bytes: Buffer,
  pieceBytes: number,
  lent: Uint8Array,
): Promise<void> {
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const length = Math.min(pieceBytes, bytes.length - at)
    lent.set(bytes.subarray(at, at + length))
    const writable = recorder.count('writable')
    const taken = conn.write(lent, 0, length)
    lent.fill(0xaa, 0, length)
    if (!taken) await recorder.until(() => recorder.count('writable') > writable)
  }
}

/** Writes from `from` on until it is told to wait; answers up to where. */
export function fill(conn: Conn, bytes: Buffer, from = 0): number {
  for (let at = from; at < bytes.length; at += PIECE) {
    const end = Math.min(at + PIECE, bytes.length)
    if (!conn.write(bytes, at, end)) return end
  }
  throw new Error(`${bytes.length} bytes were not too much`)
}

/** The same until there is no room after `settle` either: the system may take the last piece a moment later. */
export async function fillUp(
  conn: Conn,
  recorder: Recorder,
  bytes: Buffer,
  settle: () => Promise<void>,
): Promise<number> {
  for (let end = 0; ; ) {
    const writable = recorder.count('writable')
    end = fill(conn, bytes, end)
    await settle()
    if (recorder.count('writable') === writable) return end
  }
}
