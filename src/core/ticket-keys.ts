/**
 * The keys by which clients' session tickets are made and read: those of this process alone, or shared with other hosts.
 * All threads use the same, so that a session begun on one goes on in another.
 */
export interface TicketKeyStore {
  /** Keys of TICKET_KEY_BYTES one behind the other, the newest first: it makes tickets, all of them read them. */
  readonly current: Uint8Array
  /** Told of every change, with what holds from then on. One listener; set before `start`. */
  onChange: (keys: Uint8Array) => void
  /** Keys from outside take the place of those that are here. Throws RangeError where they are no whole number of keys. */
  adopt(keys: Uint8Array): void
  start(): void
  /** Idempotent. */
  stop(): void
}
