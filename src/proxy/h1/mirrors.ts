// Hot path of rules with a mirror: one copy per request, in memory that is used again.
import type { SocketShare } from '../../core/conn.js'
import type { RequestParser } from '../../http/request-parser.js'
import { MIRROR_DROPPED } from '../mirror-route.js'
import type { RequestInfo } from '../request-info.js'
import type { Http1Context } from './h1-context.js'
import { MirroredRequest, type MirrorHome } from './mirrored-request.js'
import type { Requester } from './requester.js'

/** Copies that are with targets at once, and those whose request is still on its way from the client. */
const MOST_IN_FLIGHT = 128
const MOST_INCOMPLETE = 1_024
/** What all of them may take up. */
const MOST_BYTES = 16 * 1024 * 1024

/**
 * The copies of requests that a thread sends to mirrors. A copy is kept until its request is whole, and goes out once the
 * loop has seen to everything else. What is beyond the bounds is dropped: nothing waits for a mirror.
 */
export class Mirrors implements MirrorHome {
  /**
   * What sockets of copies are counted in, with one that there is not: so none is opened unless several are free, and all
   * together have no more than a share of these.
   */
  readonly share: SocketShare = { held: 1 }
  readonly #context: Http1Context
  readonly #free: MirroredRequest[] = []
  #incomplete = 0
  #inFlight = 0
  #bytes = 0
  /** Complete ones, which count as in flight. */
  #due: MirroredRequest[] = []
  #sending: MirroredRequest[] = []
  readonly #send = (): void => this.#sendDue()

  constructor(context: Http1Context) {
    this.#context = context
  }

  /**
   * The copy of a request whose head, as its target gets it, lies in the first `headEnd` bytes of scratch; undefined where
   * none is made, which is counted, or where none was to be made. One without a body is on its way.
   */
  copy(session: Requester, info: RequestInfo, parser: RequestParser, headEnd: number): MirroredRequest | undefined {
    const route = session.route.mirror!
    if (!route.isNext()) return undefined
    const isTooLarge = parser.contentLength > route.maxBodyBytes
    if (isTooLarge || info.upgrade !== '' || this.#incomplete >= MOST_INCOMPLETE || !this.#hasRoom(headEnd)) {
      route.count(MIRROR_DROPPED)
      return undefined
    }
    const copy = this.#free.pop() ?? new MirroredRequest(this.#context, this)
    this.#incomplete++
    this.#bytes += headEnd
    return copy.begin(session, route, info, parser, headEnd) ? copy : undefined
  }

  grow(bytes: number): boolean {
    if (!this.#hasRoom(bytes)) return false
    this.#bytes += bytes
    return true
  }

  submit(copy: MirroredRequest): boolean {
    if (this.#inFlight >= MOST_IN_FLIGHT) return false
    this.#incomplete--
    this.#inFlight++
    if (this.#due.push(copy) === 1) setImmediate(this.#send)
    return true
  }

  forget(copy: MirroredRequest, bytes: number, wasInFlight: boolean): void {
    this.#bytes -= bytes
    if (wasInFlight) this.#inFlight--
    else this.#incomplete--
    if (copy.isSmall && this.#free.length < MOST_IN_FLIGHT) this.#free.push(copy)
  }

  #hasRoom(bytes: number): boolean {
    return this.#bytes + bytes <= MOST_BYTES
  }

  #sendDue(): void {
    const due = this.#due
    this.#due = this.#sending
    this.#sending = due
    for (let i = 0; i < due.length; i++) due[i]!.send()
    due.length = 0
  }
}
