import pino from 'pino'
import { ALGORITHMS } from '../../src/balance/algorithms.js'
import { parseConfig } from '../../src/config/load.js'
import { ManualClock } from '../../src/core/clock.js'
import type { Config } from '../../src/core/config.js'
import type { Conn, ConnHandler } from '../../src/core/conn.js'
import type { CastorError } from '../../src/core/errors.js'
import { LocalHybridClock } from '../../src/core/hybrid-clock.js'
import { CHECK_UNCHECKED } from '../../src/core/target-state.js'
import type { ClientTls } from '../../src/core/tls.js'
import { TimerWheel } from '../../src/net/timer-wheel.js'
import { AccessEntry, AccessLog } from '../../src/observe/access-log.js'
import { PluginSet } from '../../src/plugin/plugin-set.js'
import { ClientSources } from '../../src/proxy/client-sources.js'
import { Drainables } from '../../src/proxy/drainables.js'
import { Http1Context } from '../../src/proxy/h1/h1-context.js'
import { Http2Context } from '../../src/proxy/h2/h2-context.js'
import { Listener } from '../../src/proxy/listener.js'
import { ListenerSettings } from '../../src/proxy/listener-settings.js'
import { accept, RequestPhases } from '../../src/proxy/phases.js'
import { RequestIds } from '../../src/proxy/request-ids.js'
import { RequestLimits } from '../../src/proxy/request-limits.js'
import { SilentClients } from '../../src/proxy/silent-clients.js'
import { TargetGroup } from '../../src/proxy/target-group.js'
import { TargetSet } from '../../src/proxy/target-set.js'
import { TlsLog } from '../../src/proxy/tls-log.js'
import type { WorkerContext } from '../../src/proxy/worker-context.js'
import { Columns, createSharedCounters } from '../../src/shm/columns.js'
import { KeyHash, keySeed } from '../../src/shm/key-hash.js'
import { MapSessionStore } from '../../src/shm/map-sessions.js'
import { TargetTable } from '../../src/shm/targets.js'
import { buildRoutes } from '../../workers/proxy/build-routes.js'
import { MemoryTransport } from '../memory/memory-transport.js'
import { RequestReader } from './request-reader.js'

const FRONT = '192.0.2.1'
const BACK = '192.0.2.2'
/** Where the target moves to. */
const ELSEWHERE = '192.0.2.3'
const PORT = 80

const configOf = (protection: object, redirects: boolean): Config =>
  parseConfig(
    JSON.stringify({
      workers: 1,
      listeners: [
        {
          name: 'web',
          protocol: 'http',
          listen: `${FRONT}:${PORT}`,
          ...(redirects ? { redirectToHttps: true } : { targetGroup: 'app' }),
        },
      ],
      targetGroups: [{ name: 'app', protocol: 'http', targets: [{ address: `${BACK}:${PORT}` }] }],
      protection,
    }),
    'memory.yaml',
  )

export interface MemoryCastorOptions {
  /** Of each direction of a connection: small ones make writers wait for readers. */
  readonly capacityBytes?: number
  /** Keys of `protection`, as in the file. */
  readonly protection?: object
  /** What a peer has sent is known of only once it is read, as though it were still on its way. */
  readonly blind?: boolean
  /** The listener sends everybody to https. */
  readonly redirects?: boolean
  readonly accessLog?: boolean
}

const SILENT: ConnHandler = { onOpen() {}, onData() {}, onEnd() {}, onWritable() {}, onClose() {} }

/** The other end of one of the balancer's connections. */
export class Peer implements ConnHandler {
  readonly conn: Conn
  /** All that came, as Latin-1 text. */
  received = ''
  /** How the balancer ended its side. */
  ended: '' | 'end' | 'reset' = ''

  constructor(connect: (handler: ConnHandler) => Conn) {
    this.conn = connect(this)
  }

  send(bytes: Uint8Array | string): void {
    const all = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes
    this.conn.write(all, 0, all.length)
  }

  onOpen(): void {}

  onData(_conn: Conn, buffer: Uint8Array, length: number): void {
    this.received += Buffer.from(buffer.buffer, buffer.byteOffset, length).toString('latin1')
  }

  onEnd(): void {
    this.ended ||= 'end'
  }

  onWritable(): void {}

  onClose(_conn: Conn, cause?: CastorError): void {
    this.ended ||= cause === undefined ? 'end' : 'reset'
  }
}

/** A target's end, which reads requests and has each answered. */
export class TargetPeer extends Peer {
  readonly reader = new RequestReader()
  readonly #answer: (peer: TargetPeer) => void

  constructor(connect: (handler: ConnHandler) => Conn, answer: (peer: TargetPeer) => void) {
    super(connect)
    this.#answer = answer
  }

  override onData(conn: Conn, buffer: Uint8Array, length: number): void {
    const from = this.received.length
    super.onData(conn, buffer, length)
    for (let whole = this.reader.feed(this.received.slice(from)); whole > 0; whole--) this.#answer(this)
  }

  override onEnd(): void {
    super.onEnd()
    this.conn.end()
  }
}

/** The whole HTTP/1.1 proxy, from the client's bytes to the target's and back, in memory and in one thread. */
export class MemoryCastor {
  readonly transport: MemoryTransport
  /** What a target does with one whole request. */
  answer: (peer: TargetPeer, index: number) => void = answerOk
  /** Connections to the target since `begin`. */
  targets: TargetPeer[] = []
  readonly #clock: ManualClock
  readonly #context: WorkerContext
  readonly #set: TargetSet
  readonly #move: (address: string) => void
  readonly #accessLog: AccessLog
  #accessLines = ''
  #moves = 1
  #answered = 0

