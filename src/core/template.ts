/** What a template may refer to of a request. */
export const VARIABLES = [
  'host',
  'port',
  'path',
  'query',
  'method',
  'scheme',
  'client_ip',
  'client_port',
  'request_id',
  'listener',
  'rule',
  'target_group',
  'target',
  'tls_version',
  'tls_server_name',
] as const

/** Those that have a name behind a dot, such as `header.accept`. */
export const NAMED_VARIABLES = ['header', 'cookie', 'query'] as const

export type Variable =
  | { readonly of: (typeof VARIABLES)[number] }
  | { readonly of: `${(typeof NAMED_VARIABLES)[number]}.`; readonly name: string }
  /** Of the groups that the rule's expression has captured; 0 = all that it found. */
  | { readonly of: 'capture'; readonly group: number }

/** A part of a template: text that is written as it is, or something of the request. */
export type TemplatePart = string | Variable

const REFERENCE = /\$\{([^{}]*)\}/g
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const MAX_CAPTURE = 99

/** Splits `text ${host} text` into its parts. What is between braces and names nothing is thrown as a RangeError that says so. */
export function parseTemplate(template: string): readonly TemplatePart[] {
  const parts: TemplatePart[] = []
  let done = 0
  for (const found of template.matchAll(REFERENCE)) {
    if (found.index > done) parts.push(template.slice(done, found.index))
    parts.push(parseVariable(found[1]!))
    done = found.index + found[0].length
  }
  if (done < template.length) parts.push(template.slice(done))
  return parts
}

function parseVariable(written: string): Variable {
  const plain = VARIABLES.find((name) => name === written)
  if (plain !== undefined) return { of: plain }
  if (/^\d{1,2}$/.test(written) && Number(written) <= MAX_CAPTURE) return { of: 'capture', group: Number(written) }
  const dot = written.indexOf('.')
  const kind = NAMED_VARIABLES.find((name) => name === written.slice(0, Math.max(0, dot)))
  const name = written.slice(dot + 1)
  if (kind !== undefined && TOKEN.test(name)) {
    return { of: `${kind}.`, name: kind === 'header' ? name.toLowerCase() : name }
  }
  const known = [...VARIABLES, ...NAMED_VARIABLES.map((each) => `${each}.NAME`)]
  throw new RangeError(`\${${written}} is nothing of a request; there are ${known.join(', ')}`)
}

/** The variables that a template has. */
export function variablesOf(parts: readonly TemplatePart[]): readonly Variable[] {
  return parts.filter((part) => typeof part !== 'string')
}
