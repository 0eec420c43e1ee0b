import { formatAddress } from '../config/addresses.js'
import { steadyTime, wallTime } from '../core/clock.js'
import type { Directory } from '../core/directory.js'
import { ADMIN_STATES, CHECK_STATES, CHECK_UNHEALTHY, HEALTH_REASONS, type Health } from '../core/target-state.js'
import { isEjected } from '../health/availability.js'
import { isInPanic } from '../health/panic.js'
import type { Columns } from '../shm/columns.js'
import {
  LISTENER_CONNECTIONS_ACTIVE,
  LISTENER_CONNECTIONS_TOTAL,
  LISTENER_RECEIVED_BYTES,
  LISTENER_SENT_BYTES,
  RULE_REQUESTS,
  TARGET_CONNECTIONS,
  TARGET_FAILURES,
  TARGET_REQUESTS,
  WORKER_CONNECTIONS_ACTIVE,
  WORKER_LOOP_DELAY_MAX_MS,
  WORKER_LOOP_DELAY_P50_MS,
  WORKER_LOOP_DELAY_P99_MS,
} from '../shm/layout.js'
import { buildClusterStatus, clusterProblems } from './cluster-status.js'
import { codeCounts, reasonCounts } from './column-sums.js'
import type { AdminFacts } from './facts.js'
import type { LatencyWindow } from './latency-window.js'
import type { ConfigurationState } from './reload-control.js'
import type {
  ConfigurationStatus,
  ListenerStatus,
  ResponseClass,
  SessionsStatus,
  Status,
  TargetGroupStatus,
  TargetStatus,
  WorkerStatus,
} from './status-shape.js'
import { certificateProblems, tlsStatus } from './tls-status.js'

/** Everything the process says about itself. Nothing of the config but names, addresses and weights gets in here. */
export function buildStatus(facts: AdminFacts, latency: LatencyWindow, wallMs = Date.now()): Status {
  const { clock } = facts
  const nowMs = steadyTime(wallMs, clock)
  const workers = buildWorkers(facts)
  const listeners = buildListeners(facts, wallMs)
  const targetGroups = buildTargetGroups(facts, latency, nowMs)
  const { cluster } = facts
  const problems = [
    ...findProblems(workers, listeners, targetGroups),
    ...(cluster === undefined ? [] : clusterProblems(cluster, facts.config.node)),
  ]
  return {
    node: facts.config.node,
    version: facts.version,
    time: new Date(wallMs).toISOString(),
    uptimeMs: Math.max(0, Math.round(nowMs - facts.startedAtMs)),
    state: facts.state,
    health: problems.length === 0 ? 'healthy' : 'degraded',
    problems,
    workers,
    listeners,
    targetGroups,
    ...(cluster === undefined ? {} : { cluster: buildClusterStatus(cluster, clock) }),
    sessions: buildSessions(facts),
    configuration: buildConfiguration(facts.reloading.state),
  }
}

/** The status as events have it: as long as it is however many rules there are. */
export function withoutRules(status: Status): Status {
  return { ...status, listeners: status.listeners.map(({ rules: _rules, ...rest }) => rest) }
}

/** Everybody who watches the events gets it every second. */
const MAX_REASONS = 20

function buildConfiguration({ version, loadedAtMs, file, last }: ConfigurationState): ConfigurationStatus {
  return {
    version,
    loaded: new Date(loadedAtMs).toISOString(),
    file: file ?? null,
    lastReload:
      last === undefined
        ? null
        : {
            time: new Date(last.atMs).toISOString(),
            by: last.by,
            result: last.result,
            reasons: last.reasons.slice(0, MAX_REASONS),
          },
  }
}

const SERVING: ReadonlySet<Health> = new Set(['healthy', 'unchecked'])

function buildWorkers({ workers, columns }: AdminFacts): WorkerStatus[] {
  return workers.map(({ id, state, restarts, stuck }) => {
    const word = (offset: number): number => columns.workerWords[columns.workerAt(id) + offset]!
    return {
      id,
      state,
      connections: word(WORKER_CONNECTIONS_ACTIVE),
      restarts,
      stuck,
      loopDelayMs: {
        p50: word(WORKER_LOOP_DELAY_P50_MS),
        p99: word(WORKER_LOOP_DELAY_P99_MS),
        max: word(WORKER_LOOP_DELAY_MAX_MS),
      },
    }
  })
}

function buildListeners(facts: AdminFacts, nowMs: number): ListenerStatus[] {
  const { config, directory, columns, listeners } = facts
  const requestsOf = countByRule(facts)
  return config.listeners.map(({ name, protocol, targetGroup, rules, tls }) => {
    const index = directory.listeners.indexOf(name)
    const word = (offset: number): number => (index < 0 ? 0 : columns.listener(index).sum(offset))
    const responses = countResponses(columns, directory.series, name)
    const errors = { client: 0, server: 0, reasons: {} as Record<string, number> }
    for (const { code, fault, count } of index < 0 ? [] : reasonCounts(columns, index)) {
      errors[fault === 'client' ? 'client' : 'server'] += count
      errors.reasons[code] = count
    }
    return {
      name,
      protocol,
      addresses: listeners.find((listener) => listener.name === name)?.addresses ?? [],
      targetGroup,
      connections: word(LISTENER_CONNECTIONS_ACTIVE),
      connectionsTotal: word(LISTENER_CONNECTIONS_TOTAL),
      requests: Object.values(responses).reduce((sum, count) => sum + count, 0),
      responses,
      rules: rules.map((rule) => ({ name: rule.name, requests: requestsOf.get(`${name} ${rule.name}`) ?? 0 })),
      receivedBytes: word(LISTENER_RECEIVED_BYTES),
      sentBytes: word(LISTENER_SENT_BYTES),
      errors,
      tls: tls === undefined ? null : tlsStatus(columns, index, facts.certificates(index), nowMs),
    }
  })
}

