import { formatAddress } from '../config/addresses.js'
import type { Listening } from '../core/acceptor.js'
import type { Config, ListenerConfig, ListenerProtocol } from '../core/config.js'
import { CastorError } from '../core/errors.js'
import type { Bind, Snapshot } from '../core/snapshot.js'
import type { InheritedSocket, InheritedSockets } from './inherited-sockets.js'
import type { Slots } from './slots.js'

/** An address of the configuration, and how its socket is to be. */
export interface WantedBind {
  /** The listener's name. */
  readonly name: string
  readonly address: string
  readonly port: number
  readonly keepAliveSeconds: number
}

/** A socket that listens, paused at first. */
export interface OpenSocket extends Listening {
  /** −1 where the socket is Node's own. */
  readonly fd: number
  /** For connections that are accepted from now on. */
  setKeepAlive(seconds: number): void
  /** Where workers accept themselves: a descriptor for one more of them. */
  duplicate?(): Promise<number>
}

/**
 * How sockets are opened. `slot` is what records of their connections are to name; `sharing` are those that have the port
 * where one of them, which leaves, has it at an overlapping address. Rejects with LISTEN_FAILED.
 */
export interface SocketOpener {
  open(
    wanted: WantedBind,
    slot: number,
    inherited: InheritedSocket | undefined,
    sharing: readonly OpenSocket[],
  ): Promise<OpenSocket>
  close(): void
}

interface OpenBind {
  readonly slot: number
  readonly key: string
  readonly wanted: WantedBind
  readonly socket: OpenSocket
}

/** Sockets for another configuration: open, and not accepting yet. Exactly one of both calls follows. */
export interface PreparedBinds {
  /** By slot; `listenerSlot` says which listener has which. */
  list(listenerSlot: (name: string) => number): readonly (Bind | undefined)[]
  /** Where workers accept themselves: descriptors of what is new, by slot, for one of them. */
  descriptors(): Promise<readonly (number | undefined)[] | undefined>
  /** Accepts on what is new and closes what is not wanted any more; returns the slots of the latter. */
  commit(): readonly number[]
  /** Closes what was opened. */
  discard(): void
}

/**
 * The addresses that the process listens on. A bind is the same for as long as its address and port stay, whichever
 * listener it belongs to: its socket, and the clients that wait in its queue, live through every reload.
 */
export class Binds {
  readonly #opener: SocketOpener
  readonly #slots: Slots
  #open: readonly OpenBind[] = []
  /** For a configuration that is about to hold: a worker that starts meanwhile is given them too. */
  #pending: readonly OpenBind[] = []
  #accepts = false
  /** For good: what a change that is under way has opened is closed with it. */
  #isClosed = false

  constructor(opener: SocketOpener, slots: Slots) {
    this.#opener = opener
    this.#slots = slots
  }

  get listenings(): readonly Listening[] {
    return this.#open.map(({ socket }) => socket)
  }

