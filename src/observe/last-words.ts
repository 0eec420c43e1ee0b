import { constants, openSync, writeSync } from 'node:fs'

const STDERR = 2
const FLAGS = constants.O_WRONLY | constants.O_APPEND | constants.O_NONBLOCK | constants.O_NOCTTY

/**
 * Another descriptor for what the descriptor is open on, a pipe or a terminal, on which a write fails with EAGAIN rather
 * than wait for a reader. Undefined where the system gives none, as for a socket or a pipe of another user.
 */
export function unblocked(fd: number): number | undefined {
  try {
    return openSync(`/proc/self/fd/${fd}`, FLAGS)
  } catch {
    return undefined
  }
}

/**
 * A line on standard error from whichever thread ends the process, written at once. `mayWait`: somebody ends the process
 * where nobody reads the line. Otherwise it is lost where it might have to wait.
 */
export function lastWords(line: string, mayWait: boolean): void {
  const fd = unblocked(STDERR) ?? (mayWait ? STDERR : undefined)
  if (fd === undefined) return
  try {
    writeSync(fd, `${line}\n`)
  } catch {
    // Nobody reads it.
  }
}
