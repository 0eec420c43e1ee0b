/** Gathers a repeatable option into a list, in the order given. */
export function collectSet(value: string, before: readonly string[] = []): string[] {
  return [...before, value]
}
