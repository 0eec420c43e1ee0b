import { setImmediate } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import pino from 'pino'
import { parseConfig } from '../../../src/config/load.js'
import { NO_SNAPSHOT, nextSnapshot, withBinds } from '../../../src/control/next-snapshot.js'
import { Slots } from '../../../src/control/slots.js'
import { ManualClock } from '../../../src/core/clock.js'
import type { Config } from '../../../src/core/config.js'
import type { GroupTargets, TargetSlot } from '../../../src/core/directory.js'
import { LocalHybridClock } from '../../../src/core/hybrid-clock.js'
import type { Bind, Snapshot } from '../../../src/core/snapshot.js'
import { CHECK_UNCHECKED } from '../../../src/core/target-state.js'
import type { TlsMaterial } from '../../../src/core/tls.js'
import { TimerWheel } from '../../../src/net/timer-wheel.js'
import { AccessEntry, AccessLog } from '../../../src/observe/access-log.js'
import { PluginSet } from '../../../src/plugin/plugin-set.js'
import { ClientSources } from '../../../src/proxy/client-sources.js'
import { DISCARD } from '../../../src/proxy/discard.js'
import { Drainables } from '../../../src/proxy/drainables.js'
import { accept } from '../../../src/proxy/phases.js'
import { RequestIds } from '../../../src/proxy/request-ids.js'
import { RequestLimits } from '../../../src/proxy/request-limits.js'
import { SilentClients } from '../../../src/proxy/silent-clients.js'
import { TlsLog } from '../../../src/proxy/tls-log.js'
import { Columns, createSharedCounters } from '../../../src/shm/columns.js'
import { KeyHash, keySeed } from '../../../src/shm/key-hash.js'
import { MapSessionStore } from '../../../src/shm/map-sessions.js'
import { TargetTable } from '../../../src/shm/targets.js'
import { ProxyThread, type ThreadOrders } from '../../../workers/proxy/proxy-thread.js'
import { Peer, TargetPeer } from '../../fuzz/memory-castor.js'
import { MemoryTransport } from '../../memory/memory-transport.js'

const CAPACITY = { workers: 2, listeners: 32, series: 256, rules: 256, groups: 128, targets: 4_096, sessions: 256 }
const QUIET = { isQuiet: () => true, clear: () => {} }
const COLUMN = 1

/** A configuration as in the file; what a test says nothing of is left out. */
export interface ConfigFile {
  readonly listeners: readonly Record<string, unknown>[]
  readonly targetGroups: readonly Record<string, unknown>[]
  readonly [key: string]: unknown
}

/** One connection that a target got. */
export class HeldTarget extends TargetPeer {
  readonly address: string
  /** Whole requests that came and are not answered. */
  waiting = 0

  constructor(address: string, connect: ConstructorParameters<typeof TargetPeer>[0]) {
    super(connect, (peer) => {
      ;(peer as HeldTarget).waiting++
    })
    this.address = address
  }

  answer(body = this.address, more = ''): void {
    this.waiting--
    this.send(`HTTP/1.1 200 OK\r\n${more}Content-Length: ${body.length}\r\n\r\n${body}`)
  }
}

