import type { Logger } from 'pino'
import { ALGORITHMS } from '../../src/balance/algorithms.js'
import { type Clock, SystemClock } from '../../src/core/clock.js'
import type { Conn } from '../../src/core/conn.js'
import type { GroupTargets } from '../../src/core/directory.js'
import type { ProxyTask } from '../../src/core/messages.js'
import { nativeAddon } from '../../src/native/addon.js'
import { NativeTransport } from '../../src/net/native-transport.js'
import { SocketTransport } from '../../src/net/socket-transport.js'
import { type Timed, TimerWheel } from '../../src/net/timer-wheel.js'
import { AccessEntry, AccessLog } from '../../src/observe/access-log.js'
import { ExchangePool } from '../../src/proxy/h1/exchange-pool.js'
import { Http1Context } from '../../src/proxy/h1/h1-context.js'
import { Http2Context } from '../../src/proxy/h2/h2-context.js'
import { type StreamDialling, TargetStreams } from '../../src/proxy/h2/target-streams.js'
import { Listener } from '../../src/proxy/listener.js'
import { ListenerSettings } from '../../src/proxy/listener-settings.js'
import { NO_GROUP } from '../../src/proxy/no-group.js'
import { RequestIds } from '../../src/proxy/request-ids.js'
import { Route } from '../../src/proxy/route.js'
import type { Http1 } from '../../src/proxy/serve.js'
import { ShortageLog } from '../../src/proxy/shortage-log.js'
import { SilentClients } from '../../src/proxy/silent-clients.js'
import type { Target, TargetServices } from '../../src/proxy/target.js'
import { TargetGroup } from '../../src/proxy/target-group.js'
import type { MultiplexingPool } from '../../src/proxy/target-pool.js'
import { TargetSet } from '../../src/proxy/target-set.js'
import { TlsLog } from '../../src/proxy/tls-log.js'
import type { WorkerContext } from '../../src/proxy/worker-context.js'
import { Columns } from '../../src/shm/columns.js'
import { KeyHash } from '../../src/shm/key-hash.js'
import { Outbox } from '../../src/shm/outbox.js'
import { ReplicatingSessions } from '../../src/shm/replicating-sessions.js'
import { SessionTable } from '../../src/shm/sessions.js'
import { SharedHybridClock } from '../../src/shm/shared-hybrid-clock.js'
import { SharedSocketBudget } from '../../src/shm/socket-budget.js'
import { TargetTable } from '../../src/shm/targets.js'
import { ThreadTls } from './thread-tls.js'

const TICK_MS = 100
const WHEEL_SLOTS = 512
/** What cannot be ended for its fault has another try. */
const FAULTY_AGAIN_MS = 1_000

/** Everything a proxy thread is made of. */
export interface ProxyThread {
  readonly context: WorkerContext
  readonly http1: Http1
  readonly groups: readonly TargetGroup[]
  readonly table: TargetTable
  /** By index in the directory. */
  readonly listeners: readonly Listener[]
  readonly tls: ThreadTls
  readonly log: Logger
  /** To be called every now and then: dials may wait for a socket, here or in another thread. */
  giveRoom(): void
}

