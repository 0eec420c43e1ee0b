import { parentPort, workerData } from 'node:worker_threads'
import type { CounterSegment, SharedCounters } from '../../../src/core/shared-counters.js'
import { Columns } from '../../../src/shm/columns.js'
import { TARGET_REQUESTS } from '../../../src/shm/layout.js'
import { TargetTable } from '../../../src/shm/targets.js'

/** A thread that counts at every target it knows of, again and again, and takes segments in as they come. */
export interface Counting {
  readonly shared: SharedCounters
  readonly column: number
  readonly groups: number
}

export type ToCounter = { readonly segment: CounterSegment } | 'stop'

/** What the thread counted by slot: requests, places that it took and gave back, and tickets by group. */
export interface Counted {
  readonly requests: readonly number[]
  readonly taken: readonly number[]
  readonly tickets: readonly number[]
  /** Weights that it read and that nobody wrote. */
  readonly strange: readonly number[]
}

if (parentPort) {
  const { shared, column, groups } = workerData as Counting
  const port = parentPort
  const columns = new Columns(shared)
  const table = new TargetTable(shared.segments)
  const [requests, taken, tickets, strange]: number[][] = [[], [], [], []]
  const count = (into: number[] | undefined, at: number): void => {
    into![at] = (into![at] ?? 0) + 1
  }
  const round = (): void => {
    for (let slot = 0; slot < columns.capacity.targets; slot++) {
      const counters = columns.target(slot)
      counters.words[counters.at(column) + TARGET_REQUESTS]!++
      count(requests, slot)
      if (columns.waiting.tryTake(slot, 2)) {
        const inFlight = columns.inFlightOf(slot)
        inFlight.words[inFlight.at(column)]!++
        count(taken, slot)
        if (columns.waiting.inUse(slot) > 2) strange!.push(columns.waiting.inUse(slot))
        inFlight.words[inFlight.at(column)]!--
        columns.waiting.giveBack(slot)
      }
      const weight = table.weight(slot)
      if (weight !== 0 && weight !== slot + 1) strange!.push(weight)
      table.countConnectFailure(slot)
    }
    for (let group = 0; group < Math.min(groups, columns.capacity.groups); group++) {
      columns.nextTicket(group)
      count(tickets, group)
    }
  }
  let running: NodeJS.Immediate
  const turn = (): void => {
    round()
    running = setImmediate(turn)
  }
  turn()
  port.on('message', (message: ToCounter) => {
    if (message !== 'stop') {
      columns.addSegment(message.segment)
      table.addSegment(message.segment)
      port.postMessage(columns.capacity.targets)
      return
    }
    clearImmediate(running)
    round()
    port.postMessage({ requests, taken, tickets, strange } as Counted)
    port.close()
  })
  port.postMessage('ready')
}
