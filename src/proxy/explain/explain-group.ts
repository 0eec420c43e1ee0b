import { ALGORITHMS } from '../../balance/algorithms.js'
import { formatAddress } from '../../config/addresses.js'
import type { GroupView } from '../../core/balancer.js'
import type { Clock } from '../../core/clock.js'
import type { TargetGroupConfig } from '../../core/config.js'
import type { ListedTarget } from '../../core/directory.js'
import type { ExplainedGroup, ExplainedTarget } from '../../core/explanation.js'
import type { SessionKey, SessionStore } from '../../core/session-store.js'
import { ADMIN_ACTIVE, ADMIN_STATES, CHECK_STATES, HEALTH_REASONS } from '../../core/target-state.js'
import { isAvailable, isEjected, keepsClients } from '../../health/availability.js'
import { ignoresEjections } from '../../health/panic.js'
import type { RoutedRequest } from '../../route/conditions.js'
import type { Columns } from '../../shm/columns.js'
import type { TargetTable } from '../../shm/targets.js'
import { RequestHash } from '../request-hash.js'
import { Affinity, Stickiness, type StickyServices } from '../stickiness.js'

/** Why a client goes to the target that it is bound to. */
const BOUND = {
  off: '',
  cookie: 'its cookie binds the client to it',
  'app-cookie': 'the session that was learned from its cookie binds the client to it',
  'source-ip': 'the session of its address binds the client to it',
} as const

/** What a group itself limits. */
export function limitsOf({ maxConnectionsPerTarget, queue, timeouts, retries }: TargetGroupConfig) {
  return {
    maxConnectionsPerTarget: maxConnectionsPerTarget || null,
    queueSize: queue.size,
    connectTimeoutMs: timeouts.connectMs,
    responseTimeoutMs: timeouts.responseMs,
    retries: retries.attempts,
  }
}

type ExplainableTarget = Pick<ListedTarget, 'slot' | 'id' | 'host' | 'port' | 'address'>

export interface GroupFacts {
  readonly columns: Columns
  readonly table: TargetTable
  readonly clock: Pick<Clock, 'steadyMs'>
  readonly sticky: StickyServices
}

/** The group as it is now: each target with what speaks against it, and which of them would get the request. */
export function explainGroup(
  config: TargetGroupConfig,
  slot: number,
  targets: readonly ExplainableTarget[],
  request: RoutedRequest,
  { columns, table, clock, sticky }: GroupFacts,
): Omit<ExplainedGroup, 'weight'> {
  const nowMs = clock.steadyMs
  const ignoreEjections = ignoresEjections(table, targets, config.panicPercent, nowMs)
  const limit = config.maxConnectionsPerTarget
  const shown = targets.map((target): ExplainedTarget => {
    const check = table.check(target.slot)
    const ejected = isEjected(table, target.slot, nowMs)
    const reason = HEALTH_REASONS[table.checkReason(target.slot)] ?? 'NONE'
    const state = ADMIN_STATES[table.admin(target.slot)] ?? 'active'
    const health = ejected ? 'ejected' : (CHECK_STATES[check] ?? 'unchecked')
    const inFlight = columns.inFlight(target.slot)
    return {
      ...{ id: target.id, address: formatAddress(target.host, target.port), weight: table.weight(target.slot) },
      ...{ state, health: health === 'unhealthy' && reason !== 'NONE' ? `unhealthy (${reason})` : health, inFlight },
      whyNot:
        target.address === ''
          ? 'its name has no address'
          : state !== 'active'
            ? state
            : !isAvailable(table, target.slot, nowMs, ignoreEjections)
              ? `${health}${health === 'unhealthy' ? `: ${reason}` : ''}`
              : table.weight(target.slot) === 0
                ? 'weight 0'
                : limit > 0 && inFlight >= limit
                  ? `at its limit of ${limit}`
                  : null,
    }
  })
  const open = targets.filter((_, index) => shown[index]!.whyNot === null)
  const bound = boundBy(config, slot, targets, request, sticky)
  const keeps = bound !== undefined && bound.address !== '' && keepsClients(table, bound.slot, nowMs, ignoreEjections)
  const failOpen = open.length === 0 && config.failOpen
  const chosen = failOpen
    ? targets.filter((each) => table.admin(each.slot) === ADMIN_ACTIVE && each.address !== '')
    : open
  const view: GroupView = {
    groupSlot: slot,
    version: 0,
    targets: chosen.map(({ slot, id }) => ({ slot, id, weight: table.weight(slot) })),
    inFlight: (at) => columns.inFlight(at),
    latencyMs: (at) => table.latencyMs(at),
    nextTicket: () => 0,
  }
  const isFixed = config.algorithm === 'source-ip' || config.algorithm === 'maglev'
  const one = isFixed ? pick(config, view, request) : -1
  const picked = keeps
    ? [bound.id]
    : one >= 0
      ? chosen.filter((each) => each.slot === one).map(({ id }) => id)
      : chosen.map(({ id }) => id)
  return {
    ...{ name: config.name, algorithm: config.algorithm, stickiness: stickinessOf(config) },
    ...{ ...limitsOf(config), targets: shown, picked },
    why: keeps ? BOUND[config.stickiness.type] : whyPicked(config, picked.length, shown, failOpen, one >= 0),
  }
}

