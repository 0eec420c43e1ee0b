import { serialize } from 'node:v8'
import { parentPort } from 'node:worker_threads'
import { type ReadMessage, type ReadOrder, runReadTask } from '../../src/config/source.js'
import type { Config } from '../../src/core/config.js'

/** What was read last: most often it is in force when the next is read. */
let last: Config | undefined

/** Reads the configuration whenever it is told to, and says what came of it. */
parentPort!.on('message', ({ inForce = last, ...order }: ReadOrder) => {
  const result = runReadTask({ ...order, inForce: inForce! })
  if (result.type !== 'read') {
    parentPort!.postMessage(result satisfies ReadMessage)
    return
  }
  const { type, config, diff, warnings } = result
  last = config
  parentPort!.postMessage({ type, config: serialize(config), diff: serialize(diff), warnings } satisfies ReadMessage)
})
