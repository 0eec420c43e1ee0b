import type { Side } from '../config/schema-header-edits.js'
import type { CaddyLine } from './caddy-reader.js'
import type { Edits } from './edits.js'
import { Untranslatable } from './findings.js'

/** `header`, `request_header`, `header_up`, `header_down`, `uri` and `rewrite` of Caddy. */

const PLACEHOLDERS: Readonly<Record<string, string>> = {
  remote_host: '${client_ip}',
  client_ip: '${client_ip}',
  'http.request.remote.host': '${client_ip}',
  remote_port: '${client_port}',
  host: '${host}',
  'http.request.host': '${host}',
  scheme: '${scheme}',
  method: '${method}',
  path: '${path}',
  query: '${query}',
  tls_version: '${tls_version}',
}

function withVariables(text: string): string {
  if (text.includes('${')) throw new Untranslatable('its value has "${", which begins a variable in Castor')
  return text.replace(/\{([^}]*)\}/g, (whole, name: string) => {
    const [, kind, field] = /^(?:http\.request\.)?(header|cookie|query)\.(.+)$/.exec(name) ?? []
    const known = kind === undefined ? PLACEHOLDERS[name] : `\${${kind}.${field}}`
    if (known === undefined) throw new Untranslatable(`Castor’s rules have nothing for ${whole}`)
    return known
  })
}

/** @throws Untranslatable */
export function caddyEdit({ words, block }: CaddyLine, edits: Edits): Edits {
  const [name = '', ...rest] = words
  if (rest[0]?.startsWith('@') || rest[0]?.startsWith('/')) {
    const isPath = name === 'rewrite' && rest.length === 1
    if (!isPath) throw new Untranslatable('it has a matcher; what Castor changes stands with the rule that forwards')
  }
  const args = rest[0] === '*' && rest.length > 1 ? rest.slice(1) : rest
  switch (name) {
    case 'uri': {
      const [how, from = ''] = args
      if (how !== 'strip_prefix') throw new Untranslatable(`Castor’s rewrites have nothing for uri ${how}`)
      return edits.prefix({ from: from.startsWith('/') ? from : `/${from}`, to: '' })
    }
    case 'rewrite':
      return rewritten(args[0] ?? '', edits)
    default: {
      const side: Side = name === 'header' || name === 'header_down' ? 'response' : 'request'
      const lines = block === undefined || block.length === 0 ? [args] : block.map((each) => each.words)
      return lines.reduce((made, line) => headerEdit(side, line, made), edits)
    }
  }
}

function rewritten(to: string, edits: Edits): Edits {
  const uri = withVariables(to.replace('{uri}', '{path}?{query}'))
  const end = uri.indexOf('?')
  const path = end < 0 ? uri : uri.slice(0, end)
  const query = end < 0 ? undefined : uri.slice(end + 1)
  const made = path === '' || path === '${path}' ? edits : edits.rewrite('path', path)
  return query === undefined || query === '${query}' ? made : made.rewrite('query', query)
}

function headerEdit(side: Side, [field = '', value, more]: readonly string[], edits: Edits): Edits {
  if (more !== undefined) throw new Untranslatable('Castor replaces no part of a value')
  const name = field.replace(/^[-+?>]/, '')
  if (field.startsWith('?')) throw new Untranslatable('Castor sets a field whether it is there or not')
  if (field.endsWith('*')) throw new Untranslatable('Castor’s rules remove fields by their whole name')
  if (field.startsWith('-') || value === undefined) return edits.remove(side, name)
  if (/^host$/i.test(name) && side === 'request') {
    if (value === '{host}' || value === '{http.request.host}') return edits
    if (value.includes('{')) throw new Untranslatable('Castor knows no target’s name when it writes Host')
    return edits.rewrite('host', value)
  }
  return field.startsWith('+')
    ? edits.add(side, name, withVariables(value))
    : edits.set(side, name, withVariables(value))
}
