import { formatAddress } from '../config/addresses.js'
import type { Listening } from '../core/acceptor.js'
import type { Config, ListenerProtocol } from '../core/config.js'
import { RECORD_LISTENER, RECORD_WORDS } from '../core/connection-record.js'
import type { Bind } from '../core/messages.js'
import type { NativeAddon } from '../native/addon.js'
import { NativeAcceptor } from '../net/native-acceptor.js'
import type { Logger } from '../observe/log.js'
import { type SharedListening, SharedListeningSockets } from './shared-listening.js'

/** Long enough for a burst of thousands between two turns of the loop; the kernel cuts it to its own limit. */
const BACKLOG = 4096

/** The addresses the process listens on. Native: accepted here. Shared: each worker gets descriptors of its own. */
export interface Binds {
  readonly list: readonly Bind[]
  readonly listenings: readonly Listening[]
  /** Descriptors for one more worker, where workers accept themselves. */
  descriptors(): Promise<readonly number[] | undefined>
  close(): void
}

/**
 * Opens every address or none: rejects with LISTEN_FAILED. Accepting is paused until `resume` of each. `onAccepted` gets
 * batches of records that name their bind.
 */
export async function openNative(
  config: Config,
  addon: NativeAddon,
  log: Logger,
  onAccepted: (records: Int32Array, count: number) => void,
): Promise<Binds> {
  const acceptor = new NativeAcceptor(addon)
  const list: Bind[] = []
  const listenings: Listening[] = []
  try {
    for (const { listener, address, port } of addresses(config)) {
      const { keepAliveSeconds } = config.listeners[listener]!
      const bind = list.length
      const listening = await acceptor.listen(
        { ...spec(address, port), keepAliveSeconds },
        {
          onAccepted: ({ records, count }) => {
            for (let i = 0; i < count; i++) records[i * RECORD_WORDS + RECORD_LISTENER] = bind
            onAccepted(records, count)
          },
          onOutOfDescriptors: (pausedMs) => log.warn({ pausedMs }, 'out of file descriptors: new connections wait'),
        },
      )
      listening.pause()
      listenings.push(listening)
      list.push({ listener, address: listening.address, port: listening.port })
    }
  } catch (cause) {
    for (const listening of listenings) listening.close()
    throw cause
  }
  const close = (): void => {
    for (const listening of listenings) listening.close()
  }
  return { list, listenings, descriptors: async () => undefined, close }
}

/** The same without the addon. */
export async function openShared(config: Config): Promise<Binds> {
  const sockets = new SharedListeningSockets()
  const list: Bind[] = []
  const open: SharedListening[] = []
  try {
    for (const { listener, address, port } of addresses(config)) {
      const listening = await sockets.open(spec(address, port))
      open.push(listening)
      list.push({ listener, address: listening.address, port: listening.port })
    }
  } catch (cause) {
    sockets.close()
    throw cause
  }
  return {
    list,
    listenings: [],
    descriptors: () => Promise.all(open.map((listening) => listening.duplicate())),
    close: () => sockets.close(),
  }
}

function addresses(config: Config): { listener: number; address: string; port: number }[] {
  return config.listeners.flatMap((listener, index) =>
    listener.listen.map((address) => ({ listener: index, ...address })),
  )
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
