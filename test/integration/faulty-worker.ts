// A proxy thread that can be told to die: the product's own, with a listener for bad news.
import { BroadcastChannel } from 'node:worker_threads'
import type { ProxyTask } from '../../src/core/messages.js'
import proxyThread from '../../workers/proxy/entry.js'

/** A message is the column of the worker that is to throw. */
export const FAULTS = 'castor-test-faults'

export default function faultyThread(task: ProxyTask): Promise<void> {
  const faults = new BroadcastChannel(FAULTS)
  faults.onmessage = (event) => {
    if ((event as { data: unknown }).data !== task.column) return
    setImmediate(() => {
      throw new Error('a fault made for a test')
    })
  }
  faults.unref()
  return proxyThread(task)
}
