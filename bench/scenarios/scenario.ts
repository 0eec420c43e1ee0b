import type { OriginKind } from '../origin/origin.js'
import type { CastorChanges, Feature, Mode } from '../proxies/proxy.js'
import type { ProxyResult } from '../report/result.js'
import type { Settings } from '../settings.js'

/** A proxy that is up and has its part of the scenario's configuration. */
export interface RunningProxy {
  readonly name: string
  readonly port: number
  /** Leader of its process group. */
  readonly pid: number
  readonly accessLog?: string
}

/** What a scenario has to work with. */
export interface Bench {
  readonly settings: Settings
  readonly proxies: readonly RunningProxy[]
  /** The origin itself, for a look at what remains without any proxy. */
  readonly originPort: number
  /** Tells on stderr what is going on. */
  progress(text: string): void
}

/** What stands in results where no proxy was between load and origin. */
export const DIRECT = 'direct'

/** What a scenario must come to for Castor. */
export type Limit =
  /** CPU per request, as a multiple of what `against` takes, the reference if not given. */
  | { readonly kind: 'ratio'; readonly most: number; readonly against?: string }
  /** The 99th and the 99.9th percentile of latency, as multiples of the reference's. */
  | { readonly kind: 'latency'; readonly most: number }
  /** CPU while nobody asks for anything, as a share of one core. */
  | { readonly kind: 'core-share'; readonly most: number }
  /** Resident bytes a connection. */
  | { readonly kind: 'bytes-each'; readonly most: number }
  /** Resident bytes gained over the whole run. */
  | { readonly kind: 'growth'; readonly mostBytes: number }

/** Castor once more, under another name and with other settings. */
export interface Lane {
  readonly name: string
  readonly changes: CastorChanges
  /** On all cores rather than on the proxies' one. */
  readonly unpinned?: boolean
}

export interface Scenario {
  readonly name: string
  readonly title: string
  readonly unit: string
  readonly needs: readonly Feature[]
  readonly mode: Mode
  /** Clients speak TLS. */
  readonly secure?: boolean
  readonly origin: OriginKind
  readonly limit?: Limit
  /** Only these proxies, where it says nothing about the others. */
  readonly only?: readonly string[]
  /** Castor alone takes part, once for each of these. */
  readonly lanes?: readonly Lane[]
  /** Which generator it will use, for the report. */
  load(settings: Settings): string
  run(bench: Bench): Promise<ProxyResult[]>
}
