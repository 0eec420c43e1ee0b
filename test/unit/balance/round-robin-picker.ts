import { parentPort, workerData } from 'node:worker_threads'
import { RoundRobin } from '../../../src/balance/round-robin.js'
import type { GroupView } from '../../../src/core/balancer.js'
import type { SharedCounters } from '../../../src/core/shared-counters.js'
import { Columns } from '../../../src/shm/columns.js'
import { SOMEONE, TestView } from './views.js'

/** A thread that takes its picks as fast as it can and posts how many each target got. */
export interface Picker {
  readonly shared: SharedCounters
  readonly group: number
  readonly weights: readonly number[]
  readonly picks: number
}

if (parentPort) {
  const { shared, group, weights, picks } = workerData as Picker
  const columns = new Columns(shared)
  const view: GroupView = {
    groupSlot: group,
    targets: new TestView(weights).targets,
    version: 1,
    inFlight: (slot) => columns.inFlight(slot),
    latencyMs: () => 0,
    nextTicket: () => columns.nextTicket(group),
  }
  const balancer = new RoundRobin()
  const counts = weights.map(() => 0)
  for (let n = 0; n < picks; n++) counts[balancer.pick(view, SOMEONE, []) / 10 - 1]!++
  parentPort.postMessage(counts)
}
