import { parseConfig } from '../../src/config/load.js'
import { startCastor } from '../../src/control/assemble.js'
import type { RunningCastor } from '../../src/control/running.js'
import { type CastorReading, readAsCastor } from './castor-reading.js'
import { type Neighbour, type NeighbourName, startNeighbour } from './neighbours.js'
import { Origin } from './origin.js'
import { type Got, send } from './real-client.js'

/** One way for an input to reach an origin. */
interface Way {
  readonly name: string
  readonly port: number
  readonly origin: Origin
  /** Castor is the first that the client meets. */
  readonly throughCastor: boolean
  /** Another server stands between the client or Castor and the origin, and may refuse. */
  readonly other: boolean
}

export const SILENT_LOG = { write() {}, flushSync() {}, close: async () => true }

/** The configuration of a balancer with one listener before each target. */
export function configBefore(ports: readonly number[]): string {
  const names = ports.map((_, index) => `group-${index}`)
  return JSON.stringify({
    workers: 1,
    log: { level: 'error', access: 'off' },
    admin: { listen: '127.0.0.1:0' },
    listeners: names.map((name) => ({ name, protocol: 'http', listen: '127.0.0.1:0', targetGroup: name })),
    targetGroups: names.map((name, index) => ({
      name,
      protocol: 'http',
      targets: [{ address: `127.0.0.1:${ports[index]}` }],
      forwarded: { clientPort: true },
    })),
  })
}

/** A running Castor between clients and an origin, and nginx and HAProxy behind and beside it. */
export class RealRequests {
  /** Of nginx and HAProxy, those that are there. */
  readonly neighbours: readonly NeighbourName[]
  readonly #castor: RunningCastor
  readonly #ways: readonly Way[]
  readonly #origins: readonly Origin[]
  readonly #running: readonly Neighbour[]

  private constructor(castor: RunningCastor, ways: readonly Way[], neighbours: ReadonlyMap<NeighbourName, Neighbour>) {
    this.#castor = castor
    this.#ways = ways
    this.#origins = [...new Set(ways.map(({ origin }) => origin))]
    this.neighbours = [...neighbours.keys()]
    this.#running = [...neighbours.values()]
  }

  static async start(names: readonly NeighbourName[]): Promise<RealRequests> {
    const neighbours = new Map<NeighbourName, Neighbour>()
    const ways: Way[] = []
    const origin = await Origin.start(false)
    const behindCastor: { port: number; name: string; origin: Origin }[] = [
      { port: origin.port, name: 'castor', origin },
    ]
    for (const name of names) {
      const behind = await Origin.start(true)
      const straight = await Origin.start(true)
      const neighbour = await startNeighbour(name, { behind: behind.port, straight: straight.port })
      if (neighbour === undefined) {
        await Promise.all([behind.stop(), straight.stop()])
        continue
      }
      neighbours.set(name, neighbour)
      behindCastor.push({ port: neighbour.behindCastorPort, name: `castor, then ${name}`, origin: behind })
      ways.push({ name, port: neighbour.straightPort, origin: straight, throughCastor: false, other: true })
    }
    const config = parseConfig(configBefore(behindCastor.map(({ port }) => port)), 'fuzz.yaml')
    const castor = await startCastor(config, { logDestination: SILENT_LOG })
    for (const [index, { name, origin: own }] of behindCastor.entries()) {
      const { port } = castor.listeners[index]!
      ways.unshift({ name, port, origin: own, throughCastor: true, other: own !== origin })
    }
    return new RealRequests(castor, ways, neighbours)
  }

  /** What is wrong with the way one input is taken by all of them; empty if nothing is. */
  async check(input: Buffer): Promise<string[]> {
    const reading = readAsCastor(input)
    const { accepted, refusal, refusedMethod } = reading
    const faults: string[] = []
    // What Castor refuses altogether need not be shown to the others.
    const ways =
      accepted.length > 0 ? this.#ways : this.#ways.filter(({ throughCastor, other }) => throughCastor && !other)
    await Promise.all(
      ways.map(async (way) => {
        const methods = accepted.map(({ method }) => method)
        if (way.throughCastor && refusal !== 0) methods.push(refusedMethod)
        const got = await send(way.port, input, methods, (port) => {
          // Another client had the port before: what has come from it since is not this one's, and nobody's of Castor's.
          const late = way.origin.take(port)
          if (way.throughCastor && late.length > 0) faults.push(`${way.name}, too late: ${late[0]!.head}`)
        })
        const fault = this.#judge(way, got, reading)
        if (fault !== '') faults.push(`${way.name}: ${fault}`)
      }),
    )
    for (const { origin, throughCastor } of this.#ways) {
      const strays = origin.strays.splice(0)
      if (throughCastor) faults.push(...strays.map((stray) => `a stray: ${stray}`))
    }
    return faults
  }

  async stop(): Promise<void> {
    await this.#castor.stopNow()
    await Promise.all([...this.#running, ...this.#origins].map((part) => part.stop()))
  }

  #judge(way: Way, got: Got, { accepted, refusal, end }: CastorReading): string {
    const came = way.origin.take(got.port)
    if (got.end === 'late') return `no answer after ${got.statuses.length} (${got.statuses.join()})`
    if (way.throughCastor) {
      const expected = accepted.length + (refusal === 0 ? 0 : 1)
      // A server may answer a request before its body is there, which never comes.
      const most = expected + (end === 'in-body' && way.other ? 1 : 0)
      if (got.statuses.length < expected || got.statuses.length > most) {
        return `${got.statuses.length} answers (${got.statuses.join()}), not ${expected}: ${got.last}`
      }
      if (refusal !== 0 && got.statuses.at(-1) !== refusal) return `refused with ${got.statuses.at(-1)}, not ${refusal}`
    }
    // Whose answer it is tells which of the requests came through: the others were refused on the way.
    const passed = accepted.filter(
      ({ method }, index) => got.statuses[index] === 200 && (method === 'HEAD' || got.bodies[index] === 'origin'),
    )
    if (!way.other && passed.length !== accepted.length) return `answers ${got.statuses.join()}`
    // What Castor refuses, and all behind it, others may take: only what it accepts must mean the same to them.
    if (came.length < passed.length || (way.throughCastor && came.length > passed.length)) {
      return `${came.length} requests came to the origin, not ${passed.length}`
    }
    for (const [index, ours] of passed.entries()) {
      const theirs = came[index]!
      const targets = way.throughCastor ? [ours.target] : [ours.target, ours.rawTarget]
      const hosts = way.throughCastor ? [ours.host] : [ours.host, ours.rawHost]
      if (theirs.method !== ours.method) return `method ${theirs.method}, not ${ours.method}`
      // RFC 9112 3.2.4 makes "*" of an absolute target without a path in OPTIONS; nginx makes "/".
      if (ours.target === '*' && ours.rawTarget !== '*') targets.push('/')
      if (!targets.includes(theirs.target)) return `target ${theirs.target}, not ${ours.target}`
      if (ours.host !== '' && !hosts.includes(theirs.host)) return `Host ${theirs.host}, not ${ours.host}`
      if (theirs.body !== ours.body) return `body ${JSON.stringify(theirs.body)}, not ${JSON.stringify(ours.body)}`
    }
    return ''
  }
}
