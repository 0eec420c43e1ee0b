// Hot path: every stream is entered here, and struck off.
import type { H2Role } from './engine.js'
import type { Http2Stream } from './stream.js'
import { StreamMap } from './stream-map.js'

/** Frames for streams that we reset may be under way for a while; so many of the latest are known. */
const REMEMBERED_RESETS = 64

/** The streams of one connection that are not closed, and what is known of those that are (RFC 9113, 5.1). */
export class StreamTable {
  readonly open = new StreamMap()
  /** A client's streams that have sent nothing yet, and so have no id: few, and the last one sends first. */
  readonly unsent: Http2Stream[] = []
  /** The highest id the peer has used. */
  lastRemoteId = 0
  /** The id of the next stream of ours. */
  nextLocalId = 1
  /** Our own. */
  readonly role: H2Role
  /** The ids that the peer left out last are [`#skippedFrom`, `#skippedTo`). */
  #skippedFrom = 0
  #skippedTo = 0
  #resets: Int32Array | undefined
  #resetCount = 0

  constructor(role: H2Role) {
    this.role = role
  }

  get size(): number {
    return this.open.size + this.unsent.length
  }

  /** As of now, to be walked through while callbacks open and close some. */
  all(): Http2Stream[] {
    return [...this.open.values(), ...this.unsent]
  }

  remove(stream: Http2Stream): void {
    if (stream.id === 0) this.#forgetUnsent(stream)
    else this.open.delete(stream.id)
  }

  #forgetUnsent(stream: Http2Stream): void {
    const { unsent } = this
    const at = unsent.lastIndexOf(stream)
    if (at < 0) return
    const last = unsent.pop()!
    if (last !== stream) unsent[at] = last
  }

  /** A client's stream gets its number with its first frame, since numbers must go out in order (RFC 9113, 5.1.1). */
  giveId(stream: Http2Stream): number {
    this.#forgetUnsent(stream)
    stream.id = this.nextLocalId
    this.nextLocalId += 2
    this.open.add(stream)
    return stream.id
  }

  /** Neither side has used the id: all frames but HEADERS and PRIORITY are errors. */
  isIdle(id: number): boolean {
    // Servers open none, since nothing is pushed: even ids stay idle for ever.
    if ((id & 1) === 0) return true
    return this.role === 'server' ? id > this.lastRemoteId : id >= this.nextLocalId
  }

  /** The peer uses an id for the first time, one higher than all before it. */
  takeRemoteId(id: number): void {
    if (id > this.lastRemoteId + 2) {
      this.#skippedFrom = this.lastRemoteId + 1
      this.#skippedTo = id
    }
    this.lastRemoteId = id
  }

  /** The peer has passed it over, and may not come back to it (RFC 9113, 5.1.1). Of several gaps the latest is known. */
  wasSkipped(id: number): boolean {
    return id >= this.#skippedFrom && id < this.#skippedTo
  }

  rememberReset(id: number): void {
    this.#resets ??= new Int32Array(REMEMBERED_RESETS)
    this.#resets[this.#resetCount++ % REMEMBERED_RESETS] = id
  }

  /** We reset it, lately: what still comes for it is no fault of the peer. */
  wasReset(id: number): boolean {
    return this.#resets?.includes(id) ?? false
  }

  /** So many were reset that not all are remembered: a frame for a closed stream proves no fault. */
  get forgets(): boolean {
    return this.#resetCount > REMEMBERED_RESETS
  }
}
