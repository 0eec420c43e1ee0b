import { Worker } from 'node:worker_threads'
import type { ConfigSource, ReadResult, ReadTask } from '../config/source.js'
import type { TargetEdit } from '../config/write-back.js'
import type { Config } from '../core/config.js'
import { CONFIG_FILE } from './thread-files.js'

/** Far beyond what reading takes; a network file system that hangs must not hold up every later reload. */
const READ_TIMEOUT_MS = 30_000

/**
 * Runs a `ReadTask` in a thread of its own: parsing and checking a large file takes longer than a connection may wait to
 * be accepted. Rejects only where the thread fails.
 */
export async function readSource(source: ConfigSource, inForce: Config, edit?: TargetEdit): Promise<ReadResult> {
  const { file, set, env } = source
  const task: ReadTask = { source: { file, set, env: { ...env } }, inForce, ...(edit && { edit }) }
  const worker = new Worker(CONFIG_FILE, { workerData: task, argv: [] })
  let late: NodeJS.Timeout | undefined
  try {
    return await new Promise<ReadResult>((resolve, reject) => {
      late = setTimeout(() => {
        resolve({ type: 'unreadable', message: `${file}: not read within ${READ_TIMEOUT_MS / 1000} s` })
      }, READ_TIMEOUT_MS)
      worker.once('message', resolve)
      worker.once('error', reject)
      worker.once('exit', () => reject(new Error('the thread that reads the configuration ended without an answer')))
    })
  } finally {
    clearTimeout(late)
    void worker.terminate()
  }
}
