import type { Admin } from '../admin/server.js'
import { CastorError } from '../core/errors.js'
import type { AccessWriter } from '../observe/access-writer.js'
import type { LogDestination, Logger } from '../observe/log.js'
import type { AuditFile } from './audit-log.js'
import type { Watchdog } from './watchdog.js'
import { within } from './within.js'

/** The most that threads get to end, and the admin API with its second of grace. */
const THREADS_END_MS = 6_000
const ADMIN_END_MS = 3_000
/** For logs whose reader is slow, where nothing waits for anything else. */
export const FLUSH_NOW_MS = 500

/** How the process's work ends: it is waited for in one place, and comes about in others. */
export class End {
  readonly finished: Promise<void>
  reached: () => void = () => {}
  failed: (cause: CastorError) => void = () => {}

  constructor() {
    this.finished = new Promise((resolve, reject) => {
      this.reached = resolve
      this.failed = reject
    })
    // Whoever does not ask has not to deal with it.
    this.finished.catch(() => {})
  }
}

export interface Ending {
  /** Ends the threads, whatever they are at. */
  readonly threads: () => Promise<unknown>
  readonly watchdog: Watchdog
  readonly admin: Admin | undefined
  readonly access: AccessWriter | undefined
  readonly audit: AuditFile | undefined
  readonly destination: LogDestination
  readonly log: Logger
  /** Nothing is said of the end of what never ran: why it did not is for the caller to tell. */
  readonly hadStarted: boolean
}

/** Gives everything back. Each step has its bound, logs `flushMs`; resolves with what had not ended by then. */
export async function endAll(parts: Ending, flushMs: number): Promise<string[]> {
  const leftovers: string[] = []
  if (!(await within(THREADS_END_MS, parts.threads()))) leftovers.push('a thread')
  parts.watchdog.stop()
  if (!(await within(ADMIN_END_MS, Promise.resolve(parts.admin?.close())))) leftovers.push('the admin API')
  if ((await parts.access?.close(flushMs)) === false) leftovers.push('the access log')
  if ((await parts.audit?.close(flushMs)) === false) leftovers.push('the audit log')
  if (parts.hadStarted) parts.log.info('stopped')
  if (!(await parts.destination.close(flushMs))) leftovers.push('the log')
  return leftovers
}

/** A thread is stuck where nothing can end it: says so, and gives the reason for which the process ends. */
export async function giveUp(
  thread: string,
  { access, audit, destination, log }: Pick<Ending, 'access' | 'audit' | 'destination' | 'log'>,
): Promise<CastorError> {
  log.fatal({ thread }, 'a thread is stuck and cannot be ended; the process ends, to be started anew')
  await Promise.all([access?.close(FLUSH_NOW_MS), audit?.close(FLUSH_NOW_MS), destination.close(FLUSH_NOW_MS)])
  return new CastorError('THREAD_STUCK', `the thread ${thread} is stuck in a system call or a loop in C`)
}
