// Hot path: asked for each request of a rule with a mirror.
import type { MirrorConfig } from '../core/config-rules.js'
import { type Columns, recordDuration } from '../shm/columns.js'
import { SERIES_CONNECT_DURATION, SERIES_MIRRORED } from '../shm/layout.js'
import type { TargetGroup } from './target-group.js'

/** What became of a copy, as an index of MIRROR_RESULTS. The target has answered. */
export const MIRROR_SENT = 0
/** It was not sent: too large, an upgrade, cut short by its client, or there was no room for it. */
export const MIRROR_DROPPED = 1
/** No target gave an answer. */
export const MIRROR_FAILED = 2
export type MirrorResult = typeof MIRROR_SENT | typeof MIRROR_DROPPED | typeof MIRROR_FAILED

/** Where copies of a rule's requests go, and where they are counted. Made once per rule and version of the configuration. */
export class MirrorRoute {
  readonly group: TargetGroup
  readonly maxBodyBytes: number
  readonly #percent: number
  /** In hundredths of a copy. */
  #owed = 0
  readonly #words: Float64Array
  readonly #at: number

  constructor(
    { percent, maxBodyBytes }: MirrorConfig,
    group: TargetGroup,
    place: { readonly columns: Columns; readonly column: number; readonly series: number },
  ) {
    this.group = group
    this.maxBodyBytes = maxBodyBytes
    this.#percent = percent
    const series = place.columns.series(place.series)
    this.#words = series.words
    this.#at = series.at(place.column)
  }

  /** Whether one more request is among those that are copied: evenly spread. */
  isNext(): boolean {
    this.#owed += this.#percent
    if (this.#owed < 100) return false
    this.#owed -= 100
    return true
  }

  count(result: MirrorResult): void {
    this.#words[this.#at + SERIES_MIRRORED + result]!++
  }

  countConnect(durationMs: number): void {
    recordDuration(this.#words, this.#at + SERIES_CONNECT_DURATION, durationMs)
  }
}
