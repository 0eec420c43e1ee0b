/** Long enough for a slow start and a lost packet or two. */
const WINDOW_MS = 5_000

/**
 * Whether a client sends its body at least so fast, over windows of five seconds: a few bytes now and then, which would
 * keep an idle timer content for ever, are not enough. Pure arithmetic; somebody asks about once a second.
 */
export class BodyPace {
  #windowStartMs = 0
  #windowStartBytes = 0

  /** The body begins. */
  begin(nowMs: number): void {
    this.#windowStartMs = nowMs
    this.#windowStartBytes = 0
  }

  /** False once a window has ended with fewer than `minBytesPerSecond`. `excused`: it is not the client's turn. */
  isFastEnough(nowMs: number, bytes: number, minBytesPerSecond: number, excused: boolean): boolean {
    const windowMs = nowMs - this.#windowStartMs
    if (excused) {
      this.#windowStartMs = nowMs
      this.#windowStartBytes = bytes
      return true
    }
    if (windowMs < WINDOW_MS) return true
    const enough = (bytes - this.#windowStartBytes) * 1000 >= minBytesPerSecond * windowMs
    this.#windowStartMs = nowMs
    this.#windowStartBytes = bytes
    return enough
  }
}
