import { readFileSync } from 'node:fs'
import type { Listening } from '../core/acceptor.js'
import type { Logger } from '../observe/log.js'

/** Descriptors for the process itself: libraries, logs, the admin server, threads. */
const RESERVED = 96
const RESERVED_PER_WORKER = 16
/** A client connection needs one descriptor, and one more for its target's. */
const DESCRIPTORS_PER_CONNECTION = 2
const LOOK_MS = 20
const WARN_EVERY_MS = 10_000
/** Accepting begins again a little below the limit, so that it does not flutter. */
const RESUME_SHARE = 0.98

/** The soft open-file limit, or undefined where the system does not tell. */
export function openFileLimit(limits = readLimits()): number | undefined {
  const found = /^Max open files\s+(\d+)/m.exec(limits)
  return found === null ? undefined : Number(found[1])
}

/** Client connections at once that the open-file limit allows. */
export function connectionsFor(fileLimit: number | undefined, workers: number): number {
  if (fileLimit === undefined) return Number.POSITIVE_INFINITY
  const usable = fileLimit - RESERVED - workers * RESERVED_PER_WORKER
  return Math.max(16, Math.floor(usable / DESCRIPTORS_PER_CONNECTION))
}

/** Stops accepting while the limit is reached: who comes then waits in the kernel's queue and is served when there is room. */
export class ConnectionLimit {
  readonly max: number
  readonly #open: () => number
  readonly #listenings: readonly Listening[]
  readonly #log: Logger
  #look: NodeJS.Timeout | undefined
  #warnedMs = Number.NEGATIVE_INFINITY

  constructor(max: number, open: () => number, listenings: readonly Listening[], log: Logger) {
    this.max = max
    this.#open = open
    this.#listenings = listenings
    this.#log = log
  }

  /** To be called after connections were placed. */
  check(): void {
    if (this.#look !== undefined || this.#open() < this.max) return
    for (const listening of this.#listenings) listening.pause()
    this.#warn()
    this.#look = setInterval(() => {
      if (this.#open() >= this.max * RESUME_SHARE) return
      this.stop()
      for (const listening of this.#listenings) listening.resume()
    }, LOOK_MS)
  }

  stop(): void {
    clearInterval(this.#look)
    this.#look = undefined
  }

  #warn(): void {
    if (performance.now() - this.#warnedMs < WARN_EVERY_MS) return
    this.#warnedMs = performance.now()
    this.#log.warn(
      { maxConnections: this.max },
      'the connection limit is reached: new clients wait; raise protection.maxConnections or the open-file limit',
    )
  }
}

function readLimits(): string {
  try {
    return readFileSync('/proc/self/limits', 'utf8')
  } catch {
    return ''
  }
}
