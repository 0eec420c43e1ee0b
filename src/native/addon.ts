import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

/**
 * The C side as TypeScript sees it. Calls answer a count or descriptor, or a negative errno (`errorName` names it); wrong
 * arguments are errors of that kind too. Arrays that it was given to keep must not be transferred to another thread.
 */
export interface NativeAddon {
  /**
   * Keep-alive in seconds of silence before the first probe, 0 or nothing for none. With `besides` 1, sockets that
   * `sharePort` was called for may listen on the port already, at an address that covers this one or is covered by it.
   */
  listenTcp(
    address: string,
    port: number,
    backlog: number,
    ipv6Only: number,
    deferAcceptSeconds: number,
    keepAliveSeconds?: number,
    besides?: 0 | 1,
  ): number
  connectTcp(address: string, port: number, keepAliveSeconds?: number): number
  /** Fills family, port and address of `record`; `peer` 1 asks for the other side's, 0 for this side's. */
  address(fd: number, peer: 0 | 1, record: Int32Array): number
  /** 0, or the negative errno the socket is in, which is cleared by asking. */
  socketError(fd: number): number
  /** Bytes received that nobody has read yet. */
  unread(fd: number): number
  /** What has come and was not read: 0 nothing, 1 bytes, 2 the end or a reset, perhaps behind bytes. */
  ahead(fd: number): number
  /** Bytes sent that the peer's system has not acknowledged. */
  unacknowledged(fd: number): number
  shutdownWrite(fd: number): number
  /** For a descriptor that no poller owns; those are closed with `drop`. */
  closeFd(fd: number, reset: 0 | 1): number
  duplicate(fd: number): number
  openWaker(): number
  wake(fd: number): number
  errorName(errno: number): string

  /** Owns `fd`, which listens, from here on unless it fails. `records` takes a batch of connection records. Answers an id. */
  acceptorOpen(fd: number, records: Int32Array, callback: (event: number, value: number) => void): number
  acceptorPause(id: number): void
  acceptorResume(id: number): void
  acceptorClose(id: number): void
  acceptorMute(id: number): number

  /** One a thread. `events` takes EVENT_BATCH events of EVENT_WORDS words each. */
  pollerOpen(
    events: Int32Array,
    readBuffer: Uint8Array,
    writeBuffer: Uint8Array,
    callback: (count: number) => void,
  ): number
  pollerClose(): void
  collect(): number
  /** An event with tag 0 whenever `fd` becomes readable; it stays the caller's. */
  watch(fd: number): number
  /** Watches for everything, edge-triggered, and owns `fd` until `release` or `drop`. */
  adopt(fd: number, tag: number): number
  release(fd: number): void
  drop(fd: number, reset: 0 | 1): number
  /** Reads at most `limit` bytes into the start of the read buffer. */
  receive(fd: number, limit: number): number
  /** From the read buffer (0) or the write buffer (1). */
  send(fd: number, which: 0 | 1, start: number, end: number): number
  sendFrom(fd: number, bytes: Uint8Array, start: number, end: number): number

  /**
   * Once a thread, before all else about TLS. Each call on a connection leaves TLS_WORDS words in `words`. Missing where
   * the addon was built without TLS; ENOSYS where this node brings no OpenSSL that could be used.
   */
  tlsOpen?(words: Int32Array): number
}

/** Sockets that come from other processes or go to them, and datagrams that Node cannot send. */
export interface HandoverAddon {
  /** Whether `listenTcp` can listen beside this socket. 0, or a negative errno. */
  sharePort(fd: number, on: 0 | 1): number
  /**
   * A TCP socket that another program made and that listens already becomes as `listenTcp` makes them. Answers `fd`, which
   * stays the caller's; EINVAL where it is none of that kind.
   */
  adoptListening(fd: number, backlog: number, keepAliveSeconds: number): number
  /** Two connected stream sockets, which do not block and which no child process inherits unless it is given them. */
  socketPair(into: Int32Array): number
  /** Sends bytes, at least one, and up to 64 descriptors, which the receiver gets with the first byte. Answers bytes. */
  sendDescriptors(fd: number, bytes: Uint8Array, descriptors: Int32Array): number
  /**
   * Answers the bytes received, 0 at the end. `into` takes the number of descriptors and then the descriptors, which are
   * the caller's. EMSGSIZE where more came than there is room for, EMFILE where the process may not have as many: none is
   * kept then, and the bytes are lost.
   */
  receiveDescriptors(fd: number, bytes: Uint8Array, into: Int32Array): number
  /** The user id of whoever made or connected the other end of a Unix socket. */
  peerUser(fd: number): number
  /** No child process inherits it from here on. */
  closeOnExec(fd: number): number
  /** The path of a listening Unix socket, '' where it has none. */
  listeningPath(fd: number): string | number
  /** One datagram to a Unix socket by its path, or by its name in the abstract namespace, which begins with `@`. */
  sendDatagram(path: string, text: string): number
}

