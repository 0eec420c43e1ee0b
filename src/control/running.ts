import type { WorkerFacts } from '../admin/facts.js'
import type { ReloadControl } from '../admin/reload-control.js'
import type { Problem } from '../config/problems.js'
import type { ConfigSource } from '../config/source.js'
import type { AdminListen, ListenerProtocol } from '../core/config.js'
import type { TicketKeyStore } from '../core/ticket-keys.js'
import type { LogDestination } from '../observe/log.js'
import type { InheritedSockets } from './inherited-sockets.js'
import type { SdNotify } from './sd-notify.js'
import type { HandedState } from './upgrade/frames.js'
import type { Predecessor } from './upgrade/predecessor.js'

export interface RunningCastor {
  readonly listeners: readonly { name: string; protocol: ListenerProtocol; address: string; port: number }[]
  /** Where the admin API is; address and port are those of its first TCP address, empty and 0 where there is none. */
  readonly admin: { readonly listening: readonly AdminListen[]; readonly address: string; readonly port: number }
  readonly workers: readonly WorkerFacts[]
  /** Opens the access log's file anew, as after a rotation. */
  reopenLogs(): Promise<void>
  readonly reloading: Pick<ReloadControl, 'reload'>
  /** Takes no new connections, lets what is in flight finish for `shutdownTimeout`, then ends. Idempotent. */
  stop(): Promise<void>
  stopNow(): Promise<void>
  /** Rejects with THREAD_STUCK where a thread can neither serve nor be ended; nothing is listened on any more then. */
  readonly finished: Promise<void>
  /** What had not ended when the rest was finished: the process will not exit by itself. */
  readonly leftovers: readonly string[]
}

export interface StartOptions {
  /** Where log lines go; standard error if not given. */
  readonly logDestination?: LogDestination
  /** The file that proxy threads run; the product's own if not given. */
  readonly workerFile?: string
  /** Where the configuration came from; a reload reads it again. */
  readonly source?: ConfigSource
  /** What was said of the configuration when it was read. */
  readonly configWarnings?: readonly Problem[]
  /** The process does nothing else: it may be ended where the primary thread stands still. */
  readonly ownsProcess?: boolean
  /** Listening sockets that somebody else has opened; what fits no address of the configuration is closed. */
  readonly inherited?: InheritedSockets
  /** The process that this one takes over from. */
  readonly predecessor?: Predecessor
  /** What it has handed over for the start. */
  readonly handed?: HandedState
  /** Told when the balancer begins to stop. */
  readonly sdNotify?: SdNotify
  /** The keys of TLS tickets; made here if not given. */
  readonly ticketKeys?: TicketKeyStore
}
