import { parentPort } from 'node:worker_threads'
import { type ReadTask, runReadTask } from '../../src/config/source.js'

/** Reads the configuration whenever it is told to, and says what came of it. */
parentPort!.on('message', (task: ReadTask) => parentPort!.postMessage(runReadTask(task)))
