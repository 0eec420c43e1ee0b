import type { OutlierConfig } from '../core/config.js'
import type { Outcomes } from './failure-window.js'

/** How long a target stays out: `baseMs` the first time, so much longer with each ejection in a row, ten times at most. */
export function ejectionMs(baseMs: number, ejectionsBefore: number): number {
  return baseMs * Math.min(ejectionsBefore + 1, 10)
}

/**
 * Whether one more may be ejected of `usable` targets, which checks and operator would have take traffic, `ejected` ones
 * among them: never the last that takes any, and never more than `maxEjectedPercent`, but of two or more always one.
 */
export function mayEject(usable: number, ejected: number, maxEjectedPercent: number): boolean {
  if (usable - ejected < 2 || maxEjectedPercent === 0) return false
  return ejected + 1 <= mostEjected(usable, maxEjectedPercent)
}

/** Whether so many ejections are too many, after several threads may have ejected at once. */
export function areTooMany(usable: number, ejected: number, maxEjectedPercent: number): boolean {
  return ejected >= usable || ejected > mostEjected(usable, maxEjectedPercent)
}

function mostEjected(usable: number, maxEjectedPercent: number): number {
  return Math.max(1, Math.floor((usable * maxEjectedPercent) / 100))
}

/** Whether ejections are to be ignored: too few of the targets that the operator wants to have take traffic do. */
export function isPanic(wanted: number, available: number, panicPercent: number): boolean {
  return available === 0 || available * 100 < wanted * panicPercent
}

type Share = Pick<OutlierConfig, 'failurePercent' | 'minRequests'>

/** Whether the share of failures is what a target is ejected for, whoever has met them. */
export function isFailing({ good, bad }: Outcomes, { failurePercent, minRequests }: Share): boolean {
  const requests = good + bad
  return requests >= minRequests && bad * 100 >= requests * failurePercent
}

/**
 * Whether that holds without any single source: it may have provoked all the failures it met, and no good outcome is
 * taken to be its own. What is left need be half as many requests, because the others must be heard, not outvote it.
 */
export function isFailingForOthers({ good, bad, heaviest }: Outcomes, share: Share): boolean {
  const others = { good, bad: bad - heaviest, heaviest: 0 }
  return isFailing(others, { ...share, minRequests: Math.ceil(share.minRequests / 2) })
}

/** Whether the other targets of the group do better: what fails everywhere is not one target's fault. */
export function doOthersBetter(others: readonly Outcomes[], { failurePercent }: Share): boolean {
  const good = others.reduce((sum, outcomes) => sum + outcomes.good, 0)
  const bad = others.reduce((sum, outcomes) => sum + outcomes.bad, 0)
  return good > 0 && bad * 100 < (good + bad) * failurePercent
}
