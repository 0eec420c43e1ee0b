/** The environment as `${NAME}` sees it. */
export type Environment = Readonly<Record<string, string | undefined>>

/** One `${…}` of the text. */
export interface Reference {
  /** Where it begins, in UTF-16 units. */
  readonly offset: number
  /** As written, with its dollar signs. */
  readonly raw: string
}

/** The text with each reference replaced by a stand-in of the same length, so that every position stays what it was. */
export interface Masked {
  readonly text: string
  readonly references: readonly Reference[]
}

// Private-use characters: plain letters to YAML, also where braces would mean a map, and in no real file.
const MARK = '\uE000'
const PAD = '\uF000'
const DIGIT_BASE = 0xe100
const DIGITS = 2_048
const STAND_IN = /\uE000([\uE100-\uE8FF])([\uE100-\uE8FF])\uF000*/g
const NAME_AND_DEFAULT = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/

/** Hides the references from the YAML parser, to which `{ token: ${TOKEN} }` would be a map in a map. */
export function mask(text: string): Masked {
  const references: Reference[] = []
  const parts: string[] = []
  let done = 0
  // Both are looked for only once per stretch of text: a line of nothing except "${" is read once, not once per "${".
  let brace = -1
  let newline = -1
  for (let open = text.indexOf('${'); open >= 0; open = text.indexOf('${', open)) {
    if (brace < open) brace = indexOrEnd(text, '}', open)
    if (newline < open) newline = indexOrEnd(text, '\n', open)
    if (brace > newline || brace === text.length) {
      open = Math.min(newline, text.length)
      continue
    }
    // A file with four million references runs out of stand-ins; the rest stay as they are, and YAML complains.
    const index = references.length
    if (index >= DIGITS * DIGITS) break
    const offset = open > done && text[open - 1] === '$' ? open - 1 : open
    const raw = text.slice(offset, brace + 1)
    references.push({ offset, raw })
    const digits = [Math.floor(index / DIGITS), index % DIGITS].map((digit) => String.fromCharCode(DIGIT_BASE + digit))
    parts.push(text.slice(done, offset), (MARK + digits.join('')).padEnd(raw.length, PAD))
    done = brace + 1
    open = done
  }
  parts.push(text.slice(done))
  return { text: parts.join(''), references }
}

function indexOrEnd(text: string, wanted: string, from: number): number {
  const found = text.indexOf(wanted, from)
  return found < 0 ? text.length : found
}

/** Puts back what `replace` makes of each reference. */
export function unmask(text: string, masked: Masked, replace: (reference: Reference) => string): string {
  if (!text.includes(MARK)) return text
  return text.replace(STAND_IN, (whole: string, high: string, low: string) => {
    const index = (high.charCodeAt(0) - DIGIT_BASE) * DIGITS + low.charCodeAt(0) - DIGIT_BASE
    const reference = masked.references[index]
    return reference === undefined ? whole : replace(reference)
  })
}

export const asWritten = (reference: Reference): string => reference.raw

/**
 * What a reference stands for. `${NAME}` must be set, `${NAME:-default}` takes the default when it is unset or empty,
 * `$${NAME}` is the text `${NAME}`.
 */
export function resolveReference(
  raw: string,
  environment: Environment,
): { readonly ok: true; readonly value: string } | { readonly ok: false; readonly problem: string } {
  if (raw.startsWith('$$')) return { ok: true, value: raw.slice(1) }
  const match = NAME_AND_DEFAULT.exec(raw.slice(2, -1))
  if (!match) {
    return {
      ok: false,
      problem: `${raw} is not a reference; write \${NAME} or \${NAME:-default}, or $\${ for the characters \${`,
    }
  }
  const name = match[1]!
  const fallback = match[2]
  if (fallback?.includes('${')) {
    return { ok: false, problem: `the default of ${name} holds another reference; a default is plain text` }
  }
  const value = environment[name]
  if (fallback !== undefined) return { ok: true, value: value === undefined || value === '' ? fallback : value }
  if (value !== undefined) return { ok: true, value }
  return {
    ok: false,
    problem: `the environment variable ${name} is not set; set it, name the service’s EnvironmentFile with --env-file, or write \${${name}:-default}`,
  }
}
