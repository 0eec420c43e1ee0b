// Hot path: counts for every request.
import { type Columns, recordDuration } from '../shm/columns.js'
import {
  SERIES_CODE_COUNT,
  SERIES_CODE_FIRST,
  SERIES_CODES,
  SERIES_CONNECT_DURATION,
  SERIES_REQUEST_DURATION,
  SERIES_RESPONSE_DURATION,
} from '../shm/layout.js'
import type { ListenerSettings } from './listener-settings.js'
import { RequestHash } from './request-hash.js'
import type { TargetGroup } from './target-group.js'

/**
 * What a request, stream or TCP connection goes by, from its head to its log line: how its listener serves, the group that
 * answers, and the series that it counts in. Whoever begins takes the listener's route of that moment and keeps it until
 * the end, whatever the configuration becomes meanwhile. Made once per listener and version of the configuration.
 */
export class Route {
  readonly settings: ListenerSettings
  readonly group: TargetGroup
  readonly hash: RequestHash
  readonly #words: Float64Array
  /** First word of the series in the thread's column. */
  readonly #at: number

  constructor(
    settings: ListenerSettings,
    group: TargetGroup,
    place: { readonly columns: Columns; readonly column: number; readonly series: number },
  ) {
    this.settings = settings
    this.group = group
    this.hash = new RequestHash(group.config.hashOn)
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
