import { isTimeUp } from '../../patience.js'

const POLL_MS = 5
/** How often a wait that has become long is looked at. */
const GUARD_MS = 100

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Resolves once `condition` holds; rejects, naming `what`, when it has not come true in time. */
export async function eventually(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 5_000,
): Promise<void> {
  const sinceMs = performance.now()
  while (!(await condition())) {
    if (isTimeUp(sinceMs, timeoutMs)) throw new Error(`${what}: not within ${timeoutMs} ms`)
    await pause(POLL_MS)
  }
}

/** Resolves when `condition` has stayed false for `forMs`; rejects, naming `what`, the moment it becomes true. */
export async function never(what: string, condition: () => boolean, forMs = 150): Promise<void> {
  const endMs = performance.now() + forMs
  while (performance.now() < endMs) {
    if (condition()) throw new Error(`${what}: should not have happened`)
    await pause(POLL_MS)
  }
}

/** What the promise gives, or a rejection that names `what` when it takes too long. */
export async function within<T>(what: string, promise: Promise<T>, timeoutMs = 5_000): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const sinceMs = performance.now()
  const late = new Promise<never>((_, reject) => {
    const look = (): void => {
      if (isTimeUp(sinceMs, timeoutMs)) reject(new Error(`${what}: not within ${timeoutMs} ms`))
      else timer = setTimeout(look, GUARD_MS)
    }
    timer = setTimeout(look, timeoutMs)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** How long the promise took, in milliseconds, and what it gave. */
export async function timed<T>(promise: Promise<T>): Promise<{ ms: number; value: T }> {
  const startMs = performance.now()
  const value = await promise
  return { ms: performance.now() - startMs, value }
}
