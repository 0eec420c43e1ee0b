import { CastorError } from '../core/errors.js'
import type { FromProxy, ToProxy } from '../core/messages.js'
import { AccessWriter } from '../observe/access-writer.js'
import type { LogDestination, Logger } from '../observe/log.js'
import type { Columns } from '../shm/columns.js'
import { WORKER_ACCESS_RECORDS_DROPPED } from '../shm/layout.js'

/** Opens the access log's writer, if there is one; what it loses is counted in the primary's column. */
export async function openAccessLog(access: string, log: Logger, columns: Columns): Promise<AccessWriter | undefined> {
  const dropped = columns.workerAt(0) + WORKER_ACCESS_RECORDS_DROPPED
  const events = {
    onFailing: (err: NodeJS.ErrnoException) =>
      log.error({ err }, 'the access log cannot be written; its lines are lost'),
    onRecovered: (lostBytes: number) => log.warn({ lostBytes }, 'the access log is written again'),
    onDropped: (records: number) => {
      columns.workerWords[dropped]! += records
    },
  }
  try {
    return await AccessWriter.open(access, events)
  } catch (cause) {
    const why = (cause as Error).message
    throw new CastorError('CONFIG_INVALID', `log.access: ${access} cannot be opened for writing: ${why}`, {
      cause,
      configPath: ['log', 'access'],
    })
  }
}

/** Goes on in a new file, as after a rotation. */
export async function reopenAccessLog(access: AccessWriter | undefined, log: Logger): Promise<void> {
  try {
    await access?.reopen()
    log.info('the logs were opened anew')
  } catch (err) {
    log.error({ err }, 'the access log could not be opened anew; it goes on in the old file')
  }
}

/** What proxy threads have to say all goes into one of the two logs. */
export function takeMessage(
  message: FromProxy,
  reply: (message: ToProxy) => void,
  destination: LogDestination,
  access: AccessWriter | undefined,
): void {
  switch (message.type) {
    case 'log':
      destination.write(message.line)
      return
    case 'access':
      access?.write(message.lines, (bytes) => reply({ type: 'logged', bytes }))
      return
    case 'ready':
      return
  }
}
