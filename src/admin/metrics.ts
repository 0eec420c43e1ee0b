import type { Clock } from '../core/clock.js'
import type { Config } from '../core/config.js'
import type { Directory, ListedTarget } from '../core/directory.js'
import type { Fault } from '../core/fault.js'
import type { ReasonCode } from '../core/reasons.js'
import type { SessionStore, SessionTotals } from '../core/session-store.js'
import { isWell } from '../health/availability.js'
import { isInPanic } from '../health/panic.js'
import { Exposition, type Labels } from '../observe/prometheus.js'
import type { Columns } from '../shm/columns.js'
import {
  LISTENER_CONNECTIONS_ACTIVE,
  LISTENER_CONNECTIONS_TOTAL,
  LISTENER_RECEIVED_BYTES,
  LISTENER_SENT_BYTES,
  MIRROR_RESULTS,
  RULE_REQUESTS,
  SERIES_CODE_FIRST,
  SERIES_CONNECT_DURATION,
  SERIES_MIRRORED,
  SERIES_REQUEST_DURATION,
  SERIES_RESPONSE_DURATION,
  TARGET_CONNECTIONS,
  TARGET_FAILURES,
  TARGET_REQUESTS,
  WORKER_ACCESS_RECORDS_DROPPED,
  WORKER_CONNECTIONS_ACTIVE,
  WORKER_DIALS_WAITING,
  WORKER_LOOP_DELAY_MAX_MS,
  WORKER_LOOP_DELAY_P50_MS,
  WORKER_LOOP_DELAY_P99_MS,
  WORKER_RETRIES_TOTAL,
  WORKER_UPSTREAM_IDLE,
  WORKER_UPSTREAM_SOCKETS,
} from '../shm/layout.js'
import type { TargetTable } from '../shm/targets.js'
import { clusterMetrics } from './cluster-metrics.js'
import { codeCounts, histogramSample, reasonCounts } from './column-sums.js'
import { configMetrics } from './config-metrics.js'
import { pluginMetrics } from './plugin-metrics.js'
import type { ProcessFacts } from './process-facts.js'
import { sourceMetrics } from './source-metrics.js'
import { tlsMetrics } from './tls-metrics.js'

/** Reasons that mean Castor turned a connection or request away for its own sake, before any target was asked. */
const REJECTIONS: readonly ReasonCode[] = [
  'PROXY_PROTOCOL_INVALID',
  'CONNECTION_LIMIT',
  'SHUTTING_DOWN',
  'QUEUE_FULL',
  'QUEUE_TIMEOUT',
  'SHED_SILENT',
  'SOURCE_DENIED',
  'SOURCE_CONNECTIONS',
  'SOURCE_CONNECTION_RATE',
  'SOURCE_HANDSHAKE_RATE',
  'SOURCE_REQUEST_RATE',
  'LISTENER_CONNECTIONS',
  'LISTENER_REQUEST_RATE',
  'BODY_TOO_LARGE',
]

/** What is measured in shared memory, and what its numbers stand for. */
export interface Measured {
  readonly config: Config
  readonly columns: Columns
  readonly table: TargetTable
  readonly clock: Pick<Clock, 'steadyMs'>
  readonly directory: Directory
  readonly targets: readonly ListedTarget[]
  readonly sessions: SessionStore
  readonly sessionTotals: SessionTotals
}

/** All of `/metrics`; every name is explained in docs/METRICS.md. Only codes and reasons that occurred have a line. */
export function renderMetrics(measured: Measured, facts: ProcessFacts): string {
  const { columns, directory } = measured
  const out = new Exposition()
  requests(out, columns, directory)
  rules(out, columns, directory)
  pluginMetrics(out, columns.shared.plugins, directory)
  sourceMetrics(out, columns.shared.sources)
  mirrored(out, columns, directory)
  listeners(out, columns, directory)
  failures(out, columns, directory)
  tlsMetrics(out, columns, directory, (listener) => facts.certificates(listener))
  targets(out, measured)
  queues(out, measured)
  health(out, measured)
  checks(out, measured)
  sessions(out, measured)
  if (facts.cluster !== undefined) clusterMetrics(out, facts.cluster)
  configMetrics(out, facts.configuration)
  workers(out, columns, facts)
  processItself(out, facts)
  return out.text()
}

