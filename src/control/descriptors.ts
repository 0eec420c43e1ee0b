import { readFileSync } from 'node:fs'
import { CastorError } from '../core/errors.js'
import type { Logger } from '../observe/log.js'

/** Descriptors for the process itself: libraries, logs, the admin server, threads. */
const RESERVED = 96
const RESERVED_PER_WORKER = 16
/** Of the open-file limit, what health checks may use at once. */
const CHECKS_SHARE = 1 / 16
const LEAST_CHECKS = 16
const MOST_CHECKS = 1_024
/** A client connection needs one descriptor, and one more for its target's. */
const CLIENT_SHARE = 1 / 2
/** What clients get at most where the configuration wants more for them: most of theirs may wait for few of targets. */
const MOST_CLIENT_SHARE = 3 / 4
const LEAST_SOCKETS = 16

/** The least of which a worker can be made at all. */
const LEAST_PER_WORKER = 8

/** Throws OUT_OF_DESCRIPTORS where threads could not even load their code, or not serve a handful of connections. */
export function refuseTooFew(fileLimit: number | undefined, workers: number): void {
  const least = RESERVED + workers * LEAST_PER_WORKER + LEAST_SOCKETS
  if (fileLimit === undefined || fileLimit >= least) return
  const plural = workers === 1 ? '' : 's'
  throw new CastorError(
    'OUT_OF_DESCRIPTORS',
    `this process may open ${fileLimit} files; with ${workers} worker${plural} it needs ${least} at least`,
  )
}

/** How the open-file limit is divided, so that no use of descriptors takes those of another. */
export interface DescriptorPlan {
  /** Client connections at once. */
  readonly clients: number
  /** Connections to targets at once, idle ones included. */
  readonly targets: number
  /** Health checks at once. */
  readonly checks: number
}

/** `wanted` is `protection.maxConnections`; clients get less where that would leave too few for their targets. */
export function planDescriptors(
  fileLimit: number | undefined,
  workers: number,
  wanted: number | 'auto',
): DescriptorPlan {
  if (fileLimit === undefined) {
    const clients = wanted === 'auto' ? Number.POSITIVE_INFINITY : wanted
    return { clients, targets: Number.POSITIVE_INFINITY, checks: MOST_CHECKS }
  }
  const checks = Math.min(MOST_CHECKS, Math.max(LEAST_CHECKS, Math.floor(fileLimit * CHECKS_SHARE)))
  const usable = fileLimit - RESERVED - workers * RESERVED_PER_WORKER - checks
  const share = (part: number): number => Math.max(LEAST_SOCKETS, Math.floor(usable * part))
  const clients = wanted === 'auto' ? share(CLIENT_SHARE) : Math.min(wanted, share(MOST_CLIENT_SHARE))
  return { clients, targets: Math.max(LEAST_SOCKETS, usable - clients), checks }
}

/** Says so where clients get less than was wanted for them. */
export function tellOfCut({ clients }: DescriptorPlan, wanted: number | 'auto', log: Logger): void {
  if (wanted === 'auto' || clients >= wanted) return
  const fields = { maxConnections: wanted, inForce: clients }
  log.warn(fields, 'the open-file limit is too low for protection.maxConnections')
}

/** The soft open-file limit, or undefined where the system does not tell. */
export function openFileLimit(limits = readLimits()): number | undefined {
  const found = /^Max open files\s+(\d+)/m.exec(limits)
  return found === null ? undefined : Number(found[1])
}

function readLimits(): string {
  try {
    return readFileSync('/proc/self/limits', 'utf8')
  } catch {
    return ''
  }
}