  constructor(options: MemoryCastorOptions = {}) {
    const { capacityBytes, protection = {}, blind = false, redirects = false, accessLog = false } = options
    const config = configOf(protection, redirects)
    this.#accessLog = new AccessLog((chunk) => {
      this.#accessLines += Buffer.from(chunk).toString()
    })
    const clock = new ManualClock()
    this.#clock = clock
    const shared = createSharedCounters({
      workers: 1,
      listeners: 1,
      series: 1,
      rules: 1,
      groups: 1,
      targets: 1,
      sessions: 64,
    })
    const columns = new Columns(shared)
    const table = new TargetTable(shared.segments)
    const generation = table.occupy(0, 1, CHECK_UNCHECKED, 0)
    const wheel = new TimerWheel(clock)
    const sticky = {
      store: new MapSessionStore(1, clock),
      keys: new KeyHash(keySeed('test')),
      table,
      clock,
      stamps: new LocalHybridClock('a', () => clock.wallMs),
      secret: '',
    }
    const services = { clock, wheel, columns, column: 1, table, sticky }
    const [groupConfig] = config.targetGroups
    const { id, host, port } = groupConfig!.targets[0]!
    const targets = [{ slot: 0, generation, group: 0, id, host, port, address: BACK }]
    const list = { group: 0, version: 1, targets }
    this.#set = new TargetSet(0, services)
    const group = new TargetGroup(groupConfig!, this.#set, ALGORITHMS['round-robin']())
    group.rule()
    this.#set.setTargets(list)
    this.transport = new MemoryTransport(clock, { blind, ...(capacityBytes === undefined ? {} : { capacityBytes }) })
    const sources = new ClientSources(columns.shared.sources, 1, config.protection, clock, pino({ level: 'silent' }))
    this.#context = {
      transport: this.transport,
      clock,
      wheel,
      columns,
      column: 1,
      protection: config.protection,
      accessLog: accessLog ? this.#accessLog : undefined,
      entry: new AccessEntry(),
      requestIds: new RequestIds(),
      drainables: new Drainables(),
      silent: new SilentClients(clock, config.protection.firstByteTimeoutMs, columns.workerWords, columns.workerAt(1)),
      tlsLog: new TlsLog(pino({ level: 'silent' }), clock),
      sources,
      requestLimits: new RequestLimits(sources, clock),
    }
    const log = pino({ level: 'silent' })
    const context = new Http1Context(this.#context, log)
    const requests = new RequestPhases(context)
    const http1 = { context, requests, http2: new Http2Context(this.#context, context, requests, log) }
    const settings = new ListenerSettings(config.listeners[0]!)
    const entry = {
      slot: 0,
      generation: 0,
      since: 0,
      config: config.listeners[0]!,
      routes: [{ group: 0, series: 0 }],
      rules: [],
    }
    const routes = buildRoutes(entry, settings, [group], {
      columns,
      column: 1,
      noGroup: group,
      secret: '',
      plugins: new PluginSet([]),
    })
    const listener = new Listener(routes, { columns, column: 1, listener: 0, sources: this.#context.sources })
    const bind = { slot: 0, listener: 0, address: FRONT, port: PORT }
    this.transport.listen(FRONT, PORT, (records, socket) => {
      accept(this.#context, http1, listener, bind, this.transport.adopt(records, 0, socket, SILENT), -1)
    })
    this.#move = (address) =>
      this.#set.setTargets({ ...list, version: ++this.#moves, targets: [{ ...targets[0]!, address }] })
    for (const address of [BACK, ELSEWHERE]) {
      this.transport.listen(address, PORT, (records, socket) => {
        this.targets.push(
          new TargetPeer(
            (handler) => this.transport.adopt(records, 0, socket, handler),
            (peer) => this.answer(peer, this.#answered++),
          ),
        )
      })
    }
  }

  /** The target's name leads to another address from now on. */
  moveTarget(): void {
    this.#move(ELSEWHERE)
    this.transport.flush()
  }

  /** Its certificates were replaced. */
  renewTls(): void {
    this.#set.setTls(() => ({ close() {} }) as unknown as ClientTls)
    this.transport.flush()
  }

  /** The access log so far. */
  get accessRecords(): Readonly<Record<string, unknown>>[] {
    this.#accessLog.flush()
    return this.#accessLines
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line))
  }

  /** Client connections that are being served. */
  get sessions(): number {
    return this.#context.drainables.size
  }

  get idleTargets(): number {
    return this.#set.idleConnections
  }

  /** Forgets what was, idle connections too. */
  begin(): void {
    this.#set.closeIdle()
    this.transport.flush()
    this.targets = []
    this.answer = answerOk
    this.#answered = 0
  }

  connect(): Peer {
    const client = new Peer((handler) => this.transport.dial(FRONT, PORT, handler))
    this.transport.flush()
    return client
  }

  /** A new client sends `pieces`, each when all has been done about the one before. */
  exchange(pieces: readonly Uint8Array[]): Peer {
    const client = this.connect()
    for (const piece of pieces) {
      client.send(piece)
      this.transport.flush()
    }
    return client
  }

  /** Time passes. */
  elapse(ms: number): void {
    this.#clock.advance(ms)
    this.#context.wheel.tick()
    this.transport.flush()
  }

  /** The client ends its side, and then, where it must, the rest. */
  close(client: Peer): void {
    client.conn.end()
    this.transport.flush()
    client.conn.abort()
    this.transport.flush()
  }
}

function answerOk(peer: TargetPeer, index: number): void {
  const body = `answer ${index}`
  peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
}
