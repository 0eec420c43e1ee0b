import type { ProxyThread } from './assemble.js'

/** How often a draining thread looks whether the last connection has gone. */
const POLL_MS = 20
/** How long those that were cut have to take what is queued for them, and their end. */
const CUT_MS = 1_500

/**
 * Lets what is in flight finish: idle connections close after `idleGraceMs`, or when they have carried one more request; requests get their answer, tunnels go on until
 * `timeoutMs`, when what is left is cut, tunnels in order. Resolves when no connection is left.
 */
export function drain(thread: ProxyThread, timeoutMs: number, idleGraceMs: number): Promise<void> {
  const { context, groups, listeners } = thread
  for (const listener of listeners) listener.draining = true
  context.clock.refresh()
  const closeIdle = (): void => {
    for (const session of [...context.drainables]) session.drain()
  }
  if (idleGraceMs === 0) closeIdle()
  for (const group of groups) group.set.closeIdle()
  return new Promise((resolve) => {
    const finish = (): void => {
      clearInterval(look)
      clearTimeout(deadline)
      clearTimeout(idle)
      for (const session of [...context.drainables]) session.cut()
      if (context.drainables.size === 0) {
        resolve()
        return
      }
      const untilMs = performance.now() + CUT_MS
      const gone = setInterval(() => {
        if (context.drainables.size > 0 && performance.now() < untilMs) return
        clearInterval(gone)
        resolve()
      }, POLL_MS)
    }
    const look = setInterval(() => {
      if (context.drainables.size === 0) finish()
    }, POLL_MS)
    const deadline = setTimeout(finish, timeoutMs)
    const idle = setTimeout(closeIdle, idleGraceMs)
    if (context.drainables.size === 0) finish()
  })
}
