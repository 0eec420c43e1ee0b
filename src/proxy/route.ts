// Hot path: counts for every request.
import type { ForwardedConfig } from '../core/config.js'
import { type Columns, recordDuration } from '../shm/columns.js'
import {
  SERIES_CODE_COUNT,
  SERIES_CODE_FIRST,
  SERIES_CODES,
  SERIES_CONNECT_DURATION,
  SERIES_REQUEST_DURATION,
  SERIES_RESPONSE_DURATION,
} from '../shm/layout.js'
import type { SplitSide } from '../sticky/split-cookie.js'
import type { ListenerSettings } from './listener-settings.js'
import type { MirrorRoute } from './mirror-route.js'
import type { OwnAnswer } from './own-answer.js'
import { RequestHash } from './request-hash.js'
import type { RuleEdits } from './rule-edits.js'
import type { TargetGroup } from './target-group.js'

/** What a rule says of the requests that match it. */
export interface RouteRule {
  readonly name: string
}

/** What not every route has. */
export interface RouteParts {
  readonly answer?: OwnAnswer | undefined
  readonly rule?: RouteRule | undefined
  readonly forwarded?: ForwardedConfig
  readonly side?: SplitSide | undefined
  readonly edits?: RuleEdits | undefined
  readonly mirror?: MirrorRoute | undefined
  /** In place of the group's. */
  readonly responseTimeoutMs?: number | undefined
}

/**
 * What a request, stream or TCP connection goes by, from its head to its log line: how its listener serves, the rule that it
 * matches, the group that answers or what Castor answers itself, and the series that it counts in. Whoever begins takes one
 * of the listener's routes of that moment and keeps it until the end, whatever the configuration becomes meanwhile. Made
 * once per listener, rule, group and version of the configuration.
 */
export class Route {
  readonly settings: ListenerSettings
  readonly group: TargetGroup
  readonly hash: RequestHash
  /** What the group's targets are told of clients. The same object for all groups of a listener that are told the same. */
  readonly forwarded: ForwardedConfig
  /** What is answered without a target; undefined where one is asked. */
  readonly answer: OwnAnswer | undefined
  /** Undefined where none matches. */
  readonly rule: RouteRule | undefined
  /** By what its clients stay here, where a rule splits its traffic so. */
  readonly side: SplitSide | undefined
  /** What changes on the way to the target and back; undefined where nothing does. */
  readonly edits: RuleEdits | undefined
  /** Where copies of its requests go. */
  readonly mirror: MirrorRoute | undefined
  /** How long a target may take from the end of a request to the head of its answer. */
  readonly responseTimeoutMs: number
  readonly #words: Float64Array
  /** First word of the series in the thread's column. */
  readonly #at: number

  constructor(
    settings: ListenerSettings,
    group: TargetGroup,
    place: { readonly columns: Columns; readonly column: number; readonly series: number },
    { answer, rule, forwarded, side, edits, mirror, responseTimeoutMs }: RouteParts = {},
  ) {
    this.settings = settings
    this.group = group
    this.hash = new RequestHash(group.config.hashOn)
    this.forwarded = forwarded ?? group.config.forwarded
    this.answer = answer
    this.rule = rule
    this.side = side
    this.edits = edits
    this.mirror = mirror
    this.responseTimeoutMs = responseTimeoutMs ?? group.config.timeouts.responseMs
    const series = place.columns.series(place.series)
    this.#words = series.words
    this.#at = series.at(place.column)
  }

  countRequest(status: number, durationMs: number): void {
    const code = status - SERIES_CODE_FIRST
    if (code >= 0 && code < SERIES_CODE_COUNT) this.#words[this.#at + SERIES_CODES + code]!++
    recordDuration(this.#words, this.#at + SERIES_REQUEST_DURATION, durationMs)
  }

  countConnect(durationMs: number): void {
    recordDuration(this.#words, this.#at + SERIES_CONNECT_DURATION, durationMs)
  }

  countResponse(durationMs: number): void {
    recordDuration(this.#words, this.#at + SERIES_RESPONSE_DURATION, durationMs)
  }
}
