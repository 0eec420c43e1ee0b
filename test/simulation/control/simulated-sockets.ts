import type { SocketOpener, WantedBind } from '../../../src/control/bind.js'
import { CastorError } from '../../../src/core/errors.js'
import type { Later } from './later.js'
import { insist } from './violation.js'

/** A listening socket of the simulated system. */
export interface SimulatedSocket {
  readonly fd: number
  readonly address: string
  readonly port: number
  readonly slot: number
  accepts: boolean
}

/** The descriptors of the simulated process, and the addresses that it listens on. */
export class SimulatedSockets {
  /** Descriptors that are open, and what each is for. */
  readonly open = new Map<number, string>()
  readonly listening = new Map<number, SimulatedSocket>()
  /** The next address that is to be opened is refused. */
  refuseNext = false
  #lastFd = 2
  readonly #later: Later

  constructor(later: Later) {
    this.#later = later
  }

  take(what: string): number {
    const fd = ++this.#lastFd
    this.open.set(fd, what)
    return fd
  }

  close(fd: number): void {
    insist(this.open.delete(fd), `descriptor ${fd} is closed twice`)
  }

  /** Where the primary accepts. */
  opener(): SocketOpener {
    return {
      open: async (wanted, slot) => {
        await this.#later.answered()
        const { fd, address, port } = this.#listen(wanted, slot)
        const accept = (accepts: boolean) => () => {
          const socket = this.listening.get(fd)
          if (socket !== undefined) socket.accepts = accepts
        }
        return {
          fd,
          address,
          port,
          mute: () => false,
          pause: accept(false),
          resume: accept(true),
          setKeepAlive: () => insist(this.listening.has(fd), 'an option is set on a closed socket'),
          close: () => {
            this.listening.delete(fd)
            this.close(fd)
          },
        }
      },
      close() {},
    }
  }

  #listen({ address, port }: WantedBind, slot: number): SimulatedSocket {
    const isTaken = [...this.listening.values()].some((open) => open.address === address && open.port === port)
    if (this.refuseNext || isTaken) {
      this.refuseNext = false
      throw new CastorError('LISTEN_FAILED', `${address} port ${port}: EADDRINUSE`)
    }
    const socket = { fd: this.take(`${address} port ${port}`), address, port, slot, accepts: false }
    this.listening.set(socket.fd, socket)
    return socket
  }
}
