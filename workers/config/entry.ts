import { parentPort, workerData } from 'node:worker_threads'
import { type ReadTask, runReadTask } from '../../src/config/source.js'

/** Reads the configuration once, says what came of it, and ends. */
parentPort!.postMessage(runReadTask(workerData as ReadTask))
