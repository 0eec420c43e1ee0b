/** A request that somebody asks about, without sending it. */
export interface ExplainQuestion {
  readonly method: string
  /** Absolute, as `http://shop.example:8080/a?b`. */
  readonly url: string
  /** `name: value` each. */
  readonly headers: readonly string[]
  /** Address of the client. */
  readonly from: string
  /** Name of a listener; undefined for the one that the URL leads to. */
  readonly listener: string | undefined
}

/** What would become of the request, and why. */
export interface Explanation {
  readonly version: number
  readonly listener: string
  readonly from: string
  /** Each place in which rules are looked for, in order; the first rule without `failed` is taken. */
  readonly considered: readonly ConsideredBucket[]
  /** Null where none matches. */
  readonly rule: string | null
  /** `forward` to one of `groups`, or what Castor answers itself. */
  readonly outcome: 'forward' | 'redirect' | 'respond' | 'slash' | 'no-rule'
  /** Of Castor's own answer; null where a target answers. */
  readonly status: number | null
  readonly location: string | null
  readonly groups: readonly ExplainedGroup[]
}

export interface ConsideredBucket {
  /** Patterns as the rules have them; empty = any. */
  readonly host: string
  readonly path: string
  readonly addsSlash: boolean
  /** The first hundred. */
  readonly rules: readonly { readonly name: string; readonly failed: string | null }[]
  readonly more: number
}

export interface ExplainedGroup {
  readonly name: string
  /** Null where there is one alone. */
  readonly weight: number | null
  readonly algorithm: string
  readonly stickiness: string
  readonly maxConnectionsPerTarget: number | null
  readonly targets: readonly ExplainedTarget[]
  /** Ids of the targets of which one would get the request; one alone where that is certain. */
  readonly picked: readonly string[]
  readonly why: string
}

export interface ExplainedTarget {
  readonly id: string
  readonly address: string
  readonly weight: number
  readonly state: string
  readonly health: string
  readonly inFlight: number
  /** Why it would not get the request; null where it may. */
  readonly whyNot: string | null
}

/** Why nothing can be said; `code` as in errors of the API. */
export interface Unexplained {
  readonly code: 'BAD_URL' | 'BAD_REQUEST' | 'NO_LISTENER' | 'NOT_HTTP'
  readonly message: string
}
