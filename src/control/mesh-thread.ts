import { randomUUID } from 'node:crypto'
import type { MeshStatus, OperatorEntry, TicketsEntry } from '../core/mesh.js'
import type { FromMesh, MeshTask, ToMesh } from '../core/messages.js'
import type { Logger } from '../observe/log.js'
import { SupervisedService } from './supervised-service.js'
import { MESH_FILE } from './thread-files.js'
import type { Watchdog } from './watchdog.js'

export interface MeshKeeperParts {
  /** What the thread is started with; called anew for each start. */
  readonly task: () => Omit<MeshTask, 'port' | 'boot' | 'again' | 'known' | 'muted'>
  readonly isMuted: () => boolean
  readonly onMuted: () => void
  readonly known: () => MeshTask['known']
  readonly watchdog: Watchdog
  readonly row: number
  readonly log: Logger
  readonly onLine: (line: string) => void
  readonly onOperator: (entry: OperatorEntry, from?: string) => void
  readonly onTickets: (entry: TicketsEntry) => void
  /** The thread died; what it held in shared memory is to be let go. */
  readonly onDeath: () => void
}

/** Keeps the mesh thread running. Without it this host goes on alone. */
export class MeshKeeper {
  readonly boot: string = randomUUID()
  status: MeshStatus | undefined
  readonly #parts: MeshKeeperParts
  readonly #service: SupervisedService<ToMesh, FromMesh>

  constructor(parts: MeshKeeperParts) {
    this.#parts = parts
    this.#service = new SupervisedService(MESH_FILE, parts.log, {
      watchdog: parts.watchdog,
      name: 'mesh',
      row: parts.row,
      task: (again): Omit<MeshTask, 'port'> => {
        return { ...parts.task(), boot: this.boot, again, known: parts.known(), muted: parts.isMuted() }
      },
      onMessage: (message) => this.#onMessage(message),
      onDeath: (err) => {
        parts.onDeath()
        if (this.#service.stopping) return
        parts.log.error({ err }, 'the mesh thread died; this host goes on alone until it is back')
      },
    })
  }

  /** Resolves when what the other hosts know is here, or after `timeoutMs`. */
  start(timeoutMs: number): Promise<void> {
    return this.#service.start(timeoutMs)
  }

  send(message: ToMesh): void {
    this.#service.send(message)
  }

  stop(): Promise<void> {
    return this.#service.stop()
  }

  #onMessage(message: FromMesh): void {
    switch (message.type) {
      case 'joined':
        this.#service.ready()
        return
      case 'muted':
        this.#parts.onMuted()
        return
      case 'log':
        this.#parts.onLine(message.line)
        return
      case 'status':
        this.status = message.status
        return
      case 'operator':
        this.#parts.onOperator(message.entry, ...(message.from === undefined ? [] : [message.from]))
        return
      case 'tickets':
        this.#parts.onTickets(message.entry)
        return
    }
  }
}
