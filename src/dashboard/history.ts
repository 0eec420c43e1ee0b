import type { ListenerStatus, Status, TargetStatus } from '../admin/status-shape.js'

export const WINDOW_SECONDS = 300

/** What changed from one status to the next, a second. Null before there is a second status. */
export interface Rates {
  readonly requests: number
  readonly clientErrors: number
  readonly serverErrors: number
  readonly receivedBytes: number
  readonly sentBytes: number
  readonly listeners: ReadonlyMap<string, ListenerRates>
  /** By `targetKey`. */
  readonly targets: ReadonlyMap<string, number>
}

export interface ListenerRates {
  readonly requests: number
  readonly receivedBytes: number
  readonly sentBytes: number
}

export const targetKey = (group: string, target: string): string => JSON.stringify([group, target])

export function ratesBetween(before: Status, now: Status): Rates | null {
  const seconds = (now.uptimeMs - before.uptimeMs) / 1000
  // Less uptime than before is another process: its counters began anew.
  if (!(seconds > 0.2)) return null
  const rate = (from: number, to: number): number => Math.max(0, to - from) / seconds
  const listeners = new Map<string, ListenerRates>()
  const total = { requests: 0, clientErrors: 0, serverErrors: 0, receivedBytes: 0, sentBytes: 0 }
  for (const listener of now.listeners) {
    const old = before.listeners.find(({ name }) => name === listener.name)
    if (old === undefined) continue
    const requests = rate(work(old), work(listener))
    const receivedBytes = rate(old.receivedBytes, listener.receivedBytes)
    const sentBytes = rate(old.sentBytes, listener.sentBytes)
    listeners.set(listener.name, { requests, receivedBytes, sentBytes })
    total.requests += requests
    total.receivedBytes += receivedBytes
    total.sentBytes += sentBytes
    total.clientErrors += rate(clientErrors(old), clientErrors(listener))
    total.serverErrors += rate(serverErrors(old), serverErrors(listener))
  }
  const targets = new Map<string, number>()
  for (const group of now.targetGroups) {
    const oldGroup = before.targetGroups.find(({ name }) => name === group.name)
    for (const target of group.targets) {
      const old: TargetStatus | undefined = oldGroup?.targets.find(({ id }) => id === target.id)
      if (old !== undefined) targets.set(targetKey(group.name, target.id), rate(old.requests, target.requests))
    }
  }
  return { ...total, listeners, targets }
}

/** What a listener did: requests, or connections where it knows no requests. */
export const work = (listener: ListenerStatus): number =>
  listener.protocol === 'tcp' || listener.protocol === 'tls' ? listener.connectionsTotal : listener.requests

export const clientErrors = ({ protocol, responses, errors }: ListenerStatus): number =>
  protocol === 'tcp' || protocol === 'tls' ? errors.client : responses['4xx']

/** Answers of 5xx, whoever made them, and answers that broke off: those had a good status already. */
export const serverErrors = ({ protocol, responses, errors }: ListenerStatus): number =>
  protocol === 'tcp' || protocol === 'tls' ? errors.server : responses['5xx'] + (errors.reasons.TARGET_CUT ?? 0)

/** One line of a chart: a value a sample, null where nothing was known. */
type Line = (number | null)[]

export interface Series {
  /** Seconds since the epoch. */
  readonly times: number[]
  readonly requests: Line
  readonly connections: Line
  readonly clientErrors: Line
  readonly serverErrors: Line
  readonly received: Line
  readonly sent: Line
}

/** The last five minutes, as the charts want them. A silence leaves a gap in the lines. */
export class History {
  readonly series: Series = {
    times: [],
    requests: [],
    connections: [],
    clientErrors: [],
    serverErrors: [],
    received: [],
    sent: [],
  }

  add(timeSeconds: number, status: Status, rates: Rates | null): void {
    const { times } = this.series
    const last = times.at(-1)
    if (last !== undefined && timeSeconds <= last) return
    if (last !== undefined && timeSeconds - last > 3) this.#push(last + 1, null, null)
    const connections = status.listeners.reduce((sum, listener) => sum + listener.connections, 0)
    this.#push(timeSeconds, rates, connections)
    while (times.length > 0 && times[0]! < timeSeconds - WINDOW_SECONDS - 2) {
      for (const line of Object.values(this.series)) line.shift()
    }
  }

  #push(time: number, rates: Rates | null, connections: number | null): void {
    const { series } = this
    series.times.push(time)
    series.requests.push(rates?.requests ?? null)
    series.connections.push(connections)
    series.clientErrors.push(rates?.clientErrors ?? null)
    series.serverErrors.push(rates?.serverErrors ?? null)
    series.received.push(rates?.receivedBytes ?? null)
    series.sent.push(rates?.sentBytes ?? null)
  }
}
