import type { LogDestination } from '../observe/log.js'

/**
 * Log lines of a start that may still fail. On a terminal they would stand as JSON around the one thing that somebody
 * has to read, so they wait until the start has come about or not.
 */
export class HeldLog implements LogDestination {
  readonly #to: LogDestination
  #held: string[] | undefined = []

  constructor(to: LogDestination) {
    this.#to = to
  }

  write(line: string): void {
    if (this.#held === undefined) this.#to.write(line)
    else this.#held.push(line)
  }

  flushSync(): void {
    this.#to.flushSync()
  }

  close(withinMs?: number): Promise<boolean> {
    return this.#to.close(withinMs)
  }

  /** The start has come about: everything is written, and from here on at once. */
  release(): void {
    const held = this.#held ?? []
    this.#held = undefined
    for (const line of held) this.#to.write(line)
  }

  /** The start has failed: what of it was a warning or worse, as text. */
  warnings(): string[] {
    return (this.#held ?? []).flatMap((line) => {
      const { level, msg, problem } = JSON.parse(line) as { level: string; msg: string; problem?: string }
      return level === 'info' || level === 'debug' ? [] : [`${level === 'warn' ? 'warning' : level}: ${problem ?? msg}`]
    })
  }
}
