import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'

export interface Demo {
  /** `host:port` of each of the three targets. */
  readonly addresses: string[]
  stop(): Promise<void>
}

/** Starts the demo's three targets in a thread of their own: the primary reads no client's bytes, not even there. */
export async function startDemo(): Promise<Demo> {
  const worker = new Worker(fileURLToPath(new URL('../../workers/demo/entry.js', import.meta.url)))
  const addresses = await new Promise<string[]>((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
  return {
    addresses,
    async stop() {
      await worker.terminate()
    },
  }
}
