import type { Side } from '../config/schema-header-edits.js'
import type { Edits } from './edits.js'
import { Untranslatable } from './findings.js'

/** Middlewares of Traefik that change a request or its answer. */

export const TRAEFIK_EDITS: readonly string[] = ['headers', 'stripPrefix', 'addPrefix', 'replacePath']

/** A value of a middleware: text, a list of texts, or texts by name. */
export type PlainOption = string | readonly string[] | ReadonlyMap<string, string>

const SIDES: Readonly<Record<string, Side>> = {
  customRequestHeaders: 'request',
  customResponseHeaders: 'response',
}

/** @throws Untranslatable */
export function traefikEdit(kind: string, options: ReadonlyMap<string, PlainOption>, edits: Edits): Edits {
  if (kind === 'headers') return headerEdits(options, edits)
  if (kind === 'stripPrefix') {
    const { prefixes = [] } = Object.fromEntries(options)
    if (typeof prefixes === 'string' || prefixes instanceof Map) throw new Untranslatable('prefixes is no list')
    return (prefixes as readonly string[]).reduce((made, from) => made.prefix({ from, to: '' }), edits)
  }
  const key = kind === 'addPrefix' ? 'prefix' : 'path'
  const text = options.get(key)
  if (typeof text !== 'string' || text.includes('$')) throw new Untranslatable(`its ${key} is no plain text`)
  return edits.rewrite('path', kind === 'addPrefix' ? `${text}\${path}` : text)
}

function headerEdits(options: ReadonlyMap<string, PlainOption>, edits: Edits): Edits {
  let made = edits
  for (const [key, value] of options) {
    const side = SIDES[key]
    if (side === undefined || !(value instanceof Map))
      throw new Untranslatable(`Castor’s rules have nothing for ${key}`)
    for (const [name, text] of value as ReadonlyMap<string, string>) {
      if (text.includes('${')) throw new Untranslatable('a value has "${", which begins a variable in Castor')
      if (/^host$/i.test(name) && side === 'request' && text !== '') made = made.rewrite('host', text)
      else made = made.set(side, name, text)
    }
  }
  return made
}
