import type { Entry, Report } from './tree.js'

export function unique(
  list: readonly Entry[],
  identity: (entry: Entry) => string | undefined,
  keyName: string | ((entry: Entry) => string),
  report: Report,
): void {
  const first = new Map<string, Entry>()
  for (const entry of list) {
    const value = identity(entry)
    if (value === undefined) continue
    const before = first.get(value)
    if (before === undefined) {
      first.set(value, entry)
      continue
    }
    const key = typeof keyName === 'string' ? keyName : keyName(entry)
    report([...entry.path, key], `"${value}" is already used by ${before.path.join('.')}; give each its own`)
  }
}
