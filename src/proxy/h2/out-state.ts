/** How far what is written to a stream has come. */

/** What is written has not begun, or is a head that another follows. */
export const OUT_HEAD = 0
export const OUT_BODY = 1
/** The message is out: END_STREAM was sent. */
export const OUT_DONE = 2
/** Bytes both ways, as they are (RFC 8441). */
export const OUT_TUNNEL = 3
