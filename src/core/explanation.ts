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
  /** Names of the plug-ins that would be asked, in their order; what they would do is not known. */
  readonly plugins: readonly string[]
  /** `forward` to one of `groups`, or what Castor answers itself. */
  readonly outcome: 'forward' | 'redirect' | 'respond' | 'slash' | 'no-rule'
  /** Of Castor's own answer; null where a target answers. */
  readonly status: number | null
  readonly location: string | null
  readonly groups: readonly ExplainedGroup[]
  /** How the rule keeps clients on one of its groups; null where it does not. */
  readonly split: ExplainedSplit | null
  /** What is changed of the request and of its answer; null where nothing is. */
  readonly edits: ExplainedEdits | null
  readonly mirror: ExplainedMirror | null
  /** Those of the listener and of the rule; those of a group stand with it. Milliseconds and bytes. */
  readonly limits: ExplainedLimits
}

export interface ExplainedSplit {
  readonly cookie: string
  /** The group that the request's cookie names; null where it has none that does. */
  readonly group: string | null
}

export interface ExplainedEdits {
  /** With what status the request is refused, since its variables make no target, or more than a head may hold; else null. */
  readonly refused: number | null
  /** Target and host as the target gets them; null where they stay. */
  readonly rewritten: { readonly target: string | null; readonly host: string | null } | null
  readonly request: ExplainedHeaders | null
  readonly response: ExplainedHeaders | null
}

export interface ExplainedHeaders {
  /** Names of fields that are taken out where they are there. */
  readonly removed: readonly string[]
  /** Lines that are written; `${target}` stands for the target's id. */
  readonly written: readonly string[]
}

export interface ExplainedMirror {
  readonly targetGroup: string
  readonly percent: number
  readonly maxBodyBytes: number
}

export interface ExplainedLimits {
  readonly maxHeaderBytes: number
  readonly maxHeaders: number
  readonly headerTimeoutMs: number
  readonly bodyMinRateBytesPerSecond: number
  readonly idleTimeoutMs: number
  /** In place of the group's; null for that. */
  readonly responseTimeoutMs: number | null
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
  /** Who may wait for a place where every target is full. */
  readonly queueSize: number
  readonly connectTimeoutMs: number
  readonly responseTimeoutMs: number
  /** Attempts beyond the first. */
  readonly retries: number
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
