// npm run simulate: many hosts, an hour of their time, a network that delays, doubles, loses and splits; prints how soon
// what one host learns is known to all, and how many frames that takes. Everything but the network is the product.
//   --nodes N  --minutes N  --sessions N (new ones a second, over all hosts)  --partitions N  --seed N
import { parseArgs } from 'node:util'
import { ManualClock } from '../../src/core/clock.js'
import { type OpenedFrame, Sealer } from '../../src/mesh/seal.js'
import { MemoryHub } from '../memory/mesh-hub.js'
import { SimulatedHost } from './simulated-host.js'

const STEP_MS = 10
const SESSION_MS = 300_000
const MAX_SKEW_MS = 500

export interface SimulationOptions {
  readonly nodes: number
  readonly seconds: number
  /** New sessions a second, over all hosts. */
  readonly sessions: number
  /** How often the network is split in two, for a tenth of the time each. */
  readonly partitions: number
  readonly heartbeatMs: number
  readonly seed: number
}

export interface SimulationResult {
  /** Milliseconds from a host's learning a session to the last connected host's knowing it, while nothing was broken. */
  readonly quiet: readonly number[]
  /** Milliseconds from the end of a split to the moment when all hosts knew the same. */
  readonly healed: readonly number[]
  /** Whether all hosts ended with the same knowledge. */
  readonly converged: boolean
  readonly written: number
  readonly framesSentPerSecond: number
  readonly framesReceivedPerSecondPerHost: number
}

/** Repeatable noise: 32 bits of state. */
function randomFrom(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let word = Math.imul(state ^ (state >>> 15), 1 | state)
    word = (word + Math.imul(word ^ (word >>> 7), 61 | word)) ^ word
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32
  }
}

/** All hosts seal and open alike here, so one of them does the work for all: the simulation measures the protocol. */
class SharedSealer extends Sealer {
  readonly #opened = new WeakMap<Uint8Array, OpenedFrame>()

  override open(frame: Uint8Array): OpenedFrame | undefined {
    let opened = this.#opened.get(frame)
    if (opened === undefined) {
      opened = super.open(frame)
      if (opened !== undefined) this.#opened.set(frame, opened)
    }
    return opened
  }

  override isOwn(): boolean {
    return false
  }
}

interface Awaited {
  readonly atMs: number
  readonly high: number
  readonly low: number
  missing: number
}

export function simulate(options: SimulationOptions, onProgress: (share: number) => void = () => {}): SimulationResult {
  const random = randomFrom(options.seed)
  const clock = new ManualClock(0, Date.UTC(2026, 0, 1))
  const hub = new MemoryHub({
    delayMs: () => 1 + random() * 9,
    loses: () => random() < 0.000_01,
    doubles: () => random() < 0.01,
  })
  const sealer = new SharedSealer('simulated secret')
  const quiet: number[] = []
  const healed: number[] = []
  const awaited = new Map<string, Awaited>()
  const hosts = Array.from({ length: options.nodes }, (_, index) => {
    const skewMs = (random() * 2 - 1) * MAX_SKEW_MS
    return new SimulatedHost(`n${index}`, hub.transport(), sealer, clock, skewMs, options.heartbeatMs)
  })
  for (const host of hosts) {
    host.state.onNews = (name, entry) => {
      const waiting = awaited.get(name)
      if (waiting === undefined || waiting.high !== entry.high || waiting.low !== entry.low) return
      if (--waiting.missing === 0) {
        quiet.push(hub.nowMs - waiting.atMs)
        awaited.delete(name)
      }
    }
    host.replica.start()
  }
  const endMs = options.seconds * 1000
  const splitEveryMs = options.partitions > 0 ? endMs / options.partitions : Number.POSITIVE_INFINITY
  let cutOff: SimulatedHost[] = []
  let mendedMs = -1
  let written = 0
  let due = 0
  let key = 0
  for (let nowMs = 0; nowMs < endMs; nowMs += STEP_MS) {
    clock.advance(STEP_MS)
    hub.advanceTo(nowMs)
    const phase = nowMs % splitEveryMs
    if (phase >= splitEveryMs * 0.5 && phase < splitEveryMs * 0.6) {
      if (cutOff.length === 0) {
        cutOff = hosts.filter(() => random() < 0.5)
        for (const host of cutOff) host.link.cut()
        awaited.clear()
      }
    } else if (cutOff.length > 0) {
      for (const host of cutOff) host.link.mend()
      cutOff = []
      mendedMs = nowMs
    }
    due += (options.sessions * STEP_MS) / 1000
    // While it is measured how soon all agree again, nothing new is said.
    for (; due >= 1; due--) {
      if (mendedMs >= 0) continue
      const host = hosts[Math.floor(random() * hosts.length)]!
      // One in ten is a client that another host may be binding as well.
      const client = random() < 0.1 ? Math.floor(random() * 50) : ++key + 50
      const entry = host.bind(client, `t${Math.floor(random() * 5)}`, SESSION_MS)
      written++
      if (cutOff.length === 0 && client > 50) {
        const name = `s:${Buffer.from(entry.key.buffer).toString('hex')}`
        awaited.set(name, { atMs: nowMs, high: entry.high, low: entry.low, missing: hosts.length - 1 })
      }
    }
    for (const host of hosts) host.replica.tick()
    if (mendedMs >= 0 && agree(hosts)) {
      healed.push(nowMs - mendedMs)
      mendedMs = -1
    }
    if (nowMs % 60_000 === 0) {
      forget(hosts, clock.wallMs)
      onProgress(nowMs / endMs)
    }
  }
  for (let i = 0; i < 1_000; i++) {
    clock.advance(STEP_MS)
    hub.advanceTo(hub.nowMs + STEP_MS)
    for (const host of hosts) host.replica.tick()
  }
  forget(hosts, clock.wallMs)
  return {
    quiet: quiet.sort((a, b) => a - b),
    healed,
    converged: agree(hosts),
    written,
    framesSentPerSecond: hub.accepted / options.seconds,
    framesReceivedPerSecondPerHost: hub.delivered / options.seconds / options.nodes,
  }
}