function requests(out: Exposition, columns: Columns, { series }: Directory): void {
  const labels = series.map((names) => names && { listener: names.listener, target_group: names.group })
  out.family('castor_requests_total', 'counter', 'Requests answered, by status code sent to the client.')
  labels.forEach((label, index) => {
    if (label === undefined) return
    codeCounts(columns, index).forEach((count, code) => {
      if (count > 0) out.sample({ ...label, code: String(SERIES_CODE_FIRST + code) }, count)
    })
  })
  const durations = [
    [
      'castor_request_duration_seconds',
      SERIES_REQUEST_DURATION,
      'From the first byte of a request to the last byte of its answer.',
    ],
    [
      'castor_upstream_connect_duration_seconds',
      SERIES_CONNECT_DURATION,
      'From asking a target for a connection to having it.',
    ],
    [
      'castor_upstream_response_duration_seconds',
      SERIES_RESPONSE_DURATION,
      'From sending a request to a target to the head of its answer.',
    ],
  ] as const
  for (const [name, offset, help] of durations) {
    out.family(name, 'histogram', help)
    labels.forEach((label, index) => {
      const sample = label && histogramSample(columns.series(index), offset)
      if (sample) out.histogram(label, sample)
    })
  }
}

function mirrored(out: Exposition, columns: Columns, { series }: Directory): void {
  out.family('castor_mirrored_requests_total', 'counter', 'Copies of requests for a mirror, by what became of them.')
  series.forEach((names, slot) => {
    if (names === undefined) return
    MIRROR_RESULTS.forEach((result, index) => {
      const count = columns.series(slot).sum(SERIES_MIRRORED + index)
      if (count > 0) out.sample({ listener: names.listener, target_group: names.group, result }, count)
    })
  })
}

function rules(out: Exposition, columns: Columns, { rules }: Directory): void {
  out.family('castor_rule_requests_total', 'counter', 'Requests that matched the rule.')
  rules.forEach((names, slot) => {
    if (names !== undefined) out.sample({ ...names }, columns.rule(slot).sum(RULE_REQUESTS))
  })
}

function listeners(out: Exposition, columns: Columns, directory: Directory): void {
  const families = [
    ['castor_connections_active', 'gauge', LISTENER_CONNECTIONS_ACTIVE, 'Client connections open now.'],
    ['castor_connections_total', 'counter', LISTENER_CONNECTIONS_TOTAL, 'Client connections accepted.'],
    ['castor_received_bytes_total', 'counter', LISTENER_RECEIVED_BYTES, 'Bytes received from clients.'],
    ['castor_sent_bytes_total', 'counter', LISTENER_SENT_BYTES, 'Bytes sent to clients.'],
  ] as const
  for (const [name, type, word, help] of families) {
    out.family(name, type, help)
    directory.listeners.forEach((listener, index) => {
      if (listener === undefined) return
      out.sample({ listener }, columns.listener(index).sum(word))
    })
  }
}

function failures(out: Exposition, columns: Columns, directory: Directory): void {
  const counted = directory.listeners.flatMap((listener, index) =>
    listener === undefined ? [] : [{ listener, reasons: reasonCounts(columns, index) }],
  )
  const family = (name: string, help: string, belongs: (code: ReasonCode, fault: Fault) => boolean) => {
    out.family(name, 'counter', help)
    for (const { listener, reasons } of counted) {
      for (const { code, fault, count } of reasons)
        if (belongs(code, fault)) out.sample({ listener, reason: code }, count)
    }
  }
  family('castor_client_errors_total', 'Failures on the client side, by reason.', (_, fault) => fault === 'client')
  family('castor_server_errors_total', 'Failures of targets or of Castor, by reason.', (_, fault) => fault !== 'client')
  family('castor_rejected_total', 'Connections and requests turned away by a limit.', (code) =>
    REJECTIONS.includes(code),
  )
}

