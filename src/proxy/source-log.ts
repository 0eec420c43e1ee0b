import type { Logger } from 'pino'
import type { Clock } from '../core/clock.js'
import { LineBudget } from './line-budget.js'

/** Says of sources that are refused which key to raise: a few a second at most, and the same source seldom (`toTell`). */
export class SourceLog {
  readonly #log: Logger
  readonly #budget: LineBudget

  constructor(log: Logger, clock: Clock) {
    this.#log = log
    this.#budget = new LineBudget(clock)
  }

  refused(source: string, listener: string, key: string, limit: number): void {
    if (!this.#budget.take()) return
    this.#log.warn(
      { source, listener, limit: `protection.${key}`, value: limit, ...this.#budget.omitted() },
      'a source is over a limit and is refused; raise the limit, or add the source to protection.allow',
    )
  }
}
