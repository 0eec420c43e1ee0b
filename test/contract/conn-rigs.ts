import { networkInterfaces } from 'node:os'
import type { AcceptedBatch, Acceptor, Listening } from '../../src/core/acceptor.js'
import { SystemClock } from '../../src/core/clock.js'
import type { Conn, ConnHandler, Transport } from '../../src/core/conn.js'
import { RECORD_WORDS } from '../../src/core/connection-record.js'
import { nativeAddon } from '../../src/native/addon.js'
import { NativeAcceptor } from '../../src/net/native-acceptor.js'
import { NativeTransport } from '../../src/net/native-transport.js'
import { SharedListenAcceptor } from '../../src/net/shared-listen-acceptor.js'
import { SocketTransport } from '../../src/net/socket-transport.js'
import { MemoryTransport } from '../memory/memory-transport.js'
import { Recorder } from './recorder.js'

export const HAS_IPV6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'))

/** Opens an address for `accept` and answers the port. */
type Listen = (address: string, ipv6Only: boolean, accept: OnAccepted) => Promise<{ port: number; close(): void }>
/** False: nobody wants it. */
type OnAccepted = (records: Int32Array, at: number, socket: unknown) => boolean

/** Round trips after which what was sent before them has arrived, however many turns that takes. */
const ROUND_TRIPS = 3

/** One implementation with everything a test needs around it: something to connect to, and a way to wait. */
export class Rig {
  readonly dialling: Transport
  readonly accepting: Transport
  /** Faults that handlers threw, where the implementation catches them. */
  readonly faults: unknown[]
  readonly #listen: Listen
  readonly #listenings: { close(): void }[] = []
  readonly #ports = new Map<string, number>()
  readonly #expected: ((conn: Conn) => void)[] = []
  readonly #handlers: ConnHandler[] = []
  readonly #adopted: ((conn: Conn) => void)[] = []
  #isClosing = false
  #echo: { conn: Conn; recorder: Recorder } | undefined

  constructor(dialling: Transport, accepting: Transport, listen: Listen, faults: unknown[] = []) {
    this.dialling = dialling
    this.accepting = accepting
    this.faults = faults
    this.#listen = listen
  }

  /** The port where dialled connections are accepted. */
  async port(address = '127.0.0.1', ipv6Only = true): Promise<number> {
    const known = this.#ports.get(address)
    if (known !== undefined) return known
    const listening = await this.#listen(address, ipv6Only, (records, at, socket) => {
      if (this.#isClosing) return false
      const conn = this.accepting.adopt(records, at, socket, this.#handlers.shift()!)
      this.#adopted.shift()!(conn)
      this.#expected.shift()!(conn)
      return true
    })
    this.#listenings.push(listening)
    this.#ports.set(address, listening.port)
    return listening.port
  }

