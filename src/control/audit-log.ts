import type { AuditEntry, AuditLog } from '../admin/audit.js'
import type { Config } from '../core/config.js'
import { CastorError } from '../core/errors.js'
import { AppendStream } from '../observe/append-stream.js'
import { createLogger, type LogDestination, type Logger } from '../observe/log.js'

/** Where audit lines go apart from the rest of the log. */
export type AuditFile = Pick<AppendStream, 'reopen' | 'close' | 'flushSync'>

const STDOUT = 1
/** What waits for a disk or a reader; more is lost, and said to be. */
const MAX_BUFFERED_BYTES = 4 * 1024 * 1024

/** Has entries written from now on. Gives the stream that is to be reopened and closed, where there is one. */
export async function openAuditLog(
  { log: config, node }: Pick<Config, 'log' | 'node'>,
  audit: AuditLog,
  log: Logger,
  destination: LogDestination,
): Promise<AuditFile | undefined> {
  const { audit: place } = config
  if (place === 'off') return undefined
  const stream = place === 'stderr' ? undefined : await openStream(place, log)
  const to: Pick<LogDestination, 'write'> =
    stream === undefined ? destination : { write: (line) => stream.write(Buffer.from(line)) }
  // Whatever log.level says: this log is not about how things are going.
  const lines = createLogger(
    { ...config, level: 'info' },
    { ...to, flushSync() {}, close: async () => true },
    { node, thread: 'primary' },
  )
  audit.write = (entry: AuditEntry) => lines.info({ audit: entry }, 'audit')
  return stream
}

async function openStream(place: string, log: Logger): Promise<AppendStream> {
  const options = {
    maxBufferedBytes: MAX_BUFFERED_BYTES,
    onFailing: (err: NodeJS.ErrnoException) =>
      log.error({ err }, 'the audit log cannot be written; its lines are lost'),
    onRecovered: (lostBytes: number) => log.warn({ lostBytes }, 'the audit log is written again'),
  }
  try {
    return place === 'stdout' ? AppendStream.over(STDOUT, options) : await AppendStream.open(place, options)
  } catch (cause) {
    const message = `log.audit: ${place} cannot be opened for writing: ${(cause as Error).message}`
    throw new CastorError('CONFIG_INVALID', message, { cause, configPath: ['log', 'audit'] })
  }
}

/** Goes on in a new file, as after a rotation. */
export async function reopenAuditLog(file: AuditFile | undefined, log: Logger): Promise<void> {
  await file?.reopen().catch((err: unknown) => {
    log.error({ err }, 'the audit log could not be opened anew; it goes on in the old file')
  })
}
