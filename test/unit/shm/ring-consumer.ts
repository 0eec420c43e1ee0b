// Runs in a thread of its own: takes what comes through a ring and checks that it is all there, once, and whole.
import { parentPort, workerData } from 'node:worker_threads'
import { RECORD_WORDS } from '../../../src/core/connection-record.js'
import { ConnectionRing } from '../../../src/shm/connection-ring.js'

export interface ConsumerTask {
  readonly shared: SharedArrayBuffer
  readonly records: number
  /** One word: how many the consumer has counted as its own. */
  readonly counted: SharedArrayBuffer
}

const { shared, records, counted } = workerData as ConsumerTask
const ring = new ConnectionRing(shared)
const own = new Float64Array(counted)
const pause = new Int32Array(new SharedArrayBuffer(4))
let problem: string | undefined
let most = 0
for (let sequence = 0; sequence < records && problem === undefined; sequence++) {
  let at = ring.peek()
  for (; at < 0; at = ring.peek()) Atomics.wait(pause, 0, 0, 1)
  most = Math.max(most, ring.waiting)
  for (let word = 0; word < RECORD_WORDS; word++) {
    if (ring.words[at + word] !== sequence * RECORD_WORDS + word)
      problem = `record ${sequence}: word ${word} is ${ring.words[at + word]}`
  }
  ring.takeInHand()
  own[0] = own[0]! + 1
  ring.settle()
}
parentPort!.postMessage({ problem, most, left: ring.waiting })