  /** A port for connections that nobody asks about: they are accepted and left alone. */
  async sink(): Promise<number> {
    const listening = await this.#listen('127.0.0.1', true, (records, at, socket) => {
      if (this.#isClosing) return false
      this.accepting.adopt(records, at, socket, new Recorder())
      return true
    })
    this.#listenings.push(listening)
    return listening.port
  }

  /** The next connection that is accepted gets this handler; `onAdopted` has it before anything happens to it. */
  expect(handler: ConnHandler, onAdopted: (conn: Conn) => void = () => {}): Promise<Conn> {
    this.#handlers.push(handler)
    this.#adopted.push(onAdopted)
    return new Promise((resolve) => this.#expected.push(resolve))
  }

  /** A connection, seen from the side that dialled it and the side that accepted it. */
  async connect(left: Recorder, right: ConnHandler, address = '127.0.0.1'): Promise<[Conn, Conn]> {
    const port = await this.port(address)
    const accepted = this.expect(right)
    const conn = this.dialling.dial(address, port, left)
    await left.untilLogged('open')
    return [conn, await accepted]
  }

  /** Everything that is on its way has arrived, wherever somebody takes it. */
  async settle(): Promise<void> {
    if (this.#echo === undefined) {
      const recorder = new Recorder()
      const back = new Recorder({ data: (other, buffer, length) => other.write(buffer, 0, length) })
      const [conn] = await this.connect(recorder, back)
      this.#echo = { conn, recorder }
    }
    const { conn, recorder } = this.#echo
    for (let trip = 0; trip < ROUND_TRIPS; trip++) {
      const bytes = recorder.bytes + 1
      conn.write(Buffer.of(trip), 0, 1)
      await recorder.untilBytes(bytes)
    }
  }

  close(): void {
    // What still waits to be accepted is handed over as the listening sockets close.
    this.#isClosing = true
    for (const listening of this.#listenings) listening.close()
    this.dialling.dispose()
    this.accepting.dispose()
  }
}

function listenWith(acceptor: Acceptor): Listen {
  return async (address, ipv6Only, accept) => {
    const onAccepted = (batch: AcceptedBatch): void => {
      for (let i = 0; i < batch.count; i++) {
        if (!accept(batch.records, i * RECORD_WORDS, batch.sockets?.[i])) batch.discard(i)
      }
    }
    const spec = { address, port: 0, backlog: 511, ipv6Only, deferAcceptSeconds: 0 }
    const listening: Listening = await acceptor.listen(spec, { onAccepted, onOutOfDescriptors() {} })
    return listening
  }
}

function nativeRig(): Rig {
  const addon = nativeAddon()!
  const faults: unknown[] = []
  const transport = new NativeTransport(addon, new SystemClock(), (fault) => faults.push(fault))
  return new Rig(transport, transport, listenWith(new NativeAcceptor(addon)), faults)
}

function socketRig(): Rig {
  const transport = new SocketTransport(new SystemClock())
  return new Rig(transport, transport, listenWith(new SharedListenAcceptor()))
}

/** Both at once, one on each side: neither may lean on what only its own kind does. */
function mixedRig(dialling: 'native' | 'socket'): Rig {
  const addon = nativeAddon()!
  const faults: unknown[] = []
  const native = new NativeTransport(addon, new SystemClock(), (fault) => faults.push(fault))
  const socket = new SocketTransport(new SystemClock())
  if (dialling === 'native') return new Rig(native, socket, listenWith(new SharedListenAcceptor()), faults)
  return new Rig(socket, native, listenWith(new NativeAcceptor(addon)), faults)
}

export function memoryRig(): Rig {
  const transport = new MemoryTransport(new SystemClock(), { schedule: setImmediate })
  return new Rig(transport, transport, async (address, _ipv6Only, accept) => {
    const port = transport.listen(address, 0, (records, socket) => accept(records, 0, socket))
    return { port, close: () => transport.unlisten(address, port) }
  })
}

export interface Implementation {
  readonly name: string
  readonly available: boolean
  /** What not every implementation can do. */
  readonly traits: {
    /** A handler that throws costs its own connection only. */
    readonly catchesFaults: boolean
    /** A reset is noticed when the peer had ended before, and what came before it is read even while writing fails. */
    readonly watchesEnded: boolean
    /** `readSize` is more than a hint. */
    readonly limitsReads: boolean
    readonly speaksTls: boolean
    /** Knows what has come before it was read. */
    readonly looksAhead: boolean
    /** Tells an end that TLS announced from one that it did not. */
    readonly seesTruncation: boolean
    /** Keys of several types for one name, whatever the version of Node. */
    readonly servesAllKeys: boolean
  }
  open(): Rig
}

const nodeMajor = Number(process.versions.node.split('.')[0])
const hasNative = nativeAddon() !== undefined
const full = {
  catchesFaults: true,
  watchesEnded: true,
  limitsReads: true,
  looksAhead: true,
  speaksTls: true,
  seesTruncation: true,
  servesAllKeys: true,
}
const plain = {
  catchesFaults: false,
  watchesEnded: false,
  limitsReads: false,
  looksAhead: false,
  speaksTls: true,
  seesTruncation: false,
  servesAllKeys: nodeMajor < 22,
}

export const IMPLEMENTATIONS: readonly Implementation[] = [
  { name: 'native', available: hasNative, traits: full, open: nativeRig },
  { name: 'socket', available: true, traits: plain, open: socketRig },
  { name: 'memory', available: true, traits: { ...full, catchesFaults: false, speaksTls: false }, open: memoryRig },
  { name: 'native to socket', available: hasNative, traits: plain, open: () => mixedRig('native') },
  { name: 'socket to native', available: hasNative, traits: plain, open: () => mixedRig('socket') },
]