  /** The sockets as another process could take them over; none where they are Node's own. */
  get offers(): readonly InheritedSocket[] {
    return this.#open.flatMap(({ wanted, socket }) => {
      const { fd, address, port } = socket
      return fd < 0 ? [] : [{ name: wanted.name, fd, address, port, configuredPort: wanted.port }]
    })
  }

  /** Opens every address that is not open yet, or none: rejects with LISTEN_FAILED. What is `inherited` is used where it fits. */
  async prepare(config: Config, inherited?: InheritedSockets): Promise<PreparedBinds> {
    if (this.#isClosed) throw new CastorError('LISTEN_FAILED', 'this process is stopping')
    const wanted = config.listeners.flatMap(wantedBinds)
    const sockets = inherited?.match(wanted.map(({ bind }) => bind)) ?? []
    const keys = new Set(wanted.map(({ key }) => key))
    const leaving = this.#open.filter(({ key }) => !keys.has(key))
    const next: OpenBind[] = []
    const opened: OpenBind[] = []
    try {
      for (const [index, { key, bind }] of wanted.entries()) {
        const known = this.#open.find((open) => open.key === key)
        if (known !== undefined) {
          next.push({ ...known, wanted: bind })
          continue
        }
        const { slot } = this.#slots.take()
        const overlaps = leaving.some(({ socket }) => overlap(socket, bind))
        const sharing = overlaps ? [...this.#open, ...opened].map(({ socket }) => socket) : []
        const atPort = sharing.filter(({ port }) => port === bind.port)
        const open = named(config, bind, this.#opener.open(bind, slot, sockets[index], atPort))
        const socket = await open.catch((cause: unknown) => {
          this.#slots.giveBack(slot)
          throw cause
        })
        opened.push({ slot, key, wanted: bind, socket })
        next.push(opened.at(-1)!)
      }
    } catch (cause) {
      this.#discard(opened)
      throw cause
    }
    this.#pending = opened
    return {
      list: (listenerSlot) => {
        const list: (Bind | undefined)[] = []
        for (const { slot, wanted, socket } of next) {
          const { address, port } = socket
          list[slot] = { slot, listener: listenerSlot(wanted.name), address, port }
        }
        return list
      },
      descriptors: () => duplicates(opened),
      commit: () => this.#commit(next, opened),
      discard: () => this.#discard(opened),
    }
  }

  /** Descriptors for one more worker, by slot, where workers accept themselves. */
  descriptors(): Promise<readonly (number | undefined)[] | undefined> {
    return duplicates([...this.#open, ...this.#pending])
  }

  pause(): void {
    this.#accepts = false
    for (const { socket } of this.#open) socket.pause()
  }

  resume(): void {
    this.#accepts = true
    for (const { socket } of this.#open) socket.resume()
  }

  close(): void {
    this.#isClosed = true
    for (const { socket } of this.#open) socket.close()
    this.#open = []
    this.#opener.close()
  }

  #commit(next: readonly OpenBind[], opened: readonly OpenBind[]): readonly number[] {
    if (this.#isClosed) {
      this.#discard(opened)
      return []
    }
    const gone = this.#open.filter(({ slot }) => !next.some((open) => open.slot === slot))
    for (const { slot, wanted, socket } of next) {
      const before = this.#open.find((open) => open.slot === slot)
      if (before !== undefined && before.wanted.keepAliveSeconds !== wanted.keepAliveSeconds)
        socket.setKeepAlive(wanted.keepAliveSeconds)
    }
    this.#open = next
    this.#pending = []
    if (this.#accepts) for (const { socket } of opened) socket.resume()
    for (const { socket } of gone) socket.close()
    return gone.map(({ slot }) => slot)
  }

  #discard(opened: readonly OpenBind[]): void {
    this.#pending = []
    for (const { slot, socket } of opened) {
      socket.close()
      this.#slots.giveBack(slot)
    }
  }
}

/** The system gives a port to one of two such addresses only, unless both sockets are ready to share it. */
function overlap(one: OpenSocket, { address, port }: WantedBind): boolean {
  if (one.port !== port || one.address.includes(':') !== address.includes(':')) return false
  return [one.address, address].some(isWildcard) || one.address === address
}

function isWildcard(address: string): boolean {
  return address === '0.0.0.0' || address === '::'
}

/** Where an address is refused, the error names its listener and where that is configured. */
async function named<T>({ listeners }: Config, wanted: WantedBind, opening: Promise<T>): Promise<T> {
  try {
    return await opening
  } catch (cause) {
    if (!(cause instanceof CastorError) || cause.code !== 'LISTEN_FAILED') throw cause
    const { name, address, port } = wanted
    const { code } = (cause.cause ?? {}) as NodeJS.ErrnoException
    const index = listeners.findIndex((listener) => listener.name === name)
    const { listen } = listeners[index]!
    const position = listen.findIndex((each) => each.address === address && each.port === port)
    const message = `listener ${name} cannot listen on ${formatAddress(address, port)}`
    const configPath = ['listeners', index, 'listen', ...(listen.length > 1 ? [position] : [])]
    throw new CastorError('LISTEN_FAILED', `${message}: ${code ?? cause.message}`, { cause, configPath })
  }
}

async function duplicates(binds: readonly OpenBind[]): Promise<readonly (number | undefined)[] | undefined> {
  const list: (number | undefined)[] = []
  for (const { slot, socket } of binds) {
    if (socket.duplicate === undefined) return undefined
    list[slot] = await socket.duplicate()
  }
  return Array.from(list)
}

/** A port that the system chooses is another one each time: there, a bind is known by its listener. */
function wantedBinds({ name, listen, keepAliveSeconds }: ListenerConfig): { key: string; bind: WantedBind }[] {
  return listen.map(({ address, port }, index) => ({
    key: port === 0 ? `${name} ${index} ${address}` : `${address} ${port}`,
    bind: { name, address, port, keepAliveSeconds },
  }))
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

/** What is open, with the ports that the system chose, in the order of the configuration. */
export function openListeners({ listeners, binds, config }: Snapshot): readonly OpenListener[] {
  return config.listeners.flatMap(({ name, protocol }) => {
    const slot = listeners.find((entry) => entry?.config.name === name)?.slot
    const own = binds.filter((bind) => bind !== undefined).filter((bind) => bind.listener === slot)
    const addresses = own.map(({ address, port }) => formatAddress(address, port))
    return own.map(({ address, port }) => ({ name, protocol, address, port, addresses }))
  })
}