/** By the names of listener and rule; names have no space. */
function countByRule({ directory, columns }: AdminFacts): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  directory.rules.forEach((names, slot) => {
    if (names !== undefined) counts.set(`${names.listener} ${names.rule}`, columns.rule(slot).sum(RULE_REQUESTS))
  })
  return counts
}

const CLASSES: readonly ResponseClass[] = ['1xx', '2xx', '3xx', '4xx', '5xx']

function countResponses(
  columns: Columns,
  series: Directory['series'],
  listener: string,
): Record<ResponseClass, number> {
  const counts: Record<ResponseClass, number> = { '1xx': 0, '2xx': 0, '3xx': 0, '4xx': 0, '5xx': 0 }
  series.forEach((entry, index) => {
    if (entry?.listener !== listener) return
    codeCounts(columns, index).forEach((count, code) => {
      counts[CLASSES[Math.floor(code / 100)]!] += count
    })
  })
  return counts
}

function buildTargetGroups(facts: AdminFacts, latency: LatencyWindow, nowMs: number): TargetGroupStatus[] {
  const { config, directory, columns, sessionTotals } = facts
  const all = facts.targets
  return config.targetGroups.map((groupConfig) => {
    const { name, protocol, algorithm, stickiness, maxConnectionsPerTarget, queue, panicPercent } = groupConfig
    const group = directory.groups.indexOf(name)
    const learns = stickiness.type === 'source-ip' || stickiness.type === 'app-cookie'
    const listed = all.filter((target) => target.group === group)
    const targets = listed.map(({ slot, id, host, port, leavesMs }): TargetStatus => {
      const counters = columns.target(slot)
      const word = (offset: number): number => counters.sum(offset)
      return {
        id,
        address: formatAddress(host, port),
        ...targetState(facts, slot, nowMs),
        leaves: leavesMs === undefined ? null : new Date(wallTime(leavesMs, facts.clock)).toISOString(),
        connections: word(TARGET_CONNECTIONS),
        inFlight: columns.inFlight(slot),
        requests: word(TARGET_REQUESTS),
        failures: word(TARGET_FAILURES),
        latency: latency.of(slot),
      }
    })
    return {
      name,
      protocol,
      algorithm,
      maxConnectionsPerTarget: maxConnectionsPerTarget === 0 ? null : maxConnectionsPerTarget,
      queue: { waiting: waitingIn(columns, group), ...queue },
      sessions: learns ? sessionTotals.ofGroup(group) : null,
      panic: isInPanic(facts.table, listed, panicPercent, nowMs),
      targets,
    }
  })
}

function buildSessions({ sessions }: AdminFacts): SessionsStatus {
  const { entries, evictions } = sessions.counts()
  return { live: entries, capacity: sessions.capacity, evictions }
}

function waitingIn(columns: Columns, group: number): number {
  return group < 0 ? 0 : columns.waiting.waiting(group)
}

/** What operator, checks and traffic say of a target. */
function targetState({ table, startedAtMs, clock }: AdminFacts, slot: number, nowMs: number) {
  const ejected = isEjected(table, slot, nowMs)
  const check = table.check(slot)
  const reason = HEALTH_REASONS[table.checkReason(slot)] ?? 'NONE'
  return {
    weight: table.weight(slot),
    state: ADMIN_STATES[table.admin(slot)] ?? 'active',
    health: ejected ? ('ejected' as const) : (CHECK_STATES[check] ?? 'unchecked'),
    reason: check === CHECK_UNHEALTHY && reason !== 'NONE' ? reason : null,
    since: new Date(wallTime(table.sinceMs(slot) || startedAtMs, clock)).toISOString(),
  }
}

function findProblems(
  workers: readonly WorkerStatus[],
  listeners: readonly ListenerStatus[],
  groups: readonly TargetGroupStatus[],
): string[] {
  const problems: string[] = []
  for (const { id, state } of workers) if (state !== 'running') problems.push(`worker ${id} is ${state}`)
  for (const { name, addresses, tls } of listeners) {
    if (addresses.length === 0) problems.push(`listener ${name} is not listening`)
    if (tls !== null) problems.push(...certificateProblems(name, tls))
  }
  for (const { name, targets, panic } of groups) {
    const serving = targets.filter(
      ({ weight, state, health }) => weight > 0 && state === 'active' && SERVING.has(health),
    )
    if (panic)
      problems.push(`target group ${name} is in panic: too few targets are available, so ejected ones take traffic`)
    else if (serving.length === 0) problems.push(`target group ${name} has no target that takes traffic`)
    for (const { id, health, reason } of targets) {
      if (health === 'unhealthy' || health === 'ejected') {
        problems.push(`target ${id} of ${name} is ${health}${reason === null ? '' : ` (${reason})`}`)
      }
    }
  }
  return problems
}
