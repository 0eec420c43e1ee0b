import type { Clock } from '../core/clock.js'
import type { ProtectionConfig } from '../core/config.js'
import type { Transport } from '../core/conn.js'
import type { TimerWheel } from '../net/timer-wheel.js'
import type { AccessEntry, AccessLog } from '../observe/access-log.js'
import type { Columns } from '../shm/columns.js'
import type { ClientSources } from './client-sources.js'
import type { Drainables } from './drainables.js'
import type { RequestIds } from './request-ids.js'
import type { RequestLimits } from './request-limits.js'
import type { SilentClients } from './silent-clients.js'
import type { TlsLog } from './tls-log.js'

/**
 * What connections of one proxy thread share. A snapshot with other limits, or with the access log on instead of off, has
 * another context for the connections that come from then on; those that are open go on with what they began with.
 */
export interface WorkerContext {
  readonly transport: Transport
  readonly clock: Clock
  readonly wheel: TimerWheel
  readonly columns: Columns
  /** This thread's column in shared memory; nobody else writes it. */
  readonly column: number
  readonly protection: ProtectionConfig
  /** Undefined where the access log is off. `entry` is filled in and recorded at once, never kept. */
  readonly accessLog: AccessLog | undefined
  readonly entry: AccessEntry
  readonly requestIds: RequestIds
  readonly drainables: Drainables
  readonly silent: SilentClients
  readonly sources: ClientSources
  readonly requestLimits: RequestLimits
  readonly tlsLog: TlsLog
}
