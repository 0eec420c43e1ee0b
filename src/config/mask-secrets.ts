import { isFields } from './tree.js'

/** What stands in place of a secret. */
export const MASK = '********'

/** Keys whose values are secrets, wherever they stand. */
const SECRET_KEYS: ReadonlySet<string> = new Set(['token', 'secret', 'password', 'sentinelPassword'])

const PASSWORD_IN_URL = /^([a-z][a-z0-9+.-]*:\/\/[^/@:]*:)[^/@]+@/i

export function isSecretKey(key: string): boolean {
  return SECRET_KEYS.has(key)
}

/** Of plug-ins: which of theirs are secrets only they know, so that all text and numbers are. */
export const OPTIONS_KEY = 'options'

/** A copy without secrets: empty ones stay empty, so that their absence shows. `key` is where the value stands. */
export function maskSecrets(value: unknown, key = ''): unknown {
  if (key === OPTIONS_KEY) return maskAll(value)
  if (Array.isArray(value)) return value.map((item) => maskSecrets(item, key))
  if (isFields(value)) {
    return Object.fromEntries(Object.entries(value).map(([inner, item]) => [inner, maskSecrets(item, inner)]))
  }
  if (isSecretKey(key)) return value === '' || value === undefined || value === null ? value : MASK
  return typeof value === 'string' ? value.replace(PASSWORD_IN_URL, `$1${MASK}@`) : value
}

function maskAll(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(maskAll)
  if (isFields(value)) return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, maskAll(item)]))
  return typeof value === 'string' || typeof value === 'number' ? (value === '' ? value : MASK) : value
}
