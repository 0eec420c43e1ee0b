import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { Piscina } from 'piscina'
import type { MeshStatus, OperatorEntry } from '../core/mesh.js'
import type { FromMesh, MeshTask, ToMesh } from '../core/messages.js'
import type { Logger } from '../observe/log.js'

const MESH_FILE = fileURLToPath(new URL('../../workers/mesh/entry.js', import.meta.url))
const RESTART_MS = 500

export interface MeshKeeperParts {
  /** What the thread is started with; called anew for each start. */
  readonly task: () => Omit<MeshTask, 'port' | 'boot' | 'again'>
  readonly log: Logger
  readonly onLine: (line: string) => void
  readonly onOperator: (entry: OperatorEntry) => void
  readonly onTickets: (keys: Uint8Array) => void
  /** The thread died; what it held in shared memory is to be let go. */
  readonly onDeath: () => void
}

/** Keeps the mesh thread running. Without it this host goes on alone. */
export class MeshKeeper {
  readonly boot = randomUUID()
  status: MeshStatus | undefined
  readonly #parts: MeshKeeperParts
  readonly #pool: Piscina
  #port: MessagePort | undefined
  #stopping = false
  #ended: Promise<void> = Promise.resolve()

  constructor(parts: MeshKeeperParts) {
    this.#parts = parts
    this.#pool = new Piscina({
      filename: MESH_FILE,
      minThreads: 1,
      maxThreads: 1,
      concurrentTasksPerWorker: 1,
      atomics: 'disabled',
      idleTimeout: Number.POSITIVE_INFINITY,
      argv: [],
    })
    this.#pool.on('error', (err) => parts.log.error({ err }, 'the mesh pool reports an error'))
  }

  /** Resolves when what the other hosts know is here, or after `patienceMs`. */
  start(patienceMs: number): Promise<void> {
    return new Promise((resolve) => {
      const patience = setTimeout(resolve, patienceMs)
      this.#ended = this.#keepRunning(() => {
        clearTimeout(patience)
        resolve()
      })
    })
  }

  send(message: ToMesh): void {
    this.#port?.postMessage(message)
  }

  async stop(): Promise<void> {
    this.#stopping = true
    this.send({ type: 'stop' })
    await this.#ended
    await this.#pool.destroy()
  }

  async #keepRunning(onJoined: () => void): Promise<void> {
    for (let again = false; !this.#stopping; again = true) {
      try {
        await this.#run(again, onJoined)
        return
      } catch (err) {
        this.#parts.onDeath()
        if (this.#stopping) return
        this.#parts.log.error({ err }, 'the mesh thread died; this host goes on alone until it is back')
        await new Promise((resolve) => setTimeout(resolve, RESTART_MS))
      }
    }
  }

  async #run(again: boolean, onJoined: () => void): Promise<void> {
    const { port1: ours, port2: theirs } = new MessageChannel()
    this.#port = ours
    ours.on('message', (message: FromMesh) => this.#onMessage(message, onJoined))
    try {
      const task = { ...this.#parts.task(), boot: this.boot, again, port: theirs }
      await this.#pool.run(task, { transferList: [theirs] })
    } finally {
      this.#port = undefined
      ours.close()
    }
  }

  #onMessage(message: FromMesh, onJoined: () => void): void {
    switch (message.type) {
      case 'joined':
        onJoined()
        return
      case 'log':
        this.#parts.onLine(message.line)
        return
      case 'status':
        this.status = message.status
        return
      case 'operator':
        this.#parts.onOperator(message.entry)
        return
      case 'tickets':
        this.#parts.onTickets(message.keys)
        return
    }
  }
}
