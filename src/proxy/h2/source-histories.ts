import type { Endpoint } from '../../core/conn.js'
import { FloodHistory } from '../../http/h2/flood-history.js'
import { ipFromBytes, ipToBytes } from '../../net/ip-bytes.js'

/** Sources remembered; at some 200 bytes each that is a few MiB. */
const MOST_SOURCES = 16_384
/** What an IPv6 customer is given whole: any address in it is the same source. */
const PREFIX_BYTES = 8

const bytes = new Uint8Array(16)

/**
 * The flood histories of the sources of a thread's clients. Each thread has its own: no request touches shared memory for
 * it, and a source gets at most so many budgets as there are threads, however often it comes back.
 */
export class SourceHistories {
  /** The one that was asked for longest ago comes first. */
  readonly #histories = new Map<string, FloodHistory>()
  readonly #most: number

  constructor(most = MOST_SOURCES) {
    this.#most = most
  }

  /** A connection from there begins. */
  open(client: Endpoint): FloodHistory {
    const key = sourceOf(client)
    const known = this.#histories.get(key)
    if (known !== undefined) this.#histories.delete(key)
    else if (this.#histories.size >= this.#most) this.#forgetOldest()
    const history = known ?? new FloodHistory()
    this.#histories.set(key, history)
    return history
  }

  /** Connections that are open keep theirs. */
  #forgetOldest(): void {
    for (const key of this.#histories.keys()) {
      this.#histories.delete(key)
      return
    }
  }
}

/** An IPv4 address, or the /64 of an IPv6 one. */
export function sourceOf({ family, address }: Endpoint): string {
  if (family === 4 || ipToBytes(address, bytes, 0) !== 16) return address
  bytes.fill(0, PREFIX_BYTES)
  return ipFromBytes(bytes, 0, 16)
}
