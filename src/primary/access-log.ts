import { AccessWriter } from '../observe/access-writer.js'
import type { Logger } from '../observe/log.js'
import type { Columns } from '../shm/columns.js'
import { WORKER_ACCESS_RECORDS_DROPPED } from '../shm/layout.js'

/** Opens the access log's writer, if there is one; what it loses is counted in the primary's column. */
export function openAccessLog(access: string, log: Logger, columns: Columns): Promise<AccessWriter | undefined> {
  const dropped = columns.workerAt(0) + WORKER_ACCESS_RECORDS_DROPPED
  return AccessWriter.open(access, {
    onFailing: (err) => log.error({ err }, 'the access log cannot be written; its lines are lost'),
    onRecovered: (lostBytes) => log.warn({ lostBytes }, 'the access log is written again'),
    onDropped: (records) => {
      columns.words[dropped]! += records
    },
  })
}
