import type { OperatorEntry } from './mesh.js'
import { ADMIN_STATES } from './target-state.js'
import { MAX_TICKET_KEYS, TICKET_KEY_BYTES } from './tls.js'

const MAX_WEIGHT = 100
/** The last moment that a Date can hold, in milliseconds since the epoch. */
const MAX_TIME_MS = 8.64e15

const NAME = /^[A-Za-z0-9_.-]{1,64}$/
/** A name, or an address as it was written: a host name of up to 253 characters, brackets, a zone, a port. */
const TARGET_ID = /^[A-Za-z0-9_.:%[\]-]{1,300}$/
/** Printable ASCII: what another host says of itself is shown on terminals. */
const LABEL = /^[\x20-\x7e]{1,64}$/

/** Names of groups and nodes. */
export function isName(value: unknown): value is string {
  return typeof value === 'string' && NAME.test(value)
}

export function isTargetId(value: unknown): value is string {
  return typeof value === 'string' && TARGET_ID.test(value)
}

export function isLabel(value: unknown): value is string {
  return typeof value === 'string' && LABEL.test(value)
}

/** A moment in milliseconds since the epoch; 0 stands for none. */
export function isTimeMs(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= MAX_TIME_MS
}

/** −1 = what the configuration says. */
export function isWeight(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= -1 && (value as number) <= MAX_WEIGHT
}

/** Whole keys, one behind the other, and no more of them than a process can hold. */
export function areTicketKeys({ length }: Uint8Array): boolean {
  return length > 0 && length % TICKET_KEY_BYTES === 0 && length <= MAX_TICKET_KEYS * TICKET_KEY_BYTES
}

/** Whether an operator's wish can be carried out, wherever it comes from. */
export function isOperatorEntry(entry: OperatorEntry): boolean {
  const { group, target, state, weight, drainUntilMs } = entry
  return (
    isName(group) && isTargetId(target) && ADMIN_STATES.includes(state) && isWeight(weight) && isTimeMs(drainUntilMs)
  )
}
