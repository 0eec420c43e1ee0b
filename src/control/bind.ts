import { formatAddress } from '../config/addresses.js'
import type { Listening } from '../core/acceptor.js'
import type { Config, ListenerProtocol } from '../core/config.js'
import { RECORD_LISTENER, RECORD_WORDS } from '../core/connection-record.js'
import { CastorError } from '../core/errors.js'
import type { Bind } from '../core/snapshot.js'
import type { WholeAddon } from '../native/addon.js'
import { NativeAcceptor } from '../net/native-acceptor.js'
import type { Logger } from '../observe/log.js'
import type { InheritedSocket, InheritedSockets } from './inherited-sockets.js'
import { type SharedListening, SharedListeningSockets } from './shared-listening.js'

/** Long enough for a burst of thousands between two turns of the loop; the kernel cuts it to its own limit. */
const BACKLOG = 4096

/** The addresses the process listens on. Native: accepted here. Shared: each worker gets descriptors of its own. */
export interface Binds {
  readonly list: readonly Bind[]
  readonly listenings: readonly Listening[]
  /** The sockets as another process could take them over; none where they are Node's own. */
  readonly offers: readonly InheritedSocket[]
  /** Descriptors for one more worker, where workers accept themselves. */
  descriptors(): Promise<readonly number[] | undefined>
  close(): void
}

/**
 * Opens every address or none: rejects with LISTEN_FAILED. Accepting is paused until `resume` of each. `onAccepted` gets
 * batches of records that name their bind. What is `inherited` is used where it fits.
 */
export async function openNative(
  config: Config,
  addon: WholeAddon,
  log: Logger,
  inherited: InheritedSockets | undefined,
  onAccepted: (records: Int32Array, count: number) => void,
): Promise<Binds> {
  const acceptor = new NativeAcceptor(addon)
  const list: Bind[] = []
  const listenings: Listening[] = []
  const offers: InheritedSocket[] = []
  try {
    const all = addresses(config)
    const sockets = inherited?.match(all) ?? []
    for (const wanted of all) {
      const { listener, address, port, name } = wanted
      const { keepAliveSeconds } = config.listeners[listener]!
      const bind = list.length
      const fd = sockets[bind]?.fd
      const given = fd === undefined ? {} : { fd: adopt(addon, fd, keepAliveSeconds) }
      const opening = acceptor.listen(
        { ...spec(address, port), keepAliveSeconds, ...given },
        {
          onAccepted: ({ records, count }) => {
            for (let i = 0; i < count; i++) records[i * RECORD_WORDS + RECORD_LISTENER] = bind
            onAccepted(records, count)
          },
          onOutOfDescriptors: (pausedMs) => log.warn({ pausedMs }, 'out of file descriptors: new connections wait'),
        },
      )
      const listening = await named(config, wanted, opening)
      listening.pause()
      listenings.push(listening)
      list.push({ slot: bind, listener, address: listening.address, port: listening.port })
      offers.push({ name, fd: listening.fd, address: listening.address, port: listening.port, configuredPort: port })
    }
  } catch (cause) {
    for (const listening of listenings) listening.close()
    throw cause
  }
  const close = (): void => {
    for (const listening of listenings) listening.close()
  }
  return { list, listenings, offers, descriptors: async () => undefined, close }
}

/** The same without the addon. */
export async function openShared(config: Config): Promise<Binds> {
  const sockets = new SharedListeningSockets()
  const list: Bind[] = []
  const open: SharedListening[] = []
  try {
    for (const wanted of addresses(config)) {
      const { listener, address, port } = wanted
      const listening = await named(config, wanted, sockets.open(spec(address, port)))
      open.push(listening)
      list.push({ slot: list.length, listener, address: listening.address, port: listening.port })
    }
  } catch (cause) {
    sockets.close()
    throw cause
  }
  return {
    list,
    listenings: [],
    offers: [],
    descriptors: () => Promise.all(open.map((listening) => listening.duplicate())),
    close: () => sockets.close(),
  }
}

/** Gives the socket the listener's options, which connections get from it. */
function adopt(addon: WholeAddon, fd: number, keepAliveSeconds: number): number {
  const error = addon.adoptListening(fd, BACKLOG, keepAliveSeconds)
  if (error >= 0) return fd
  throw new CastorError('LISTEN_FAILED', `an inherited socket cannot be used: ${addon.errorName(error)}`)
}

/** An address of the configuration: of which listener, and which in its list. */
interface Wanted {
  readonly listener: number
  readonly name: string
  readonly position: number
  readonly address: string
  readonly port: number
}

function addresses(config: Config): Wanted[] {
  return config.listeners.flatMap((listener, index) =>
    listener.listen.map((address, position) => ({ listener: index, name: listener.name, position, ...address })),
  )
}

/** Where an address is refused, the error names its listener and where that is configured. */
async function named<T>(config: Config, wanted: Wanted, opening: Promise<T>): Promise<T> {
  try {
    return await opening
  } catch (cause) {
    if (!(cause instanceof CastorError) || cause.code !== 'LISTEN_FAILED') throw cause
    const { listener, position, address, port } = wanted
    const { code } = (cause.cause ?? {}) as NodeJS.ErrnoException
    const { name, listen } = config.listeners[listener]!
    const message = `listener ${name} cannot listen on ${formatAddress(address, port)}`
    const configPath = ['listeners', listener, 'listen', ...(listen.length > 1 ? [position] : [])]
    throw new CastorError('LISTEN_FAILED', `${message}: ${code ?? cause.message}`, { cause, configPath })
  }
}

function spec(address: string, port: number) {
  return { address, port, backlog: BACKLOG, ipv6Only: true, deferAcceptSeconds: 0 }
}

/** A listener as it is open: one for each of its addresses. */
export interface OpenListener {
  readonly name: string
  readonly protocol: ListenerProtocol
  readonly address: string
  readonly port: number
  /** All of the listener's addresses. */
  readonly addresses: string[]
}

/** What is open, with the ports that the system chose. */
export function listenerFacts(config: Config, binds: readonly Bind[]): readonly OpenListener[] {
  return binds.map(({ listener, address, port }) => {
    const { name, protocol } = config.listeners[listener]!
    const addresses = binds
      .filter((bind) => bind.listener === listener)
      .map((bind) => formatAddress(bind.address, bind.port))
    return { name, protocol, address, port, addresses }
  })
}
