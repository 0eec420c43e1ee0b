import pino from 'pino'
import type { Worker } from '../../../src/control/dispatch.js'
import type { Clock } from '../../../src/core/clock.js'
import { RECORD_FD, RECORD_LISTENER } from '../../../src/core/connection-record.js'
import type { SegmentMessage, SnapshotContent, TargetsMessage } from '../../../src/core/messages.js'
import type { SharedCounters } from '../../../src/core/shared-counters.js'
import type { ListenerEntry, Snapshot } from '../../../src/core/snapshot.js'
import { TimerWheel } from '../../../src/net/timer-wheel.js'
import { AccessEntry, AccessLog } from '../../../src/observe/access-log.js'
import { PluginSet } from '../../../src/plugin/plugin-set.js'
import { ClientSources } from '../../../src/proxy/client-sources.js'
import { Drainables } from '../../../src/proxy/drainables.js'
import type { Listener } from '../../../src/proxy/listener.js'
import { RequestIds } from '../../../src/proxy/request-ids.js'
import { RequestLimits } from '../../../src/proxy/request-limits.js'
import { SilentClients } from '../../../src/proxy/silent-clients.js'
import { TlsLog } from '../../../src/proxy/tls-log.js'
import { Columns } from '../../../src/shm/columns.js'
import { ConnectionRing, createConnectionRing } from '../../../src/shm/connection-ring.js'
import { KeyHash, keySeed } from '../../../src/shm/key-hash.js'
import { Outbox } from '../../../src/shm/outbox.js'
import { ReplicatingSessions } from '../../../src/shm/replicating-sessions.js'
import { SessionTable } from '../../../src/shm/sessions.js'
import { SharedHybridClock } from '../../../src/shm/shared-hybrid-clock.js'
import { TargetTable } from '../../../src/shm/targets.js'
import { ProxyThread } from '../../../workers/proxy/proxy-thread.js'
import { MemoryTransport } from '../../memory/memory-transport.js'
import { SimulatedClient } from './simulated-client.js'
import { CLUSTER_SECRET } from './simulated-file.js'
import type { SimulatedSockets } from './simulated-sockets.js'
import { insist } from './violation.js'
import type { World } from './world.js'

export const NO_TLS = { listeners: [], groups: [] }
const SILENT = pino({ level: 'silent' })
/** The same on every host, as the secret is. */
export const SESSION_KEYS = new KeyHash(keySeed(CLUSTER_SECRET))

export type ToThread = ({ readonly type: 'snapshot' } & SnapshotContent) | TargetsMessage | SegmentMessage

/** What a thread is given when it starts. */
export interface Task extends SnapshotContent {
  readonly counters: SharedCounters
}

/** A proxy thread's place: the product's thread over real shared memory, whose messages come when the simulation says so. */
export class SimulatedProxy implements Worker {
  readonly ring = new ConnectionRing(createConnectionRing())
  /** Where messages wait; undefined while nobody would get them. */
  queue: (ToThread | { readonly type: 'start'; readonly task: Task })[] | undefined
  running = false
  clients: SimulatedClient[] = []
  /** The newest that the thread has applied. */
  snapshot: Snapshot | undefined
  /** Begun here, over all its threads. */
  requests = 0
  thread: ProxyThread | undefined
  #entries = new WeakMap<Listener, ListenerEntry>()
  #wheel: TimerWheel | undefined

  readonly column: number
  readonly #clock: Clock
  readonly #sockets: SimulatedSockets
  readonly #world: Pick<World, 'used'>

  constructor(column: number, clock: Clock, sockets: SimulatedSockets, world: Pick<World, 'used'>) {
    this.#world = world
    this.column = column
    this.#clock = clock
    this.#sockets = sockets
  }

  wake(): void {}

  send(message: ToThread): void {
    this.queue?.push(message)
  }

  /** It takes the oldest of its messages. */
  deliver(): void {
    const message = this.queue?.shift()
    switch (message?.type) {
      case 'start':
        this.#start(message.task)
        return
      case 'segment':
        this.thread!.addSegment(message.segment)
        return
      case 'targets':
        this.thread!.setTargets(message.targets)
        return
      case 'snapshot':
        this.#apply(message)
    }
  }

