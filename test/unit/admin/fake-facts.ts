import { AuditLog } from '../../../src/admin/audit.js'
import { newAuditId } from '../../../src/admin/auditor.js'
import type {
  AdminFacts,
  ClusterFacts,
  ListenerFacts,
  ProcessState,
  Upgrades,
  WorkerFacts,
} from '../../../src/admin/facts.js'
import { type Clock, ManualClock, SystemClock } from '../../../src/core/clock.js'
import type { AdminConfig, Config, ListenerConfig, TargetConfig, TargetGroupConfig } from '../../../src/core/config.js'
import type { Directory, ListedTarget } from '../../../src/core/directory.js'
import { REASON, type ReasonCode } from '../../../src/core/reasons.js'
import type { SessionStore, SessionTotals } from '../../../src/core/session-store.js'
import { ADMIN_STATES, type AdminState, CHECK_UNCHECKED } from '../../../src/core/target-state.js'
import type { CertificateFacts } from '../../../src/core/tls.js'
import { createLogger } from '../../../src/observe/log.js'
import { Columns, createSharedCounters, recordDuration } from '../../../src/shm/columns.js'
import {
  LISTENER_CONNECTIONS_ACTIVE,
  LISTENER_CONNECTIONS_TOTAL,
  LISTENER_REASONS,
  LISTENER_RECEIVED_BYTES,
  LISTENER_SENT_BYTES,
  SERIES_CODE_FIRST,
  SERIES_REQUEST_DURATION,
  TARGET_CONNECTIONS,
  TARGET_LATENCY,
  TARGET_REQUESTS,
  WORKER_CONNECTIONS_ACTIVE,
  WORKER_LOOP_DELAY_MAX_MS,
  WORKER_LOOP_DELAY_P50_MS,
  WORKER_LOOP_DELAY_P99_MS,
} from '../../../src/shm/layout.js'
import { MapSessionStore } from '../../../src/shm/map-sessions.js'
import type { SlotCounters } from '../../../src/shm/slot-counters.js'
import { TargetTable } from '../../../src/shm/targets.js'
import { FakeReloading } from './fake-reloading.js'

const listener = (name: string, protocol: 'http' | 'tcp', port: number, targetGroup: string): ListenerConfig => ({
  name,
  protocol,
  listen: [{ address: '0.0.0.0', port }],
  targetGroup,
  keepAliveSeconds: 60,
  idleTimeoutMs: 60_000,
  halfClose: 'cancel',
  upgrades: ['websocket'],
  websocketIdleTimeoutMs: 60_000,
  acceptProxyProtocol: [],
  trustForwardedFrom: [],
  limits: {
    connections: Number.POSITIVE_INFINITY,
    requestsPerSecond: Number.POSITIVE_INFINITY,
    bodyBytes: Number.POSITIVE_INFINITY,
  },
  explainFrom: [],
  rules: [],
})

const group = (
  name: string,
  protocol: 'http' | 'tcp',
  weights: readonly number[],
  firstPort: number,
): TargetGroupConfig => ({
  name,
  protocol,
  algorithm: protocol === 'http' ? 'round-robin' : 'least-connections',
  targets: weights.map((weight, index) => {
    const port = firstPort + index
    return { id: `10.0.0.${11 + index}:${port}`, host: `10.0.0.${11 + index}`, port, weight }
  }),
  proxyProtocol: 'off',
  keepAliveSeconds: 60,
  forwarded: { proto: true, port: true, host: true, vip: false, clientPort: false, rfc7239: false, via: false },
  retries: { attempts: 1, on: ['connect-failure'], budgetPercent: 20 },
  hashOn: { by: 'source' },
  failOpen: false,
  healthCheck: {
    protocol: 'off',
    path: '/',
    host: '',
    port: 0,
    intervalMs: 5000,
    timeoutMs: 3000,
    healthyThreshold: 3,
    unhealthyThreshold: 3,
    codes: [[200, 399]],
    httpVersion: '1.1',
    service: '',
    verify: false,
    proxyProtocol: 'off',
  },
  maxConnectionsPerTarget: 0,
  queue: { size: 0, timeoutMs: 1_000 },
  outlierDetection: {
    on: 15,
    failurePercent: 50,
    minRequests: 20,
    windowMs: 10_000,
    consecutiveFailures: 5,
    ejectForMs: 30_000,
    maxEjectedPercent: 50,
  },
  panicPercent: 50,
  tolerate: 0,
  stickiness: { type: 'off' },
  slowStartMs: 0,
  drainingMs: 300_000,
  timeouts: { connectMs: 5000, responseMs: 60_000 },
})

export const SECRET = 'a-secret-token-that-must-not-leak'

