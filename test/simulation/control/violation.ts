/** Something that must hold over every course of events does not. */
export class Violation extends Error {}

export function insist(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Violation(what)
}
