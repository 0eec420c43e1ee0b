import type { Logger } from './log.js'

/** A timer that fails each time says so this often, however often it runs. */
const AGAIN_MS = 10_000

/** What is logged of it. */
export const FAULT = 'a fault in the work of a thread; the thread goes on'

/**
 * `run` for a timer or a message: what it throws is logged and ends nothing, since the thread has connections to serve.
 * `what` is what fails, as the log line calls it.
 */
export function guard<Args extends unknown[]>(
  log: Logger,
  what: string,
  run: (...args: Args) => void,
): (...args: Args) => void {
  let saidMs = Number.NEGATIVE_INFINITY
  return (...args) => {
    try {
      run(...args)
    } catch (err) {
      if (performance.now() - saidMs < AGAIN_MS) return
      saidMs = performance.now()
      log.error({ err, what }, FAULT)
    }
  }
}
