import { canonicalTarget, formatAddress } from '../config/addresses.js'
import { RECORD_PORT, RECORD_WORDS, recordPeer } from '../core/connection-record.js'
import { CastorError } from '../core/errors.js'
import type { NativeAddon } from '../native/addon.js'

/** A TCP socket that listens already when the process starts. */
export interface InheritedSocket {
  readonly fd: number
  /** As it is bound. */
  readonly address: string
  readonly port: number
  /** Of the listener, or what the service manager calls the socket. */
  readonly name: string
  /** From a process before this one: the port of its configuration, which is 0 where the system chose. */
  readonly configuredPort?: number
}

/** An address of the configuration. `name`: the listener's. */
export interface WantedSocket {
  readonly name: string
  readonly address: string
  readonly port: number
}

/** Listening sockets that somebody else has opened, for the addresses that are configured now. */
export class InheritedSockets {
  #sockets: readonly InheritedSocket[]
  readonly #close: (fd: number) => void

  constructor(sockets: readonly InheritedSocket[], close: (fd: number) => void) {
    this.#sockets = sockets
    this.#close = close
  }

  /**
   * The sockets for these addresses, in their order: those bound to the address and port come first; then, for a port
   * that the system chooses, the one that it had chosen for the same listener; then those that bear the listener's name.
   * What is given out is the caller's.
   */
  match(wanted: readonly WantedSocket[]): (InheritedSocket | undefined)[] {
    const found: (InheritedSocket | undefined)[] = wanted.map(() => undefined)
    for (const fits of [isBoundTo, wasChosenFor, isNamedFor]) {
      wanted.forEach((want, index) => {
        found[index] ??= this.#take((socket) => fits(socket, want))
      })
    }
    return found
  }

  /** Closes what was not given out, and says what that was. */
  closeRest(): readonly InheritedSocket[] {
    const rest = this.#sockets
    this.#sockets = []
    for (const { fd } of rest) this.#close(fd)
    return rest
  }

  #take(fits: (socket: InheritedSocket) => boolean): InheritedSocket | undefined {
    const found = this.#sockets.find(fits)
    if (found !== undefined) this.#sockets = this.#sockets.filter((socket) => socket !== found)
    return found
  }
}

function isBoundTo(socket: InheritedSocket, { address, port }: WantedSocket): boolean {
  return canonicalTarget(socket.address, socket.port) === canonicalTarget(address, port)
}

function wasChosenFor(socket: InheritedSocket, { name, address, port }: WantedSocket): boolean {
  const isSameHost = canonicalTarget(socket.address, 1) === canonicalTarget(address, 1)
  return port === 0 && socket.configuredPort === 0 && socket.name === name && isSameHost
}

function isNamedFor(socket: InheritedSocket, { name }: WantedSocket): boolean {
  return socket.configuredPort === undefined && socket.name === name
}

/** Where a TCP socket is bound. */
export function boundAddress(addon: NativeAddon, fd: number): { address: string; port: number } {
  const record = new Int32Array(RECORD_WORDS)
  const error = addon.address(fd, 0, record)
  if (error < 0) throw new CastorError('LISTEN_FAILED', `descriptor ${fd}: ${addon.errorName(error)}`)
  return { address: recordPeer(record, 0).address, port: record[RECORD_PORT]! }
}

export function showSocket({ name, address, port }: Pick<InheritedSocket, 'name' | 'address' | 'port'>): string {
  return `${formatAddress(address, port)} (${name})`
}
