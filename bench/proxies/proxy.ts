import type { Started } from '../processes.js'
import type { Certificate } from './certificate.js'

/** What a proxy has to be able to do for a scenario. */
export type Feature = 'http' | 'websocket' | 'tcp' | 'tls' | 'grpc' | 'access-log'

/** What passes through; `grpc` is HTTP with targets that speak HTTP/2 in clear. */
export type Mode = 'http' | 'tcp' | 'grpc'

/** What a scenario changes about Castor beside what it changes for all. */
export interface CastorChanges {
  /** Keys of the configuration as in the file, added to or in place of the bench's. */
  readonly file?: Readonly<Record<string, unknown>>
  readonly listener?: Readonly<Record<string, unknown>>
  readonly group?: Readonly<Record<string, unknown>>
  /** So many targets, which are all the origin; 1 if not given. */
  readonly targets?: number
  /** Live sessions of as many clients, from 10.0.0.0 on, before the first request. */
  readonly sessions?: number
}

/** One proxy's part in one scenario. */
export interface ProxySetup {
  /** A folder of its own for configuration and logs; removed by the bench. */
  readonly folder: string
  readonly mode: Mode
  readonly port: number
  readonly targetPort: number
  /** Clients speak TLS, and HTTP/1.1 or HTTP/2 as they choose; without it plain. */
  readonly certificate?: Certificate
  /** Access log off without it. */
  readonly accessLog?: string
  readonly castor?: CastorChanges
  /** On all cores. */
  readonly unpinned?: boolean
}

export interface Contender {
  readonly name: string
  /** Name as readers know it. */
  readonly title: string
  /** Undefined = it is not on this machine. Asked once. */
  version(): string | undefined
  readonly features: ReadonlySet<Feature>
  /** Resolves when it is ready to serve; rejects, with nothing left running, when it could not be started. */
  start(setup: ProxySetup): Promise<Started>
}
