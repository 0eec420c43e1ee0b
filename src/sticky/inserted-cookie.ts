// Hot path: one look-up a request in groups with an inserted cookie.
import { createHmac } from 'node:crypto'
import type { StickyCookieConfig } from '../core/config.js'

const VALUE_BYTES = 32

/** One target's cookie: what clients send back, and the line that gives it to them. */
interface Issued {
  readonly slot: number
  readonly value: Uint8Array
  readonly line: Uint8Array
  /** The same for clients that came over TLS. */
  readonly secureLine: Uint8Array
}

export interface InsertedCookieOptions extends StickyCookieConfig {
  /** Hosts with the same secret issue the same cookies. */
  readonly secret: string
  readonly group: string
}

/**
 * The cookie that Castor inserts: nothing except a keyed hash of the target's id, so that every host with the same secret
 * understands it, now and after a restart, with nothing remembered; and nobody else learns a thing about the targets.
 */
export class InsertedCookie {
  readonly #options: InsertedCookieOptions
  #bySlot = new Map<number, Issued>()
  /** By the first four bytes of the value; those that share them are told apart by the rest. */
  #byPrefix = new Map<number, Issued[]>()

  constructor(options: InsertedCookieOptions) {
    this.#options = options
  }

  /** These are the targets that there are now: others have no cookie, and a cookie of theirs names nothing. */
  setTargets(targets: readonly { readonly slot: number; readonly id: string }[]): void {
    const options = this.#options
    this.#bySlot = new Map()
    this.#byPrefix = new Map()
    for (const { slot, id } of targets) {
      const text = cookieValue(options.secret, options.group, id)
      const value = Buffer.from(text, 'latin1')
      const line = (secure: boolean): Uint8Array => Buffer.from(setCookie(options, text, secure), 'latin1')
      const issued = { slot, value, line: line(false), secureLine: line(true) }
      this.#bySlot.set(slot, issued)
      const prefix = prefixOf(value, 0)
      this.#byPrefix.set(prefix, [...(this.#byPrefix.get(prefix) ?? []), issued])
    }
  }

  /** The slot that the value in [from, to) names, −1 where it names none. */
  slotOf(buffer: Uint8Array, from: number, to: number): number {
    if (to - from !== VALUE_BYTES) return -1
    const candidates = this.#byPrefix.get(prefixOf(buffer, from))
    if (candidates === undefined) return -1
    for (const { slot, value } of candidates) if (isSame(value, buffer, from)) return slot
    return -1
  }

  /** The Set-Cookie line for a response from that target; `secure` where the client came over TLS. */
  lineFor(slot: number, secure: boolean): Uint8Array | undefined {
    const issued = this.#bySlot.get(slot)
    return secure ? issued?.secureLine : issued?.line
  }
}

/** 128 bits in hex. */
export function cookieValue(secret: string, group: string, target: string): string {
  const hmac = createHmac('sha256', `castor sticky cookie ${secret}`)
  return hmac.update(`${group}\u0000${target}`).digest('hex').slice(0, VALUE_BYTES)
}

const SAME_SITE = { lax: 'Lax', strict: 'Strict', none: 'None' } as const

function setCookie(config: StickyCookieConfig, value: string, overTls: boolean): string {
  const domain = config.domain === '' ? '' : `; Domain=${config.domain}`
  const age = config.maxAgeSeconds > 0 ? `; Max-Age=${config.maxAgeSeconds}` : ''
  const secure = (config.secure === 'auto' ? overTls : config.secure) ? '; Secure' : ''
  const sameSite = SAME_SITE[config.sameSite]
  return `Set-Cookie: ${config.name}=${value}; Path=/${domain}; HttpOnly; SameSite=${sameSite}${age}${secure}\r\n`
}

function prefixOf(buffer: Uint8Array, at: number): number {
  return (buffer[at]! << 24) | (buffer[at + 1]! << 16) | (buffer[at + 2]! << 8) | buffer[at + 3]!
}

function isSame(value: Uint8Array, buffer: Uint8Array, at: number): boolean {
  for (let i = 0; i < VALUE_BYTES; i++) if (value[i] !== buffer[at + i]) return false
  return true
}