function whyPicked(
  { algorithm, stickiness, queue }: TargetGroupConfig,
  count: number,
  targets: readonly ExplainedTarget[],
  failOpen: boolean,
  isOne: boolean,
): string {
  if (count === 0) {
    const isFull = targets.some(({ whyNot }) => whyNot?.startsWith('at its limit'))
    if (isFull) return `every target is full: ${queue.size > 0 ? 'it waits in the queue' : '503'}`
    return 'no target is available: 503'
  }
  const sessions = stickiness.type === 'source-ip' || stickiness.type === 'app-cookie'
  const parts = [
    ...(failOpen ? ['every target is down and failOpen is on'] : []),
    isOne ? `${algorithm} gives this client the same each time` : `${algorithm}: any of them`,
    ...(sessions ? ['a client with a session stays on its target'] : []),
  ]
  return parts.join('; ')
}

function stickinessOf({ stickiness }: TargetGroupConfig): string {
  if (stickiness.type === 'cookie' || stickiness.type === 'app-cookie') return `${stickiness.type} ${stickiness.name}`
  return stickiness.type === 'source-ip' ? 'source-ip' : 'off'
}

function pick(config: TargetGroupConfig, view: GroupView, { parser, buffer, start, source }: RoutedRequest): number {
  const balancer = ALGORITHMS[config.algorithm]()
  balancer.prepare?.(view)
  return balancer.pick(view, { client: source, hash: new RequestHash(config.hashOn).of(parser, buffer, start) }, [])
}

/** The target that the client's cookie, or what was learned of the client, names. Nothing is kept alive by being asked for. */
function boundBy(
  { name, stickiness }: TargetGroupConfig,
  slot: number,
  targets: readonly ExplainableTarget[],
  { parser, buffer, start, source }: RoutedRequest,
  services: StickyServices,
): ExplainableTarget | undefined {
  if (stickiness.type === 'off') return undefined
  const sticky = new Stickiness(stickiness, { slot, name }, { ...services, store: unmoved(services.store) })
  sticky.setTargets(targets)
  const affinity = new Affinity()
  sticky.bindRequest(affinity, parser, buffer, start, {
    ...{ source, vip: '', vport: 0, tls: undefined, place: -1, isForwarded: false, sessionKey: undefined },
  })
  return affinity.slot < 0 ? undefined : targets.find((each) => each.slot === affinity.slot)
}

/** The same sessions, whose times stay as they are. */
function unmoved(store: SessionStore): SessionStore {
  return Object.create(store, {
    find: { value: (key: SessionKey) => store.find(key) },
    found: { get: () => store.found },
    touch: { value: () => 'done' },
  })
}
