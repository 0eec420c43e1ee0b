import { isDeepStrictEqual } from 'node:util'
import type { ConfigDiff, ValueChange } from './diff.js'
import { MASK } from './mask-secrets.js'
import { isFields } from './tree.js'

/** A difference as a person reads it: `+` comes, `-` goes, `~` changes, `!` needs a restart; a line for each value. */
export function formatDiff({ settings, listeners, targetGroups, targets, restart }: ConfigDiff): string[] {
  const lines: string[] = []
  for (const change of restart) lines.push(`! ${formatChange(change)} (needs a restart)`)
  for (const change of settings) lines.push(`~ ${formatChange(change)}`)
  for (const [what, { added, removed, changed }] of [
    ['listener', listeners],
    ['target group', targetGroups],
  ] as const) {
    for (const name of added) lines.push(`+ ${what} ${name}`)
    for (const name of removed) lines.push(`- ${what} ${name}`)
    for (const { name, values } of changed)
      lines.push(...values.map((value) => `~ ${what} ${name}: ${formatChange(value)}`))
  }
  for (const { targetGroup, id, address, weight } of targets.added) {
    lines.push(`+ target ${id} of ${targetGroup}${id === address ? '' : ` at ${address}`}, weight ${weight}`)
  }
  for (const { targetGroup, id } of targets.removed) lines.push(`- target ${id} of ${targetGroup}`)
  for (const { targetGroup, id, values } of targets.changed) {
    lines.push(...values.map((value) => `~ target ${id} of ${targetGroup}: ${formatChange(value)}`))
  }
  return lines
}

/** `idleTimeout: 60s → 30s`. */
export function formatChange({ path, from, to }: ValueChange): string {
  if (isDeepStrictEqual(from, to)) return `${path}: ${formatValue(from)} (another one)`
  return `${path}: ${formatValue(from)} → ${formatValue(to)}`
}

/** In YAML’s own short form; a text is shown bare. */
function formatValue(value: unknown): string {
  if (value === null || value === undefined) return '(not set)'
  if (value === '') return '""'
  if (value === MASK) return MASK
  if (Array.isArray(value)) return `[${value.map(formatValue).join(', ')}]`
  if (isFields(value)) {
    const entries = Object.entries(value).map(([key, item]) => `${key}: ${formatValue(item)}`)
    return `{ ${entries.join(', ')} }`
  }
  return String(value)
}
