import type { Side } from '../config/schema-header-edits.js'
import { Edits } from './edits.js'
import { type Findings, Untranslatable } from './findings.js'
import type { HaproxyLine } from './haproxy-reader.js'

/** `http-request` and `http-response` lines that change a request or its answer. */

const KINDS = new Set(['set-header', 'add-header', 'del-header', 'set-path', 'set-query', 'replace-path'])

export const isEdit = ({ words }: HaproxyLine): boolean =>
  words[0] === 'http-response' || (words[0] === 'http-request' && KINDS.has(words[1] ?? ''))

/** What the lines of a frontend, and then of a backend, do together. What they cannot is said. */
export function haproxyEdits(sections: readonly (readonly HaproxyLine[])[], findings: Findings): Edits {
  let edits = new Edits()
  for (const lines of sections) {
    for (const [at, line] of lines.entries()) {
      if (!isEdit(line)) continue
      const made = findings.attempt(line.line, line.text, () => {
        if (PATHS.has(line.words[1] ?? '') && lines.slice(at + 1).some(asks))
          throw new Untranslatable('rules behind it would be asked about the path that it makes')
        return edit(line, edits)
      })
      edits = made ?? edits
    }
  }
  return edits
}

const PATHS = new Set(['set-path', 'set-query', 'replace-path'])
const asks = ({ words }: HaproxyLine): boolean =>
  /^(http-request|redirect|use_backend)$/.test(words[0] ?? '') && (words.includes('if') || words.includes('unless'))

function edit({ words }: HaproxyLine, edits: Edits): Edits {
  const [, kind = '', first = '', second] = words
  if (words.includes('if') || words.includes('unless')) {
    throw new Untranslatable('it has a condition; what Castor changes stands with the rule that forwards')
  }
  const side: Side = words[0] === 'http-request' ? 'request' : 'response'
  switch (kind) {
    case 'set-header':
      if (side === 'request' && /^host$/i.test(first)) return edits.rewrite('host', formatted(second ?? ''))
      return edits.set(side, first, formatted(second ?? ''))
    case 'add-header':
      return edits.add(side, first, formatted(second ?? ''))
    case 'del-header':
      if (words.length > 3) throw new Untranslatable('Castor’s rules remove fields by their whole name')
      return edits.remove(side, first)
    case 'set-path':
      return edits.rewrite('path', formatted(first))
    case 'set-query':
      return edits.rewrite('query', formatted(first))
    case 'replace-path':
      return replaced(first, second ?? '', edits)
    default:
      throw new Untranslatable(`Castor’s rules have nothing for ${words[0]} ${kind}`)
  }
}

/** `^/old/(.*)` with `/new/\\1`, and the like: a beginning that is replaced. */
function replaced(expression: string, replacement: string, edits: Edits): Edits {
  const [, to] = /^((?:\/[A-Za-z0-9_.~-]+)*\/?)\\1$/.exec(replacement) ?? []
  const [, from, within] = /^\^?((?:\/[A-Za-z0-9_~-]+)*)(\/\(\.\*\)|\(\/\.\*\)|\(\.\*\))\$?$/.exec(expression) ?? []
  if (from === undefined || to === undefined) {
    throw new Untranslatable('Castor’s rewrites replace the beginning of a path, or all of it')
  }
  if (within === '(.*)') {
    if (from !== '') throw new Untranslatable('it would cut a segment in two')
    return edits.rewrite('path', `${to.replace(/\/$/, '')}\${path}`)
  }
  return edits.prefix({ from: `${from}/`, to: within === '(/.*)' ? `${to}/` : to || '/' })
}

const SAMPLES: Readonly<Record<string, string>> = {
  src: '${client_ip}',
  src_port: '${client_port}',
  path: '${path}',
  query: '${query}',
  method: '${method}',
  ssl_fc_sni: '${tls_server_name}',
  ssl_fc_protocol: '${tls_version}',
  'req.hdr(host)': '${host}',
  'hdr(host)': '${host}',
}

function formatted(text: string): string {
  if (text.includes('${')) throw new Untranslatable('its value has "${", which begins a variable in Castor')
  const known = text.replace(/%\[([^\]]*)\]/g, (whole, sample: string) => {
    const [, kind, name] = /^(?:req\.)?(hdr|fhdr|cook|url_param)\(([\w-]+)\)$/.exec(sample) ?? []
    const named = { hdr: 'header', fhdr: 'header', cook: 'cookie', url_param: 'query' }[kind ?? '']
    const found = SAMPLES[sample.toLowerCase()] ?? (named === undefined ? undefined : `\${${named}.${name}}`)
    if (found === undefined) throw new Untranslatable(`Castor’s rules have nothing for ${whole}`)
    return found
  })
  const plain = known.replace(/%ci/g, '${client_ip}').replace(/%cp/g, '${client_port}')
  const [odd] = /%(?![0-9A-Fa-f]{2}|%)\S*/.exec(plain) ?? []
  if (odd !== undefined) throw new Untranslatable(`Castor’s rules have nothing for ${odd}`)
  return plain.replace(/%%/g, '%')
}