function config(admin: AdminConfig): Config {
  return {
    node: 'lb-a',
    workers: 2,
    log: { level: 'silent', format: 'json', access: 'off', audit: 'off' },
    admin,
    plugins: [],
    watchdogMs: 0,
    upgradeTimeoutMs: 60_000,
    upgradeDrainMs: 3_600_000,
    drainDelayMs: 0,
    shutdownTimeoutMs: 30_000,
    stateDir: '',
    reload: 'manual',
    secret: '',
    listeners: [listener('web', 'http', 8080, 'app'), listener('db', 'tcp', 5432, 'postgres')],
    targetGroups: [group('app', 'http', [10, 10, 5], 9001), group('postgres', 'tcp', [10, 0], 5432)],
    protection: {
      firstByteTimeoutMs: 10_000,
      headerTimeoutMs: 10_000,
      bodyMinRateBytesPerSecond: 500,
      maxHeaderBytes: 32_768,
      maxHeaders: 128,
      maxConnections: 'auto',
      allow: { items: [], ranges: { v4: new Uint32Array(0), v6: new Uint32Array(0) } },
      deny: { items: [], ranges: { v4: new Uint32Array(0), v6: new Uint32Array(0) } },
      connectionsPerSource: 10_000,
      newConnectionsPerSource: 1_000,
      handshakesPerSource: 100,
      requestsPerSource: Number.POSITIVE_INFINITY,
    },
    vips: [],
    sessions: { capacity: 64 },
    reserve: { targets: 3 },
  }
}

/** A host with one living peer. */
export const CLUSTER: ClusterFacts = {
  name: 'shop',
  boot: 'boot-of-lb-a',
  status: {
    up: true,
    sinceMs: 1_700_000_000_000,
    reason: '',
    peers: [
      {
        node: 'lb-b',
        boot: 'boot-of-lb-b',
        state: 'alive',
        version: '0.1.0',
        features: ['skips-rows'],
        lastSeenMs: 1_700_000_000_000,
        lagMs: 4,
      },
    ],
    impostor: undefined,
    doubled: [],
    evictionPolicy: '',
    forgedLately: true,
    counts: {
      framesIn: 1,
      framesOut: 2,
      entriesIn: 3,
      entriesOut: 4,
      forged: 5,
      unreadable: 6,
      oversize: 0,
      stale: 0,
      invalid: 0,
      newer: 0,
      ahead: 7,
      unknown: 8,
      refills: 9,
    },
  },
}

