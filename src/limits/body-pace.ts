/** What a client may wait before it must have sent anything: a slow start, a line that is gone for a while. */
const GRACE_MS = 20_000

/**
 * Whether a client sends the bodies of its requests at least so fast: a few bytes now and then, which would keep an idle
 * timer content for ever, are not enough. One per client connection, whose bodies share a line. Time runs while a body is
 * awaited and nothing holds the client back; bytes pay for time at the minimum rate, those that came early too. It begins
 * anew once no body is under way. Pure arithmetic; somebody asks about once a second.
 */
export class BodyPace {
  readonly #graceMs: number
  readonly #minBytesPerSecond: number
  #awaited = 0
  #held = 0
  #startBytes = 0
  /** Time that ran, up to `#sinceMs`. */
  #ranMs = 0
  #sinceMs = 0

  /** A `minBytesPerSecond` of 0 demands nothing; nobody gets more grace than `idleTimeoutMs`. */
  constructor(minBytesPerSecond: number, idleTimeoutMs: number) {
    this.#minBytesPerSecond = minBytesPerSecond
    this.#graceMs = Math.min(GRACE_MS, idleTimeoutMs)
  }

  /** A body begins; the connection has brought `bytes` up to now. */
  begin(nowMs: number, bytes: number): void {
    this.#advance(nowMs)
    if (this.#awaited === 0) {
      this.#ranMs = 0
      this.#startBytes = bytes
    }
    this.#awaited++
  }

  /** One of the bodies is there, or is awaited no longer. */
  end(nowMs: number): void {
    this.#advance(nowMs)
    this.#awaited--
  }

  /** One of the bodies is not taken: what the client has to send may not find room. */
  hold(nowMs: number): void {
    this.#advance(nowMs)
    this.#held++
  }

  /** It is taken again. */
  release(nowMs: number): void {
    this.#advance(nowMs)
    this.#held--
  }

  /** False once more time has run than `bytes`, those of the connection up to now, pay for. */
  isFastEnough(nowMs: number, bytes: number): boolean {
    this.#advance(nowMs)
    return (this.#ranMs - this.#graceMs) * this.#minBytesPerSecond <= (bytes - this.#startBytes) * 1000
  }

  #advance(nowMs: number): void {
    if (this.#awaited > 0 && this.#held === 0) this.#ranMs += nowMs - this.#sinceMs
    this.#sinceMs = nowMs
  }
}
