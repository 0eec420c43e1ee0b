import { type ChildProcess, fork, type SendHandle } from 'node:child_process'
import { createServer, type Server } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { ListenSpec } from '../core/acceptor.js'
import { CastorError } from '../core/errors.js'

/** A listening socket as Node holds it below `net.Server`: it accepts nothing by itself. */
type RawHandle = SendHandle & { readonly fd: number; close(): void }

export interface SharedListening {
  readonly address: string
  readonly port: number
  /** A new descriptor for the same socket, which the caller's thread then owns. */
  duplicate(): Promise<number>
  /** Threads keep listening on what they were given, until they close it themselves. */
  close(): void
}

/**
 * Listening sockets for threads to share, where the addon cannot make them. Each thread needs a descriptor of its own,
 * since a thread that ends closes what it holds, and Node by itself cannot duplicate one. But a handle that is sent to
 * another process and back arrives as a new descriptor for the same socket: a small child process is that echo.
 */
export class SharedListeningSockets {
  readonly #echo: ChildProcess
  readonly #waiting = new Map<number, (handle: RawHandle) => void>()
  /** Never let go: collecting a handle would close the descriptor under the thread that owns it. */
  readonly #kept: RawHandle[] = []
  #lastId = 0

  constructor() {
    this.#echo = fork(fileURLToPath(new URL('../control/handle-echo.js', import.meta.url)), { execArgv: [] })
    this.#echo.on('message', (id: number, handle: unknown) => {
      this.#kept.push(handle as RawHandle)
      this.#waiting.get(id)?.(handle as RawHandle)
      this.#waiting.delete(id)
    })
    this.#echo.unref()
  }

  /** Opens the address. Rejects with LISTEN_FAILED. */
  async open(spec: ListenSpec): Promise<SharedListening> {
    const server = await listen(spec)
    const bound = server.address()
    if (bound === null || typeof bound === 'string')
      throw new CastorError('LISTEN_FAILED', `${spec.address}: not a TCP address`)
    // The server would accept; what came back from the echo does not, so it is what stays.
    const master = await this.#duplicate((server as Server & { _handle: RawHandle })._handle)
    await new Promise((resolve) => server.close(resolve))
    return {
      address: bound.address,
      port: bound.port,
      duplicate: async () => (await this.#duplicate(master)).fd,
      close: () => {
        const index = this.#kept.indexOf(master)
        if (index < 0) return
        this.#kept.splice(index, 1)
        master.close()
      },
    }
  }

  close(): void {
    this.#echo.kill()
  }

  #duplicate(handle: RawHandle): Promise<RawHandle> {
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId
      this.#waiting.set(id, resolve)
      this.#echo.send(id, handle, (error) => {
        if (error !== null) reject(error)
      })
    })
  }
}

/** Whoever connects in the moment before the threads listen is turned away. */
function listen(spec: ListenSpec): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy())
    server.once('error', (cause: NodeJS.ErrnoException) => {
      reject(
        new CastorError('LISTEN_FAILED', `${spec.address} port ${spec.port}: ${cause.code ?? cause.message}`, {
          cause,
        }),
      )
    })
    const { address: host, port, backlog, ipv6Only } = spec
    server.listen({ host, port, backlog, ipv6Only }, () => resolve(server))
  })
}