function queues(out: Exposition, { columns, directory, targets }: Measured): void {
  out.family('castor_target_in_flight', 'gauge', 'Requests, or connections of tcp groups, that the target has now.')
  for (const { group, id, slot } of targets) {
    out.sample({ target_group: directory.groups[group]!, target: id }, columns.inFlight(slot))
  }
  out.family('castor_target_group_queued', 'gauge', 'Waiting now for a target with a place.')
  directory.groups.forEach((target_group, slot) => {
    if (target_group !== undefined) out.sample({ target_group }, columns.waiting.waiting(slot))
  })
}

function health(out: Exposition, { config, table, directory, targets, clock }: Measured): void {
  out.family('castor_target_healthy', 'gauge', 'Whether checks and traffic find the target well: 1 or 0.')
  for (const { group, id, slot } of targets) {
    out.sample(
      { target_group: directory.groups[group]!, target: id },
      isWell(table, slot, clock.steadyMs, false) ? 1 : 0,
    )
  }
  out.family(
    'castor_target_group_panic',
    'gauge',
    'Whether ejected targets take traffic because too few others are left: 1 or 0.',
  )
  for (const { name, panicPercent } of config.targetGroups) {
    const group = directory.groups.indexOf(name)
    const own = targets.filter((target) => target.group === group)
    out.sample({ target_group: name }, isInPanic(table, own, panicPercent, clock.steadyMs) ? 1 : 0)
  }
}

function checks(out: Exposition, { table }: Measured): void {
  out.family(
    'castor_health_checks_not_made_total',
    'counter',
    'Health checks that this host had no socket for; targets keep the health they have.',
  )
  out.sample({}, table.checksNotMade)
}

function sessions(out: Exposition, { config, directory, sessions, sessionTotals }: Measured): void {
  out.family('castor_sessions', 'gauge', 'Learned sessions that live, as last counted.')
  config.targetGroups.forEach(({ name, stickiness }) => {
    if (stickiness.type !== 'source-ip' && stickiness.type !== 'app-cookie') return
    out.sample({ target_group: name }, sessionTotals.ofGroup(directory.groups.indexOf(name)))
  })
  const { entries, evictions } = sessions.counts()
  out.family('castor_session_entries', 'gauge', 'Places of the session table that are taken.')
  out.sample({}, entries)
  out.family('castor_session_capacity', 'gauge', 'Places of the session table.')
  out.sample({}, sessions.capacity)
  out.family('castor_session_evictions_total', 'counter', 'Sessions that went before their time for want of room.')
  out.sample({}, evictions)
}

function targets(out: Exposition, { columns, directory, targets }: Measured): void {
  const families = [
    [
      'castor_target_connections_active',
      'gauge',
      TARGET_CONNECTIONS,
      'Connections open to the target, idle ones included.',
    ],
    [
      'castor_target_requests_total',
      'counter',
      TARGET_REQUESTS,
      'Requests, or connections of tcp groups, sent to the target.',
    ],
    ['castor_target_failures_total', 'counter', TARGET_FAILURES, 'Of these, those the target failed.'],
  ] as const
  for (const [name, type, word, help] of families) {
    out.family(name, type, help)
    for (const { group, id, slot } of targets) {
      const labels: Labels = { target_group: directory.groups[group]!, target: id }
      out.sample(labels, columns.target(slot).sum(word))
    }
  }
}

