/** Who wants something. `name` is a token's, a signal's or a host's; null where there is none to tell. */
export interface Actor {
  /** `anybody`: no token is required at the address. `unknown`: refused for want of one. */
  readonly kind: 'token' | 'anybody' | 'unknown' | 'signal' | 'file' | 'host'
  readonly name: string | null
}

/** What was asked for over the admin API. */
export interface AuditedRequest {
  readonly method: string
  /** As the OpenAPI document has it; the path itself where there is no route. */
  readonly route: string
  readonly params: Readonly<Record<string, unknown>>
  /** Whether it was to be written to the configuration file as well. */
  readonly persist: boolean
}

/** A change, or what was refused. Values are those that changed, and only they; secrets are masked. */
export interface AuditEntry {
  readonly time: string
  /** Of the request, as `X-Request-Id` of the answer has it; of anything else one of its own. */
  readonly id: string
  readonly by: Actor
  /** `10.0.0.7:51234`, or `unix:/PATH uid 1000`; null for a signal, the file and other hosts. */
  readonly from: string | null
  /** The route's `id` in the OpenAPI document, or what it does where there is no request: `reload`, `changeTarget`. */
  readonly action: string
  readonly request: AuditedRequest | null
  readonly before: Readonly<Record<string, unknown>> | null
  readonly after: Readonly<Record<string, unknown>> | null
  readonly result: 'done' | 'refused' | 'failed'
  /** Of the answer. */
  readonly status: number | null
  /** Code and message of the refusal. */
  readonly reason: string | null
  /** Refusals before this one that were too many to be told. */
  readonly suppressed: number
}

export type Audited = Omit<AuditEntry, 'time' | 'id' | 'suppressed'> & { readonly id?: string }

/** Changes that can be asked for, and beside them refusals: whoever is refused cannot push out what was done. */
export const MAX_CHANGES = 200
const MAX_REFUSALS = 50
/** Refusals that are told at once, and how long until one more may be. */
const BURST = 20
const REFILL_MS = 3_000
/** Long names come from whoever asks. */
const MAX_TEXT = 300

/** The last changes, and where each goes besides. Writing never waits. */
export class AuditLog {
  /** Where entries are written; nowhere until the log is open, and where it is off. */
  write: (entry: AuditEntry) => void = () => {}
  readonly #changes: AuditEntry[] = []
  readonly #refusals: AuditEntry[] = []
  readonly #nowMs: () => number
  readonly #newId: () => string
  #allowed = BURST
  #refilledMs = 0
  #suppressed = 0

  constructor(nowMs: () => number, newId: () => string) {
    this.#nowMs = nowMs
    this.#newId = newId
  }

  /** Something that was carried out, or that the process has tried. */
  record(audited: Audited): void {
    this.#keep(this.#changes, MAX_CHANGES, this.#entry(audited, 0))
  }

  /** Something that was turned away before anything was tried: so many in a time, and the number of the others. */
  refuse(audited: Audited): void {
    const nowMs = this.#nowMs()
    const refill = Math.floor((nowMs - this.#refilledMs) / REFILL_MS)
    if (refill > 0 || nowMs < this.#refilledMs) {
      this.#allowed = Math.min(BURST, this.#allowed + Math.max(0, refill))
      this.#refilledMs = nowMs
    }
    if (this.#allowed === 0) {
      this.#suppressed++
      return
    }
    this.#allowed--
    const suppressed = this.#suppressed
    this.#suppressed = 0
    this.#keep(this.#refusals, MAX_REFUSALS, this.#entry(audited, suppressed))
  }

  /** The newest first. */
  latest(limit: number): readonly AuditEntry[] {
    const all = [...this.#changes, ...this.#refusals]
    return all.sort((a, b) => (a.time < b.time ? 1 : a.time > b.time ? -1 : 0)).slice(0, limit)
  }

  #entry({ id = this.#newId(), ...audited }: Audited, suppressed: number): AuditEntry {
    const { request, reason } = audited
    return {
      time: new Date(this.#nowMs()).toISOString(),
      id,
      ...audited,
      request: request === null ? null : { ...request, route: request.route.slice(0, MAX_TEXT) },
      reason: reason === null ? null : reason.slice(0, MAX_TEXT),
      suppressed,
    }
  }

  #keep(list: AuditEntry[], max: number, entry: AuditEntry): void {
    // The newest come first, also among those of one millisecond.
    list.unshift(entry)
    if (list.length > max) list.pop()
    this.write(entry)
  }
}
