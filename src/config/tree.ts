import type { Path } from './problems.js'

/** The configuration as read, before the schema has had its say: what is of the wrong type is passed over. */
export type Fields = Readonly<Record<string, unknown>>

/** A map in a list, and where it stands. */
export interface Entry {
  readonly path: Path
  readonly fields: Fields
}

export type Report = (path: Path, message: string, at?: 'key' | 'value') => void

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The maps of the list at `key`. */
export function entries(fields: Fields, key: string, above: Path = []): Entry[] {
  const list = fields[key]
  if (!Array.isArray(list)) return []
  return list.flatMap((item, index) => (isFields(item) ? [{ path: [...above, key, index], fields: item }] : []))
}

export function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

/** A flag as the file may write it; undefined where it is none. */
export function flagOf(value: unknown): boolean | undefined {
  if (value === true || value === 'on') return true
  return value === false || value === 'off' ? false : undefined
}
