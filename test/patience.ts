import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'

/** No wait lasts longer than this for want of processors: tap ends a test file that takes two minutes. */
const LONGEST_MS = 60_000

/**
 * How many tasks want each processor: 1 where nothing else runs. The larger of now and the last minute, since each of the
 * two misses bursts that the other sees.
 */
function crowding(): number {
  const [minute = '1', , , tasks = '1/1'] = readFileSync('/proc/loadavg', 'latin1').split(' ')
  return Math.max(1, Number(minute) / availableParallelism(), Number.parseInt(tasks, 10) / availableParallelism())
}

/**
 * Whether to give up on something that has been waited for since `sinceMs` (of `performance.now()`). `timeoutMs` is what it
 * may take on a machine of its own; where each processor has many tasks it may take as many times longer. A wait like that
 * guards against hanging. What a test claims about time it has to measure.
 */
export function isTimeUp(sinceMs: number, timeoutMs: number): boolean {
  const waitedMs = performance.now() - sinceMs
  if (waitedMs <= timeoutMs) return false
  return waitedMs > Math.max(timeoutMs, LONGEST_MS) || waitedMs > timeoutMs * crowding()
}
