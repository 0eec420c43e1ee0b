import type { Source } from './translate.js'

/** Which program a configuration is of, by what its lines begin with; undefined where nothing tells. */
export function detectSource(text: string): Source | undefined {
  if (/^(global|defaults|frontend|backend|listen)\b[^{;]*$/m.test(text)) return 'haproxy'
  return undefined
}
