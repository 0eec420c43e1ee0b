import type { Listener } from '../../src/proxy/listener.js'
import type { WorkerContext } from '../../src/proxy/worker-context.js'
import type { LiveConfiguration } from './live-configuration.js'

/** What is drained. */
interface Draining {
  readonly context: WorkerContext
  readonly live: LiveConfiguration
}

/** How often a draining thread looks whether the last connection has gone. */
const POLL_MS = 20
/** How long those that were cut have to take what is queued for them, and their end. */
const CUT_MS = 1_500
/** How long an idle connection of a listener that is gone may still bring a request that is on its way. */
const IDLE_GRACE_MS = 1_000

/**
 * Lets what is in flight finish: idle connections close after `idleGraceMs`, or when they have carried one more request; requests get their answer, tunnels go on until
 * `timeoutMs`, when what is left is cut, tunnels in order. Resolves when no connection is left.
 */
export function drain(thread: Draining, timeoutMs: number, idleGraceMs: number): Promise<void> {
  const { context, live } = thread
  live.drain()
  context.clock.refresh()
  const closeIdle = (): void => {
    for (const session of context.drainables.now()) session.drain()
  }
  if (idleGraceMs === 0) closeIdle()
  for (const set of live.allSets()) set.closeIdle()
  return new Promise((resolve) => {
    const finish = (): void => {
      clearInterval(look)
      clearTimeout(deadline)
      clearTimeout(idle)
      for (const session of context.drainables.now()) session.cut()
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

/**
 * Lets go of the connections of listeners that are gone. Each may carry one more request, and closes when it is idle after
 * a moment. Requests finish, and tunnels and long answers live on for as long as they would have: nobody except the
 * configuration wants them to end, and its other listeners go on.
 */
export function drainListeners({ context }: Pick<Draining, 'context'>, gone: readonly Listener[]): void {
  if (gone.length === 0) return
  setTimeout(() => {
    for (const session of context.drainables.now()) if (gone.includes(session.listener)) session.drain()
  }, IDLE_GRACE_MS)
}