/** A process that exists only as numbers: two workers, a listener of each kind, five targets. */
export class FakeFacts implements AdminFacts {
  readonly version = '0.1.0'
  readonly clock: Clock = new ManualClock(0, Date.now())
  startedAtMs = Date.now() - 3_723_000
  state: ProcessState = 'running'
  readonly cluster: ClusterFacts | undefined = undefined
  readonly config: Config
  readonly directory: Directory
  /** What there is lies in several segments, so that whatever is told is told of all of them. */
  readonly #shared = createSharedCounters({
    workers: 2,
    listeners: 1,
    series: 1,
    rules: 1,
    groups: 1,
    targets: 1,
    sessions: 64,
  })
  readonly columns = new Columns(this.#shared)
  readonly table = new TargetTable(this.#shared.segments)
  readonly targets: ListedTarget[] = []
  readonly sessions: SessionStore = new MapSessionStore(64, new SystemClock())
  sessionTotals: SessionTotals = { asOfMs: 0, ofGroup: () => 0, ofTarget: () => 0 }
  workers: WorkerFacts[] = [
    { id: 1, state: 'running', restarts: 0, stuck: 0 },
    { id: 2, state: 'running', restarts: 1, stuck: 0 },
  ]
  listeners: ListenerFacts[] = [
    { name: 'web', addresses: ['0.0.0.0:8080', '[::]:8080'] },
    { name: 'db', addresses: ['0.0.0.0:5432'] },
  ]
  readonly log = createLogger(
    { level: 'silent', format: 'json', access: 'off', audit: 'off' },
    { write() {}, flushSync() {}, close: async () => true },
    { node: 'lb-a', thread: 'primary' },
  )

  readonly reloading: FakeReloading
  readonly audit = new AuditLog(Date.now, newAuditId)
  peerUser(_fd: number): number {
    return 1234
  }

  /** By index of the listener. */
  served: CertificateFacts[][] = []

  explain(): never {
    throw new Error('nothing is explained here')
  }

  certificates(listener: number): readonly CertificateFacts[] {
    return this.served[listener] ?? []
  }

  constructor(admin: Partial<AdminConfig> = {}) {
    this.config = config({ listen: [{ address: '127.0.0.1', port: 0 }], token: '', tokens: [], hosts: [], ...admin })
    this.reloading = new FakeReloading(this.config)
    for (const more of [{ targets: 2 }, { listeners: 4, series: 4, rules: 4, groups: 4 }]) {
      this.table.addSegment(this.columns.grow(more)!)
    }
    const groups = this.config.targetGroups.map(({ name }) => name)
    this.directory = {
      listeners: this.config.listeners.map(({ name }) => name),
      groups,
      rules: [],
      plugins: [],
      series: [
        { listener: 'web', group: 'app' },
        { listener: 'db', group: 'postgres' },
      ],
    }
    this.config.targetGroups.forEach(({ targets }, group) => {
      for (const target of targets) this.#place(group, target)
    })
  }

  readonly upgrades: Upgrades = { hindrance: undefined, isHandingOver: false, run: async () => {} }
  drainHost(): readonly string[] {
    return []
  }

  setTargetState(slot: number, state: AdminState): void {
    this.table.setAdmin(slot, ADMIN_STATES.indexOf(state), 0)
  }

  setTargetWeight(slot: number, weight: number): void {
    this.table.setWeight(slot, weight)
  }

  async addTarget(group: number, target: TargetConfig): Promise<'added' | 'exists'> {
    if (this.targets.some((other) => other.group === group && other.id === target.id)) return 'exists'
    this.#place(group, target)
    return 'added'
  }

  /** Draining takes a minute. */
  removeTarget(slot: number, now: boolean): number {
    const at = this.targets.findIndex((target) => target.slot === slot)
    const leavesMs = Date.now() + (now ? 0 : 60_000)
    if (now) this.targets.splice(at, 1)
    else this.targets[at] = { ...this.targets[at]!, leavesMs }
    return leavesMs
  }

  #place(group: number, { id, host, port, weight }: TargetConfig): void {
    const slot = this.targets.length
    const generation = this.table.occupy(slot, weight, CHECK_UNCHECKED, 0)
    this.targets.push({ slot, generation, group, id, host, port, address: host, leavesMs: undefined })
  }

  worker(column: number, word: number, value: number): void {
    this.columns.workerWords[this.columns.workerAt(column) + word] = value
  }

  listener(column: number, index: number, word: number, by: number): void {
    const { words, at } = placeOf(this.columns.listener(index), column)
    words[at + word]! += by
  }

  reason(column: number, index: number, code: ReasonCode, by = 1): void {
    this.listener(column, index, LISTENER_REASONS + REASON[code], by)
  }

  answer(column: number, series: number, code: number, durationMs: number): void {
    const { words, at } = placeOf(this.columns.series(series), column)
    words[at + code - SERIES_CODE_FIRST]!++
    recordDuration(words, at + SERIES_REQUEST_DURATION, durationMs)
  }

  target(column: number, slot: number, word: number, by: number): void {
    const { words, at } = placeOf(this.columns.target(slot), column)
    words[at + word]! += by
  }

  latency(column: number, slot: number, durationMs: number): void {
    const { words, at } = placeOf(this.columns.target(slot), column)
    recordDuration(words, at + TARGET_LATENCY, durationMs)
  }

  /** A second of traffic, `requests` of them over the first three targets; `random` is 0–1. */
  traffic(requests: number, random: () => number): void {
    for (let i = 0; i < requests; i++) {
      const column = 1 + (i % 2)
      const slot = i % 5 < 4 ? i % 2 : 2
      const ms = 0.6 + random() ** 6 * 120 * (slot === 2 ? 2 : 1)
      const dice = random()
      const code = dice < 0.004 ? 502 : dice < 0.02 ? 404 : 200
      if (code === 502) this.reason(column, 0, random() < 0.7 ? 'CONNECT_FAILED' : 'TARGET_RESET')
      if (random() < 0.003) this.reason(column, 0, 'CLIENT_RESET')
      this.answer(column, 0, code, ms)
      this.target(column, slot, TARGET_REQUESTS, 1)
      this.latency(column, slot, ms)
      this.listener(column, 0, LISTENER_RECEIVED_BYTES, 420)
      this.listener(column, 0, LISTENER_SENT_BYTES, 2000 + Math.floor(random() * 9000))
    }
    const columns = [1, 2]
    for (const column of columns) {
      const { words, at } = placeOf(this.columns.listener(0), column)
      const open = Math.round(requests / 4 + random() * 12)
      this.listener(column, 0, LISTENER_CONNECTIONS_TOTAL, Math.round(requests / 20))
      words[at + LISTENER_CONNECTIONS_ACTIVE] = open
      this.worker(column, WORKER_CONNECTIONS_ACTIVE, open)
      this.worker(column, WORKER_LOOP_DELAY_P50_MS, 0.1 + random() * 0.2)
      this.worker(column, WORKER_LOOP_DELAY_P99_MS, 0.8 + random())
      this.worker(column, WORKER_LOOP_DELAY_MAX_MS, 2 + random() * 9)
      for (const slot of [0, 1, 2]) {
        const target = placeOf(this.columns.target(slot), column)
        target.words[target.at + TARGET_CONNECTIONS] = Math.round(open / 4)
      }
    }
  }
}

/** Where a column counts for a slot. */
function placeOf(counters: SlotCounters, column: number): { readonly words: Float64Array; readonly at: number } {
  return { words: counters.words, at: counters.at(column) }
}