/** The end of the process, and the place of a thread among others; neither needs a poller. */
export interface ProcessAddon {
  /** Ends the process without waiting for any thread: listening sockets are closed first, connections are reset. */
  exitNow(code: number): void
  /** The same after so long, from a thread of its own, unless the process has ended by then. Cannot be taken back. */
  exitAfter(ms: number, code: number): number
  /**
   * From the second SIGTERM or SIGINT on the process has so long to end by itself; then it ends with code 1, whatever its
   * threads are at. Once a process, after its own handlers are set, which go on being called.
   */
  endOnSecondSignal(ms: number): number
  /**
   * 1: the calling thread preempts no other when it wakes (SCHED_BATCH); 0: as any thread. Inherited by the threads and
   * processes that it starts.
   */
  schedule(batch: 0 | 1): number
}

/** Events of the acceptor's callback: so many connections in the records; out of descriptors, paused for so many ms. */
export const ACCEPTED = 0
export const OUT_OF_DESCRIPTORS = 1
/** Connections one callback may bring. */
export const ACCEPT_BATCH = 64

/** An event of the poller: descriptor, tag, flags. */
export const EVENT_WORDS = 3
export const EVENT_BATCH = 256
/** Flags, as Linux numbers them. */
export const EPOLLIN = 0x001
export const EPOLLOUT = 0x004
export const EPOLLERR = 0x008
export const EPOLLHUP = 0x010
export const EPOLLRDHUP = 0x2000

/** Negative errno values that mean something to the caller, as Linux numbers them. */
export const EAGAIN = -11
export const EMFILE = -24
export const ECONNRESET = -104
export const ECANCELED = -125

/**
 * What C and this side both go by, as C has it. It is written out here as well: the engine folds a number into the code
 * that uses it only where it finds it in the module.
 */
export interface Exported {
  readonly constants: Readonly<Record<string, number>>
}

const KNOWN = {
  ...{ ACCEPTED, OUT_OF_DESCRIPTORS, ACCEPT_BATCH, EVENT_WORDS, EVENT_BATCH },
  ...{ EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP, EPOLLRDHUP },
  ...{ EAGAIN, EMFILE, ECONNRESET, ECANCELED },
}

/** Throws where the addon was compiled from other sources than this. */
function refuseOthers(constants: Exported['constants']): void {
  for (const [name, value] of Object.entries(KNOWN)) {
    if (constants[name] === value) continue
    throw new Error(
      `castor.node is of another build: its ${name} is ${constants[name]}, not ${value}; run npm run build`,
    )
  }
}

export type WholeAddon = NativeAddon & ProcessAddon & HandoverAddon

let loaded: WholeAddon | undefined | null = null

/**
 * The addon, or undefined where it is not built or CASTOR_NATIVE=off; without its TLS where CASTOR_NATIVE=no-tls. Looked
 * for once a thread.
 */
export function nativeAddon(): WholeAddon | undefined {
  if (loaded !== null) return loaded
  loaded = undefined
  if (process.env.CASTOR_NATIVE === 'off' || process.platform !== 'linux') return loaded
  const file = fileURLToPath(new URL('../../native/castor.node', import.meta.url))
  // Copied, because an object with as many functions as an addon exports is a dictionary to the engine: each call of
  // one of them would look it up by name.
  if (existsSync(file)) {
    const exported = createRequire(import.meta.url)(file) as WholeAddon & Exported
    refuseOthers(exported.constants)
    loaded = { ...exported }
  }
  if (process.env.CASTOR_NATIVE === 'no-tls') delete loaded?.tlsOpen
  return loaded
}
