/** Faults in the heads of targets' responses that a group may let pass, as `tolerate` names them. */
export const TOLERANCES = ['bare-lf', 'short-status-line'] as const
export type ToleranceName = (typeof TOLERANCES)[number]

/** Lines that end with LF alone. */
export const TOLERATE_BARE_LF = 1
/** A status line that ends behind the code, without the space that RFC 9112 4 asks for. */
export const TOLERATE_SHORT_STATUS_LINE = 2

const BITS: Readonly<Record<ToleranceName, number>> = {
  'bare-lf': TOLERATE_BARE_LF,
  'short-status-line': TOLERATE_SHORT_STATUS_LINE,
}

/** The faults as a set of bits. */
export function toleranceMask(names: readonly ToleranceName[]): number {
  return names.reduce((mask, name) => mask | BITS[name], 0)
}

export function tolerancesOf(mask: number): ToleranceName[] {
  return TOLERANCES.filter((name) => (mask & BITS[name]) !== 0)
}