  /** It takes connections out of its ring. */
  takeIn(): void {
    if (!this.running) return
    const { ring, thread } = this
    for (let at = ring.peek(); at >= 0; at = ring.peek()) {
      const fd = ring.words[at + RECORD_FD]!
      const bind = thread!.live.bind(ring.words[at + RECORD_LISTENER]!)
      ring.advance()
      // As the product does it: reset.
      if (bind === undefined) {
        this.#sockets.close(fd)
        continue
      }
      const { listener } = bind
      const client = new SimulatedClient(listener, this.#entries.get(listener)!, fd, this.#closed)
      this.clients.push(client)
      thread!.context.drainables.add(client)
      insist(
        this.#sockets.open.get(fd) === `${bind.address} port ${bind.port}`,
        'a connection is taken for another bind’s',
      )
    }
  }

  /** A client of the thread begins a request, where it may. */
  begin(choice: number): void {
    const client = this.clients[choice % Math.max(1, this.clients.length)]
    if (client === undefined || client.request !== undefined || client.listener.draining) return
    const { listeners, groups, series } = this.snapshot!
    const listener = listeners[client.entry.slot]!
    insist(listener.generation === client.entry.generation, 'a listener that is gone takes requests')
    const [fallback] = listener.routes
    const group = groups[fallback!.group]
    this.requests++
    const { route } = client.listener
    client.begin({ listener, group, series: series[fallback!.series]! }, this.#world)
    insist(route.settings.config === listener.config, 'a request has the settings of another version')
    insist(route.group.groupSlot === fallback!.group, 'a request has a group of another version')
    if (group !== undefined)
      insist(route.group.config.drainingMs === group.config.drainingMs, 'a group is not as it was set')
  }

  /** A request ends, or where there is none now and then the connection. */
  end(choice: number): void {
    const client = this.clients[choice % Math.max(1, this.clients.length)]
    if (client?.request !== undefined) client.answer()
    else if (choice % 4 === 0) client?.cut()
  }

  tick(): void {
    if (!this.running) return
    this.#wheel!.tick()
    for (const set of this.thread!.live.allSets()) set.tick()
    this.thread!.tick()
  }

  /** All that it had is gone, except what lies in shared memory. */
  die(_how: number): void {
    for (const { fd } of this.clients) this.#sockets.close(fd)
    this.clients = []
    this.queue = undefined
    this.running = false
    this.thread = undefined
    this.snapshot = undefined
  }

  readonly #closed = (client: SimulatedClient): void => {
    this.clients = this.clients.filter((other) => other !== client)
    this.thread!.context.drainables.delete(client)
    this.#sockets.close(client.fd)
  }

  #start(task: Task): void {
    const clock = this.#clock
    const columns = new Columns(task.counters)
    const table = new TargetTable(task.counters.segments)
    const wheel = new TimerWheel(clock)
    const { counters } = task
    const sessions = new SessionTable(counters.sessions, this.column, clock)
    const stamps = new SharedHybridClock(counters.hybridClock, task.snapshot.config.node, () => clock.wallMs)
    const outbox = new Outbox(counters.outboxes[this.column - 1]!)
    const store = new ReplicatingSessions(sessions, outbox, stamps)
    const sticky = { store, keys: SESSION_KEYS, table, clock, stamps, secret: CLUSTER_SECRET }
    const sources = new ClientSources(
      columns.shared.sources,
      this.column,
      task.snapshot.config.protection,
      clock,
      SILENT,
    )
    const context = {
      transport: new MemoryTransport(clock),
      clock,
      wheel,
      columns,
      column: this.column,
      entry: new AccessEntry(),
      requestIds: new RequestIds(),
      drainables: new Drainables(),
      silent: new SilentClients(clock, 0, columns.workerWords, columns.workerAt(this.column)),
      tlsLog: new TlsLog(SILENT, clock),
      sources,
      requestLimits: new RequestLimits(sources, clock),
    }
    this.#wheel = wheel
    this.thread = new ProxyThread(
      {
        context,
        services: { clock, wheel, columns, column: this.column, table, sticky },
        log: SILENT,
        accessLog: new AccessLog(() => {}),
        ticketKeys: new Uint8Array(0),
        maxConnections: 1_000,
        plugins: { current: new PluginSet([]) },
        giveRoom() {},
      },
      task.snapshot.config,
    )
    this.#apply(task)
    this.running = true
  }

  #apply({ snapshot, targets, targetsVersion }: SnapshotContent): void {
    const thread = this.thread!
    thread.apply({ snapshot, targets, targetsVersion, tls: NO_TLS })
    if (snapshot.version <= (this.snapshot?.version ?? 0)) return
    this.snapshot = snapshot
    for (const entry of snapshot.listeners) {
      if (entry !== undefined) this.#entries.set(thread.live.listeners[entry.slot]!, entry)
    }
  }
}
