import { ADMIN_ACTIVE, ADMIN_DRAINING, CHECK_HEALTHY, CHECK_UNCHECKED } from '../core/target-state.js'
import type { TargetTable } from '../shm/targets.js'

/** The one place that says whether a target may get new traffic. `nowMs` is epoch time. */
export function isAvailable(table: TargetTable, slot: number, nowMs: number): boolean {
  return table.admin(slot) === ADMIN_ACTIVE && isWell(table, slot, nowMs)
}

/** Whether clients that are bound to the target may still come: as long as it is well, and draining has time left. */
export function keepsClients(table: TargetTable, slot: number, nowMs: number): boolean {
  const admin = table.admin(slot)
  const serves = admin === ADMIN_ACTIVE || (admin === ADMIN_DRAINING && nowMs < table.drainUntilMs(slot))
  return serves && isWell(table, slot, nowMs)
}

/** Whether neither checks nor traffic speak against it, whatever the operator wants of it. */
export function isWell(table: TargetTable, slot: number, nowMs: number): boolean {
  const check = table.check(slot)
  return (check === CHECK_HEALTHY || check === CHECK_UNCHECKED) && !isEjected(table, slot, nowMs)
}

export function isEjected(table: TargetTable, slot: number, nowMs: number): boolean {
  return table.ejectedUntilMs(slot) > nowMs
}