/** A whole proxy thread in memory, on a clock that tests move, which goes from each configuration to the next. */
export class MemoryThread {
  readonly clock = new ManualClock()
  readonly transport = new MemoryTransport(this.clock)
  readonly thread: ProxyThread
  readonly table: TargetTable
  readonly columns: Columns
  /** Lines of the access log. */
  readonly logged: string[] = []
  /** Connections that targets got, in the order in which they came. */
  readonly targets: HeldTarget[] = []
  /** What was thrown where nobody else could deal with it. */
  readonly faults: unknown[] = []
  /** Answer each request at once, with the target's address. */
  answering = true
  readonly #wheel = new TimerWheel(this.clock)
  readonly #slots = {
    listeners: new Slots(QUIET),
    groups: new Slots(QUIET),
    series: new Slots(QUIET),
    rules: new Slots(QUIET),
  }
  #snapshot: Snapshot | undefined
  #version = 0
  #binds: (Bind | undefined)[] = []
  readonly #lists = new Map<number, GroupTargets>()
  readonly #placed = new Map<string, TargetSlot>()
  #lastSlot = 0
  readonly #heard = new Set<string>()

  constructor(file: ConfigFile) {
    const { clock } = this
    const config = configOf(file)
    const shared = createSharedCounters(CAPACITY)
    const columns = new Columns(shared)
    const table = new TargetTable(shared.segments)
    const sticky = {
      store: new MapSessionStore(1, clock),
      keys: new KeyHash(keySeed('test')),
      table,
      clock,
      stamps: new LocalHybridClock('a', () => clock.wallMs),
      secret: 'test',
    }
    const sources = new ClientSources(
      columns.shared.sources,
      COLUMN,
      config.protection,
      clock,
      pino({ level: 'silent' }),
    )
    const context = {
      transport: this.transport,
      clock,
      wheel: this.#wheel,
      columns,
      column: COLUMN,
      entry: new AccessEntry(),
      requestIds: new RequestIds(),
      drainables: new Drainables(),
      silent: new SilentClients(clock, 0, columns.workerWords, columns.workerAt(COLUMN)),
      tlsLog: new TlsLog(pino({ level: 'silent' }), clock),
      sources,
      requestLimits: new RequestLimits(sources, clock),
    }
    const parts = {
      context,
      services: {
        clock,
        wheel: this.#wheel,
        columns,
        column: COLUMN,
        table,
        sticky,
        onFault: (fault: unknown) => void this.faults.push(fault),
      },
      log: pino({ level: 'silent' }),
      accessLog: new AccessLog((lines) => this.logged.push(...Buffer.from(lines).toString().trim().split('\n'))),
      ticketKeys: new Uint8Array(0),
      maxConnections: 1_000,
      plugins: { current: new PluginSet([]) },
      giveRoom() {},
    }
    this.table = table
    this.columns = columns
    this.thread = new ProxyThread(parts, config)
    this.apply(file)
  }

  get snapshot(): Snapshot {
    return this.#snapshot!
  }

  /** Goes on to this configuration. */
  apply(file: ConfigFile, tls: TlsMaterial = { listeners: [], groups: [] }): void {
    this.thread.apply({ ...this.prepare(file), tls })
    this.transport.flush()
  }

  /** What `apply` would tell the thread. */
  prepare(file: ConfigFile): Omit<ThreadOrders, 'tls'> {
    const config = configOf(file)
    const next = nextSnapshot(config, this.#snapshot ?? { ...NO_SNAPSHOT }, this.#slots, ++this.#version)
    const binds = this.#bindsOf(next)
    const targets = next.groups.flatMap((entry) => (entry === undefined ? [] : [this.#listOf(entry)]))
    this.#snapshot = withBinds(next, binds)
    return { snapshot: this.#snapshot, targets, targetsVersion: this.#version }
  }

  /** Its connections reset, its dials refused. */
  fell(address: string): void {
    this.transport.unlisten(address, 80)
    this.#heard.delete(address)
    for (const target of this.targets) if (target.address === address) target.conn.abort()
    this.transport.flush()
  }

  connect(port: number): Peer {
    const client = new Peer((handler) => this.transport.dial('192.0.2.1', port, handler))
    this.transport.flush()
    return client
  }

  /** The client sends, and all that follows at once is done. */
  async send(client: Peer, bytes: string | Uint8Array): Promise<void> {
    client.send(bytes)
    await this.settle()
  }

  async get(client: Peer, path = '/'): Promise<string> {
    const from = client.received.length
    await this.send(client, `GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`)
    return client.received.slice(from)
  }

  async answer(target: HeldTarget, body?: string): Promise<void> {
    target.answer(body)
    await this.settle()
  }

  async settle(): Promise<void> {
    for (let turn = 0; turn < 4; turn++) {
      this.transport.flush()
      await setImmediate()
    }
  }

  /** Time passes, in steps as of the thread's own timers. */
  async elapse(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 100) {
      this.clock.advance(Math.min(left, 100))
      this.#wheel.tick()
      for (const set of this.thread.live.allSets()) set.tick()
      this.thread.tick()
      await this.settle()
    }
  }

  /** Over the thread, of the target at that address. */
  inFlight(address: string): number {
    return this.columns.inFlight(this.#placed.get(address)!.slot)
  }

  slotOf(address: string): number {
    return this.#placed.get(address)!.slot
  }

  #bindsOf({ listeners }: Pick<Snapshot, 'listeners'>): (Bind | undefined)[] {
    const wanted = listeners.flatMap(
      (entry) => entry?.config.listen.map((at) => ({ ...at, listener: entry.slot })) ?? [],
    )
    const next: (Bind | undefined)[] = this.#binds.map((bind) => {
      const same = bind && wanted.find(({ address, port }) => bind.address === address && bind.port === port)
      return same && { ...same, slot: bind.slot }
    })
    for (const at of wanted) {
      if (next.some((bind) => bind?.address === at.address && bind.port === at.port)) continue
      const slot = next.length
      next.push({ ...at, slot })
      this.transport.listen(at.address, at.port, (_records, socket) => this.#accept(slot, socket))
    }
    this.#binds = next
    return next
  }

  #accept(slot: number, socket: unknown): void {
    const { context, http1, live } = this.thread
    const bind = live.bind(slot)!
    const conn = this.transport.adopt(new Int32Array(0), 0, socket, DISCARD)
    bind.listener.connectionOpened(-1)
    accept(context, http1, bind.listener, bind, conn, -1)
  }

  #listOf({
    slot: group,
    config,
  }: {
    readonly slot: number
    readonly config: Config['targetGroups'][number]
  }): GroupTargets {
    const targets = config.targets.map(({ id, host, port, weight }) => {
      const name = `${group} ${id}`
      const known = this.#placed.get(name)
      if (known !== undefined) {
        this.table.setWeight(known.slot, weight)
        this.table.announce()
        return known
      }
      const slot = this.#lastSlot++
      const generation = this.table.occupy(slot, weight, CHECK_UNCHECKED, this.clock.steadyMs)
      const placed = { slot, generation, group, id, host, port, address: host }
      this.#placed.set(name, placed)
      this.#placed.set(host, placed)
      this.#hear(host)
      return placed
    })
    // As the primary does it: a list without a change keeps its version.
    const before = this.#lists.get(group)
    if (before !== undefined && isDeepStrictEqual(before.targets, targets)) return before
    const list = { group, version: this.#version, targets }
    this.#lists.set(group, list)
    return list
  }

  #hear(address: string): void {
    if (this.#heard.has(address)) return
    this.#heard.add(address)
    this.transport.listen(address, 80, (records, socket) => {
      const target: HeldTarget = new HeldTarget(address, (handler) => {
        const conn = this.transport.adopt(records, 0, socket, handler)
        return conn
      })
      this.targets.push(target)
      const onData = target.onData.bind(target)
      target.onData = (conn, buffer, length) => {
        onData(conn, buffer, length)
        if (this.answering) while (target.waiting > 0) target.answer()
      }
    })
  }
}

function configOf(file: ConfigFile): Config {
  return parseConfig(JSON.stringify({ workers: 1, ...file }), 'memory.yaml')
}
