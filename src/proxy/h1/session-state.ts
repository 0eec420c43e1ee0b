/** Where a client's connection stands. */
export const READING = 0
export const EXCHANGING = 1
/** The last answer is out; what the client still sends is thrown away, so that it reads the answer before a reset. */
export const LINGERING = 2
export const TUNNELLING = 3
/** The answer is on its way to a client that reads slowly; the next request waits until it is out. */
export const FLUSHING = 4
export const ENDED = 5
/** A response without framing was cut: what came of it is delivered before the reset that tells. */
export const CUTTING = 6

/** While a head is awaited nobody may make Castor keep more than this of what comes behind it. */
export const HEAD_READ_BYTES = 16 * 1024
export const BODY_READ_BYTES = 128 * 1024
/** Time for the last bytes to arrive before a reset that would overtake them. */
export const CUT_MS = 1_000
/** How long what is thrown away is awaited where nobody waits for it: of a slow client, or while the thread drains. */
export const LINGER_MS = 2_000
/** So much of a body that nobody wants is read, since many clients read nothing before they have sent it (RFC 9112 9.6). */
export const LINGER_BYTES = 1024 * 1024 * 1024
/** Timers look at a session at least this often, which keeps byte counters fresh. */
export const POLL_MS = 1_000
export const CONTINUE = Buffer.from('HTTP/1.1 100 Continue\r\n\r\n', 'latin1')