/** Whether all hosts know the same of what has not expired. */
function agree(hosts: readonly SimulatedHost[]): boolean {
  const [first, ...others] = hosts
  for (const host of others) {
    if (host.state.entries.size !== first!.state.entries.size) return false
    for (const [name, entry] of first!.state.entries) {
      const known = host.state.entries.get(name)
      if (known === undefined || known.high !== entry.high || known.low !== entry.low) return false
    }
  }
  return true
}

function forget(hosts: readonly SimulatedHost[], wallMs: number): void {
  for (const { state } of hosts) {
    for (const [name, entry] of state.entries) {
      if (entry.kind === 'session' && entry.expiresMs + MAX_SKEW_MS * 2 < wallMs) state.entries.delete(name)
    }
  }
}

export function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

function main(): void {
  const { values } = parseArgs({
    options: {
      nodes: { type: 'string', default: '100' },
      minutes: { type: 'string', default: '60' },
      sessions: { type: 'string', default: '20' },
      partitions: { type: 'string', default: '6' },
      seed: { type: 'string', default: '1' },
    },
  })
  const nodes = Number(values.nodes)
  const seconds = Number(values.minutes) * 60
  const seed = Number(values.seed)
  console.log(`${nodes} hosts, ${seconds} s of their time, seed ${seed}`)
  const options = { nodes, seconds, sessions: Number(values.sessions), partitions: Number(values.partitions) }
  const result = simulate({ ...options, heartbeatMs: 1_000, seed }, (share) => {
    process.stderr.write(`\r${Math.round(share * 100)} %`)
  })
  process.stderr.write('\r')
  const { quiet, healed } = result
  console.log(
    `known to all after    p50 ${percentile(quiet, 0.5).toFixed(0)} ms, p99 ${percentile(quiet, 0.99).toFixed(0)} ms`,
  )
  console.log(`agreed after a split  ${healed.map((ms) => `${ms} ms`).join(', ')}`)
  console.log(`sessions made         ${result.written}`)
  console.log(`frames sent           ${result.framesSentPerSecond.toFixed(0)} a second, by all hosts together`)
  console.log(`frames received       ${result.framesReceivedPerSecondPerHost.toFixed(0)} a second, by each host`)
  console.log(`all hosts agree       ${result.converged ? 'yes' : 'NO'}`)
  process.exitCode = result.converged ? 0 : 1
}

if (process.argv[1] !== undefined && import.meta.url.endsWith(process.argv[1].split('/').slice(-2).join('/'))) main()