function workers(out: Exposition, columns: Columns, { workers, primaryLoopDelay }: ProcessFacts): void {
  const perWorker = (word: number): void => {
    for (const { id } of workers) out.sample({ worker: String(id) }, columns.workerWords[columns.workerAt(id) + word]!)
  }
  out.family('castor_worker_connections_active', 'gauge', 'Client connections open on the worker.')
  perWorker(WORKER_CONNECTIONS_ACTIVE)
  out.family('castor_worker_upstream_idle', 'gauge', 'Idle connections to targets that the worker keeps for reuse.')
  perWorker(WORKER_UPSTREAM_IDLE)
  out.family(
    'castor_worker_upstream_sockets',
    'gauge',
    'Sockets to targets that the worker has open, idle ones included.',
  )
  perWorker(WORKER_UPSTREAM_SOCKETS)
  out.family('castor_worker_dials_waiting', 'gauge', 'Dials that wait because this host has no socket for them.')
  perWorker(WORKER_DIALS_WAITING)
  out.family('castor_worker_up', 'gauge', '1 while the worker takes connections, 0 while it starts.')
  for (const { id, state } of workers) out.sample({ worker: String(id) }, state === 'running' ? 1 : 0)
  out.family(
    'castor_worker_restarts_total',
    'counter',
    'Worker threads that died, or were ended because they were stuck, and were replaced.',
  )
  for (const { id, restarts, stuck } of workers) {
    out.sample({ worker: String(id), reason: 'died' }, restarts - stuck)
    out.sample({ worker: String(id), reason: 'stuck' }, stuck)
  }
  out.family('castor_retries_total', 'counter', 'Requests and connections sent to a target once more.')
  out.sample({}, columns.sumOfWorkers(WORKER_RETRIES_TOTAL))
  out.family(
    'castor_access_log_dropped_total',
    'counter',
    'Access log records dropped because writing was behind or failed.',
  )
  out.sample({}, columns.sumOfWorkers(WORKER_ACCESS_RECORDS_DROPPED))

  out.family(
    'castor_event_loop_delay_seconds',
    'gauge',
    'Lateness of timers in the last second, by thread; percentile 100 is the maximum.',
  )
  const delay = (thread: string, p50: number, p99: number, max: number): void => {
    out.sample({ thread, percentile: '50' }, p50 / 1000)
    out.sample({ thread, percentile: '99' }, p99 / 1000)
    out.sample({ thread, percentile: '100' }, max / 1000)
  }
  delay('primary', primaryLoopDelay.p50Ms, primaryLoopDelay.p99Ms, primaryLoopDelay.maxMs)
  for (const { id } of workers) {
    const at = columns.workerAt(id)
    const { workerWords: words } = columns
    delay(
      `proxy-${id}`,
      words[at + WORKER_LOOP_DELAY_P50_MS]!,
      words[at + WORKER_LOOP_DELAY_P99_MS]!,
      words[at + WORKER_LOOP_DELAY_MAX_MS]!,
    )
  }
}

function processItself(out: Exposition, facts: ProcessFacts): void {
  out.family('castor_build_info', 'gauge', 'Always 1; the labels say what runs.')
  out.sample({ version: facts.version, node_version: process.version, node: facts.node }, 1)
  if (facts.cpuSeconds !== undefined) {
    out.family('process_cpu_seconds_total', 'counter', 'CPU time of all threads, in seconds.')
    out.sample({}, facts.cpuSeconds)
  }
  if (facts.residentBytes !== undefined) {
    out.family('process_resident_memory_bytes', 'gauge', 'Resident memory.')
    out.sample({}, facts.residentBytes)
  }
  if (facts.openFds !== undefined) {
    out.family('process_open_fds', 'gauge', 'Open file descriptors.')
    out.sample({}, facts.openFds)
  }
  out.family('process_start_time_seconds', 'gauge', 'When the process started, in seconds since the epoch.')
  out.sample({}, facts.startedAtMs / 1000)
}
