import { isTimeUp } from '../../patience.js'

const POLL_MS = 10

/**
 * What `look` gives once that is neither undefined nor false; rejects, naming `what`, when it has not come in time. A
 * `look` that throws has not come either, and is named as the cause.
 */
export async function until<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
  timeoutMs = 5_000,
): Promise<T> {
  const sinceMs = performance.now()
  for (;;) {
    let cause: unknown
    try {
      const found = await look()
      if (found !== undefined && found !== false) return found
    } catch (error) {
      cause = error
    }
    if (isTimeUp(sinceMs, timeoutMs)) throw new Error(`${what}: not within ${timeoutMs} ms`, { cause })
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}

/** Resolves once `measure` has given the same number for `forMs`; rejects when it never stands still. */
export async function settled(what: string, measure: () => number, forMs = 200, timeoutMs = 10_000): Promise<number> {
  let last = measure()
  let sinceMs = performance.now()
  await until(
    `${what} standing still`,
    () => {
      const now = measure()
      if (now !== last) {
        last = now
        sinceMs = performance.now()
      }
      return performance.now() - sinceMs >= forMs
    },
    timeoutMs,
  )
  return last
}