/** Joins the parts of a proxy thread. `onAccess` gets complete lines of the access log. */
export function assemble(
  task: ProxyTask,
  log: Logger,
  onAccess: (lines: Uint8Array<ArrayBuffer>) => void,
): ProxyThread {
  const clock = new SystemClock(task.counters.steadyOriginMs)
  const columns = new Columns(task.counters)
  const onFault = (err: unknown): void => log.error({ err }, 'a fault ended one request')
  const wheel = new TimerWheel(clock, TICK_MS, WHEEL_SLOTS, (err, timed) => endFaulty(log, err, timed))
  const table = new TargetTable(task.counters.targets)
  const sessions = new SessionTable(task.counters.sessions, task.column, clock)
  const stamps = new SharedHybridClock(task.counters.hybridClock, task.snapshot.config.node, () => clock.wallMs)
  const outbox = openOutbox(task)
  const services: TargetServices = {
    clock,
    wheel,
    onFault,
    columns,
    column: task.column,
    table,
    sticky: {
      store: outbox === undefined ? sessions : new ReplicatingSessions(sessions, outbox, stamps),
      stamps,
      keys: new KeyHash(Uint8Array.from(task.sessionSeed)),
      table,
      clock,
      secret: task.cookieSecret,
    },
  }
  const groups: TargetGroup[] = []
  const budget = new SharedSocketBudget(columns, task.column, task.maxTargetSockets)
  const carrier = transport(task, clock, log)
  const { room } = carrier
  const shortages = new ShortageLog(log, clock)
  room.budget = budget
  room.onShortage = (detail) => shortages.met(detail)
  room.onCrowded = () => {
    for (const group of groups) group.set.shrinkIdle()
  }
  const context: WorkerContext = {
    transport: carrier,
    clock,
    wheel,
    columns,
    column: task.column,
    protection: task.snapshot.config.protection,
    accessLog: task.snapshot.config.log.access === 'off' ? undefined : new AccessLog(onAccess),
    entry: new AccessEntry(),
    requestIds: new RequestIds(),
    drainables: new Set(),
    silent: new SilentClients(
      clock,
      task.snapshot.config.protection.firstByteTimeoutMs,
      columns.words,
      columns.workerAt(task.column),
    ),
    tlsLog: new TlsLog(log, clock),
  }
  const http1 = new Http1Context(context, log)
  const exchanges = new ExchangePool(http1)
  const http2 = new Http2Context(context, http1, exchanges, log)
  groups.push(...task.targets.map((targets) => group(task, targets, services, http2)))
  const noGroup = new TargetGroup(NO_GROUP, new TargetSet(-1, services), ALGORITHMS[NO_GROUP.algorithm]())
  const listeners = task.snapshot.listeners.map((_, index) => listener(task, index, groups, noGroup, columns))
  const tls = new ThreadTls(context.transport, listeners, groups, log, task)
  const giveRoom = (): void => {
    // Another thread's dials may wait for what this one does not use.
    if (budget.wanted) room.onCrowded()
    room.tick()
  }
  return { context, http1: { context: http1, exchanges, http2 }, groups, table, listeners, tls, log, giveRoom }
}

/** A fault in one timer is the end of what it is for, as one in an event is. */
function endFaulty(log: Logger, err: unknown, timed: Timed): number {
  log.error({ err }, 'a fault ended one connection')
  try {
    if ('cut' in timed && typeof timed.cut === 'function') timed.cut()
    else if ('conn' in timed) (timed.conn as Conn).abort()
    else return FAULTY_AGAIN_MS
  } catch (again) {
    log.error({ err: again }, 'a fault ended one connection')
  }
  return 0
}

/** Where the thread tells the mesh thread of what it learns; undefined where nobody shares it. */
function openOutbox(task: ProxyTask): Outbox | undefined {
  const shared = task.counters.outboxes[task.column - 1]
  return shared && new Outbox(shared)
}

/** The fast transport where connections come as descriptors, else the one on Node's own sockets. */
function transport(task: ProxyTask, clock: Clock, log: Logger): NativeTransport | SocketTransport {
  const addon = task.inbox === undefined ? undefined : nativeAddon()
  if (addon === undefined) return new SocketTransport(clock)
  return new NativeTransport(addon, clock, (fault) => log.error({ err: fault }, 'a fault ended one connection'))
}

function group(task: ProxyTask, targets: GroupTargets, shared: TargetServices, http2: Http2Context): TargetGroup {
  const config = task.snapshot.groups[targets.group]!.config
  const isMultiplexed = config.protocol === 'h2' || config.protocol === 'h2c'
  const multiplexing = (target: Target): MultiplexingPool => new TargetStreams(target, http2, dialling(set, http2))
  const set = new TargetSet(targets.group, isMultiplexed ? { ...shared, multiplexing } : shared)
  const made = new TargetGroup(config, set, ALGORITHMS[config.algorithm]())
  made.rule()
  set.setTargets(targets)
  return made
}

/** Connections that speak HTTP/2, with or without TLS; each goes by the settings that are in force when it is dialled. */
function dialling(set: TargetSet, http2: Http2Context): StreamDialling {
  return {
    scheme: set.config.protocol === 'h2' ? 'https' : 'http',
    get connectTimeoutMs() {
      return set.config.timeouts.connectMs
    },
    get http2() {
      return set.config.http2!
    },
    dial: ({ address, port, tls }, handler) =>
      http2.context.transport.dial(address, port, handler, tls, undefined, undefined, set.config.keepAliveSeconds),
  }
}

function listener(
  task: ProxyTask,
  index: number,
  groups: readonly TargetGroup[],
  noGroup: TargetGroup,
  columns: Columns,
): Listener {
  const { config, group: groupSlot, series } = task.snapshot.listeners[index]!
  const { column } = task
  const route = new Route(new ListenerSettings(config), groups[groupSlot] ?? noGroup, { columns, column, series })
  return new Listener(route, { columns, column, listener: index })
}
