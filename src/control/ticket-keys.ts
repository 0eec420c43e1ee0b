import { randomBytes } from 'node:crypto'
import { areTicketKeys } from '../core/mesh-rules.js'
import type { TicketKeyStore } from '../core/ticket-keys.js'
import { MAX_TICKET_KEYS, TICKET_KEY_BYTES } from '../core/tls.js'

/** A stolen key opens the sessions of its time only: the shorter that is, the better; every change costs handshakes. */
export const ROTATE_MS = 8 * 60 * 60 * 1000
/** The one that makes tickets, and the two before it that still read them. */
export const KEPT_KEYS = 3

/** Ticket keys of this process: made here, changed every eight hours, kept in memory only. */
export class LocalTicketKeys implements TicketKeyStore {
  onChange: (keys: Uint8Array) => void = () => {}
  #keys: Uint8Array = randomBytes(TICKET_KEY_BYTES)
  #timer: NodeJS.Timeout | undefined
  readonly #rotateMs: number

  constructor(rotateMs = ROTATE_MS) {
    this.#rotateMs = rotateMs
  }

  get current(): Uint8Array {
    return this.#keys
  }

  start(): void {
    this.stop()
    this.#timer = setInterval(() => this.rotate(), this.#rotateMs)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /** A new key makes tickets from now on. */
  rotate(): void {
    const old = this.#keys.subarray(0, (KEPT_KEYS - 1) * TICKET_KEY_BYTES)
    this.#set(Buffer.concat([randomBytes(TICKET_KEY_BYTES), old]))
  }

  /** Where others make the keys, the next one of this process's own is a whole period away. */
  adopt(keys: Uint8Array): void {
    if (!areTicketKeys(keys)) {
      const allowed = `1 to ${MAX_TICKET_KEYS} ticket keys of ${TICKET_KEY_BYTES} bytes each`
      throw new RangeError(`${allowed} can be adopted, and ${keys.length} bytes were given`)
    }
    if (this.#timer !== undefined) this.start()
    this.#set(Uint8Array.from(keys))
  }

  #set(keys: Uint8Array): void {
    this.#keys = keys
    this.onChange(keys)
  }
}
