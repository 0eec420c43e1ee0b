import type { CaddyLine } from './caddy-reader.js'
import type { DraftGroup, Fields, Names } from './draft.js'
import { type Findings, Untranslatable } from './findings.js'

/** What reverse_proxy names, as target groups. */
export class CaddyGroups {
  readonly groups: DraftGroup[] = []
  readonly #made = new Map<string, string>()
  readonly #names: Names
  readonly #findings: Findings

  constructor(names: Names, findings: Findings) {
    this.#names = names
    this.#findings = findings
  }

  /** The name of the group. @throws Untranslatable for addresses that no target can have */
  group(args: readonly string[], { line, block = [] }: CaddyLine): string {
    const urls = [...args, ...block.flatMap(({ words }) => (words[0] === 'to' ? words.slice(1) : []))]
    const targets = urls.map(targetOf)
    const [first] = targets
    if (first === undefined) throw new Untranslatable('it names no server')
    const options = this.#options(block)
    const protocol = options.tls === undefined ? first.protocol : 'https'
    const fields = { protocol, ...options, targets: targets.map(({ address }) => ({ address })) }
    const key = JSON.stringify(fields)
    const made = this.#made.get(key)
    if (made !== undefined) return made
    const name = this.#names.fresh(first.address.replace(/:/g, '-'))
    this.groups.push({ name, line, fields: { healthCheck: { protocol: 'off' }, ...fields } })
    this.#made.set(key, name)
    return name
  }

  #options(block: readonly CaddyLine[]): Fields {
    const fields: Fields = {}
    const check: Fields = {}
    for (const { words, line, block: inner = [] } of block) {
      const [name = '', value = '', more] = words
      const text = words.join(' ')
      if (name === 'to' || name === 'header_up' || name === 'header_down') continue
      if (name === 'lb_policy') this.#findings.attempt(line, text, () => Object.assign(fields, policyOf(value, more)))
      else if (name === 'health_uri') check.path = value
      else if (name === 'health_interval') check.interval = value
      else if (name === 'health_timeout') check.timeout = value
      else if (name === 'health_status') check.codes = value.replace(/^(\d)xx$/, '$100-$199')
      else if (name === 'health_port') check.port = Number(value)
      else if (name === 'transport' && value === 'http') {
        for (const each of inner) {
          if (each.words[0] === 'tls') fields.tls = { ...(fields.tls as Fields) }
          else if (each.words[0] === 'tls_insecure_skip_verify')
            fields.tls = { ...(fields.tls as Fields), verify: false }
          else if (each.words[0] === 'tls_server_name')
            fields.tls = { ...(fields.tls as Fields), serverName: each.words[1] }
          else this.#findings.untranslated(each.line, each.words.join(' '), 'Castor has nothing like it')
        }
      } else this.#findings.untranslated(line, text, 'Castor has nothing like it here')
    }
    return { ...fields, ...(Object.keys(check).length === 0 ? {} : { healthCheck: { protocol: 'http', ...check } }) }
  }
}

function policyOf(policy: string, name: string | undefined): Fields {
  switch (policy) {
    case 'round_robin':
    case 'random':
      return {}
    case 'least_conn':
      return { algorithm: 'least-connections' }
    case 'random_choose':
      return { algorithm: 'random-two' }
    case 'ip_hash':
    case 'client_ip_hash':
      return { algorithm: 'source-ip' }
    case 'uri_hash':
      return { algorithm: 'maglev', hashOn: 'path' }
    case 'header':
      return { algorithm: 'maglev', hashOn: `header:${name}` }
    case 'cookie':
      return { stickiness: { type: 'cookie', name: name ?? 'lb' } }
    default:
      throw new Untranslatable('Castor has no such way to choose; it is round-robin now')
  }
}

function targetOf(text: string): { readonly protocol: string; readonly address: string } {
  const [, scheme = 'http', host, port] = /^(?:(https?|h2c):\/\/)?(\[[^\]]+\]|[^:/{}]*)(?::(\d+))?$/.exec(text) ?? []
  if (host === undefined) throw new Untranslatable('Castor’s targets are addresses with ports')
  return { protocol: scheme, address: `${host === '' ? '127.0.0.1' : host}:${port ?? (scheme === 'https' ? 443 : 80)}` }
}
