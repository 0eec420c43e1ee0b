import { ADMIN_ACTIVE, ADMIN_DRAINING, CHECK_HEALTHY, CHECK_UNCHECKED } from '../core/target-state.js'
import type { TargetTable } from '../shm/targets.js'

/**
 * The one place that says whether a target may get new traffic. `nowMs` is epoch time; `ignoreEjections` as the group
 * has found it, which has too few targets left.
 */
export function isAvailable(table: TargetTable, slot: number, nowMs: number, ignoreEjections: boolean): boolean {
  return table.admin(slot) === ADMIN_ACTIVE && isWell(table, slot, nowMs, ignoreEjections)
}

/** Whether clients that are bound to the target may still come: as long as it is well, and draining has time left. */
export function keepsClients(table: TargetTable, slot: number, nowMs: number, ignoreEjections: boolean): boolean {
  const admin = table.admin(slot)
  const serves = admin === ADMIN_ACTIVE || (admin === ADMIN_DRAINING && nowMs < table.drainUntilMs(slot))
  return serves && isWell(table, slot, nowMs, ignoreEjections)
}

/** Whether neither checks nor traffic speak against it, whatever the operator wants of it. */
export function isWell(table: TargetTable, slot: number, nowMs: number, ignoreEjections: boolean): boolean {
  return isPassing(table, slot) && (ignoreEjections || !isEjected(table, slot, nowMs))
}

/** Whether the operator wants the target to take its share of new traffic. */
export function isWanted(table: TargetTable, slot: number): boolean {
  return table.admin(slot) === ADMIN_ACTIVE && table.weight(slot) > 0
}

/** Whether checks have nothing against it. */
export function isPassing(table: Pick<TargetTable, 'check'>, slot: number): boolean {
  const check = table.check(slot)
  return check === CHECK_HEALTHY || check === CHECK_UNCHECKED
}

export function isEjected(table: TargetTable, slot: number, nowMs: number): boolean {
  return table.ejectedUntilMs(slot) > nowMs
}
