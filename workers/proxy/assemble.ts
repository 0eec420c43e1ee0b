import type { Logger } from 'pino'
import { type Clock, SystemClock } from '../../src/core/clock.js'
import type { Conn } from '../../src/core/conn.js'
import type { ProxyTask } from '../../src/core/messages.js'
import { nativeAddon } from '../../src/native/addon.js'
import { NativeTransport } from '../../src/net/native-transport.js'
import { SocketTransport } from '../../src/net/socket-transport.js'
import { type Timed, TimerWheel } from '../../src/net/timer-wheel.js'
import { AccessEntry, AccessLog } from '../../src/observe/access-log.js'
import { ClientSources } from '../../src/proxy/client-sources.js'
import { Drainables } from '../../src/proxy/drainables.js'
import { RequestIds } from '../../src/proxy/request-ids.js'
import { RequestLimits } from '../../src/proxy/request-limits.js'
import { ShortageLog } from '../../src/proxy/shortage-log.js'
import { SilentClients } from '../../src/proxy/silent-clients.js'
import type { TargetServices } from '../../src/proxy/target.js'
import { TlsLog } from '../../src/proxy/tls-log.js'
import { Columns } from '../../src/shm/columns.js'
import { KeyHash } from '../../src/shm/key-hash.js'
import { Outbox } from '../../src/shm/outbox.js'
import { ReplicatingSessions } from '../../src/shm/replicating-sessions.js'
import { SessionTable } from '../../src/shm/sessions.js'
import { SharedHybridClock } from '../../src/shm/shared-hybrid-clock.js'
import { SharedSocketBudget } from '../../src/shm/socket-budget.js'
import { TargetTable } from '../../src/shm/targets.js'
import { ProxyThread, type ThreadParts } from './proxy-thread.js'

const TICK_MS = 100
const WHEEL_SLOTS = 512
/** What cannot be ended for its fault has another try. */
const FAULTY_AGAIN_MS = 1_000

/** Joins the parts of a proxy thread. `onAccess` gets complete lines of the access log. */
export function assemble(
  task: ProxyTask,
  log: Logger,
  onAccess: (lines: Uint8Array<ArrayBuffer>) => void,
  plugins: ThreadParts['plugins'],
): ProxyThread {
  const clock = new SystemClock(task.counters.steadyOriginMs)
  const columns = new Columns(task.counters)
  const onFault = (err: unknown): void => log.error({ err }, 'a fault ended one request')
  const wheel = new TimerWheel(clock, TICK_MS, WHEEL_SLOTS, (err, timed) => endFaulty(log, err, timed))
  const table = new TargetTable(task.counters.segments)
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
  const budget = new SharedSocketBudget(columns, task.column, task.maxTargetSockets)
  const carrier = transport(task, clock, log)
  const { room } = carrier
  const shortages = new ShortageLog(log, clock)
  room.budget = budget
  room.onShortage = (detail) => shortages.met(detail)
  const giveRoom = (): void => {
    // Another thread's dials may wait for what this one does not use.
    if (budget.wanted) room.onCrowded()
    room.tick()
  }
  const { config } = task.snapshot
  const sources = new ClientSources(task.counters.sources, task.column, config.protection, clock, log)
  const context = {
    transport: carrier,
    clock,
    wheel,
    columns,
    column: task.column,
    entry: new AccessEntry(),
    requestIds: new RequestIds(),
    drainables: new Drainables(),
    silent: new SilentClients(
      clock,
      config.protection.firstByteTimeoutMs,
      columns.workerWords,
      columns.workerAt(task.column),
    ),
    tlsLog: new TlsLog(log, clock),
    sources,
    requestLimits: new RequestLimits(sources, clock),
  }
  const { ticketKeys, maxConnections } = task
  const parts = {
    context,
    services,
    log,
    accessLog: new AccessLog(onAccess),
    plugins,
    ticketKeys,
    maxConnections,
    giveRoom,
  }
  const thread = new ProxyThread(parts, config)
  room.onCrowded = () => {
    for (const set of thread.live.allSets()) set.shrinkIdle()
  }
  thread.apply(task)
  return thread
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
