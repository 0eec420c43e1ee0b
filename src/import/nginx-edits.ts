import { Edits } from './edits.js'
import { type Findings, Untranslatable } from './findings.js'
import type { NginxDirective } from './nginx-reader.js'

/** `proxy_set_header`, `add_header` and `proxy_hide_header`, which a block inherits only where it has none of the kind itself. */

/** Fields that Castor sends by itself; what they are told otherwise is said where they stand. */
const OWN = /^(connection|upgrade|x-forwarded-(for|proto|host|port))$/i

const VARIABLES: Readonly<Record<string, string>> = {
  remote_addr: '${client_ip}',
  remote_port: '${client_port}',
  host: '${host}',
  scheme: '${scheme}',
  request_method: '${method}',
  args: '${query}',
  query_string: '${query}',
  request_id: '${request_id}',
  ssl_server_name: '${tls_server_name}',
  ssl_protocol: '${tls_version}',
}

/** `levels` from the location outwards. */
export function nginxEdits(levels: readonly (readonly NginxDirective[])[], findings: Findings): Edits {
  let edits = new Edits()
  for (const kind of ['proxy_set_header', 'add_header', 'proxy_hide_header']) {
    const level = levels.find((each) => each.some(({ name }) => name === kind)) ?? []
    for (const each of level.filter(({ name }) => name === kind)) {
      const text = [each.name, ...each.args].join(' ')
      edits =
        findings.attempt(each.line, text, () => edit(each, edits, (why) => findings.note(each.line, text, why))) ??
        edits
    }
  }
  return edits
}

function edit({ name: kind, args }: NginxDirective, edits: Edits, tell: (why: string) => void): Edits {
  const [name = '', value = '', always] = args
  switch (kind) {
    case 'proxy_hide_header':
      return edits.remove('response', name)
    case 'add_header':
      if (value === '') return edits
      if (always !== 'always') tell('Castor adds it to answers of every status')
      return edits.add('response', name, withVariables(value))
    default:
      if (OWN.test(name)) return edits
      if (/^host$/i.test(name))
        return /^\$(host|http_host)$/.test(value) ? edits : edits.rewrite('host', withVariables(value))
      return edits.set('request', name, withVariables(value))
  }
}

function withVariables(text: string): string {
  if (text.includes('${')) throw new Untranslatable('its value has "${", which begins a variable in Castor')
  return text.replace(/\$(\w+)/g, (whole, variable: string) => {
    const [, kind, field = ''] = /^(http|cookie|arg)_(\w+)$/.exec(variable) ?? []
    if (kind === 'http') return `\${header.${field.replaceAll('_', '-')}}`
    if (kind !== undefined) return `\${${kind === 'arg' ? 'query' : 'cookie'}.${field}}`
    const known = VARIABLES[variable]
    if (known === undefined) throw new Untranslatable(`Castor’s rules have nothing for ${whole}`)
    return known
  })
}
