import type { Conn } from '../core/conn.js'

/** Something has come on `conn`, or it is closed: whoever waited for that is told, once. */
export function endSilence(conn: Conn): void {
  const { silence } = conn
  if (silence === undefined) return
  conn.silence = undefined
  silence.over()
}
