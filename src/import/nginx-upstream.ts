import { boundedDuration, type DraftGroup, type Fields, type Names, scaledWeights } from './draft.js'
import { type Findings, Untranslatable } from './findings.js'
import type { NginxDirective } from './nginx-reader.js'

/** Upstreams, and what proxy_pass names directly, as target groups. */

const HOUR = 3_600_000

/** nginx's times: seconds unless a unit is given. @throws Untranslatable */
export function nginxTime(text: string | undefined): number {
  const parts = /^(\d+)(ms|s|m|h|d)?$/.exec(text ?? '')
  if (parts === null) throw new Untranslatable(`"${text ?? ''}" is no time`)
  const units = { ms: 1, s: 1000, m: 60_000, h: HOUR, d: 24 * HOUR }
  return Number(parts[1]) * units[(parts[2] ?? 's') as keyof typeof units]
}

const UNNEEDED = new Set(['zone', 'keepalive', 'keepalive_requests', 'keepalive_timeout', 'keepalive_time'])

export class Upstreams {
  readonly groups: DraftGroup[] = []
  readonly #known = new Map<string, NginxDirective>()
  readonly #made = new Map<string, string>()
  readonly #names: Names
  readonly #findings: Findings

  constructor(names: Names, findings: Findings) {
    this.#names = names
    this.#findings = findings
  }

  add(upstream: NginxDirective): void {
    this.#known.set(upstream.args[0] ?? '', upstream)
  }

  /** The name of the group; `fields` are what the location says of how to ask it. */
  group(host: string, scheme: string, fields: Fields, line: number): string {
    const key = JSON.stringify([host, scheme, fields])
    const made = this.#made.get(key)
    if (made !== undefined) return made
    const upstream = this.#known.get(host)
    const name = this.#names.fresh(host)
    const servers =
      upstream === undefined ? { targets: [{ address: withPort(host, scheme) }] } : this.#servers(upstream, scheme)
    const protocol = scheme === 'grpc' ? 'h2c' : scheme === 'grpcs' ? 'h2' : scheme
    const tls = protocol === 'https' || protocol === 'h2' ? { tls: { verify: false } } : {}
    this.groups.push({
      name,
      line: upstream?.line ?? line,
      fields: { protocol, ...servers, ...tls, ...fields, healthCheck: { protocol: 'off' } },
    })
    this.#made.set(key, name)
    return name
  }

  /** Groups of upstreams that nothing names are made too: nothing is dropped. */
  rest(): void {
    for (const [name, { line }] of this.#known) {
      if (![...this.#made.keys()].some((key) => key.startsWith(`["${name}",`))) this.group(name, 'http', {}, line)
    }
  }

  #servers({ args, block = [] }: NginxDirective, scheme: string): Fields {
    const findings = this.#findings
    const fields: Fields = {}
    const servers: { address: string; weight: number }[] = []
    const limits: number[] = []
    for (const { name, args: words, line } of block) {
      const text = [name, ...words].join(' ')
      if (name === 'server') {
        findings.attempt(line, text, () => {
          const server = serverOf(words, scheme)
          servers.push(server)
          if (server.limit !== undefined) limits.push(server.limit)
          if (words.some((word) => /^(max_fails|fail_timeout)=/.test(word))) {
            findings.note(
              line,
              text,
              'Castor’s outlierDetection says when a target that fails is left out, and for how long',
            )
          }
        })
      } else if (name === 'least_conn') fields.algorithm = 'least-connections'
      else if (name === 'ip_hash') fields.algorithm = 'source-ip'
      else if (name === 'random') fields.algorithm = 'random-two'
      else if (name === 'hash') findings.attempt(line, text, () => Object.assign(fields, hashOf(words[0] ?? '')))
      else if (UNNEEDED.has(name)) findings.note(line, text, 'Castor keeps connections to targets by itself')
      else findings.untranslated(line, text, 'Castor has nothing like it')
    }
    const [first] = servers
    const tell = (why: string): void => findings.note(block[0]?.line ?? 0, `upstream ${args[0]}`, why)
    const weights = scaledWeights(servers.length === 0 ? [1] : servers.map(({ weight }) => weight), tell)
    const same = servers.every(({ weight }) => weight === first!.weight && weight > 0)
    const targets = servers.map(({ address }, index) => ({ address, ...(same ? {} : { weight: weights[index] }) }))
    return { ...fields, targets, ...(limits.length > 0 ? { maxConnectionsPerTarget: Math.min(...limits) } : {}) }
  }
}

function serverOf(words: readonly string[], scheme: string): { address: string; weight: number; limit?: number } {
  const [address = '', ...options] = words
  let weight = 1
  let limit: number | undefined
  for (const option of options) {
    const [key, value = ''] = option.split('=')
    if (key === 'backup') throw new Untranslatable('Castor has no targets for when all others are down; it is left out')
    if (key === 'weight') weight = Number(value) || 0
    else if (key === 'down') weight = 0
    else if (key === 'max_conns') limit = Number(value) || undefined
    else if (key !== 'max_fails' && key !== 'fail_timeout' && key !== 'resolve') {
      throw new Untranslatable(`Castor’s targets have no ${key}; the server is left out`)
    }
  }
  return { address: withPort(address, scheme), weight, ...(limit === undefined ? {} : { limit }) }
}

function withPort(host: string, scheme: string): string {
  if (host.startsWith('unix:')) throw new Untranslatable('Castor’s targets are addresses with ports')
  return /:\d+$/.test(host) ? host : `${host}:${scheme === 'https' || scheme === 'grpcs' ? 443 : 80}`
}

function hashOf(key: string): Fields {
  if (key === '$remote_addr' || key === '$binary_remote_addr') return { algorithm: 'maglev' }
  if (key === '$request_uri' || key === '$uri') return { algorithm: 'maglev', hashOn: 'path' }
  const [, kind, name] = /^\$(http|cookie)_(\w+)$/.exec(key) ?? []
  if (kind === 'http') return { algorithm: 'maglev', hashOn: `header:${name!.replaceAll('_', '-')}` }
  if (kind === 'cookie') return { algorithm: 'maglev', hashOn: `cookie:${name}` }
  throw new Untranslatable('Castor hashes the source, the path, a header or a cookie')
}

/** What a location or what surrounds it says of how to ask targets. */
export function proxyFields(find: (name: string) => NginxDirective | undefined, findings: Findings): Fields {
  const timeouts: Fields = {}
  for (const [name, key, range] of [
    ['proxy_connect_timeout', 'connect', [10, 600_000]],
    ['proxy_read_timeout', 'response', [10, 24 * HOUR]],
  ] as const) {
    const found = find(name)
    if (found === undefined) continue
    const text = `${name} ${found.args.join(' ')}`
    findings.attempt(found.line, text, () => {
      timeouts[key] = boundedDuration(nginxTime(found.args[0]), range, (why) => findings.note(found.line, text, why))
    })
  }
  const retries = find('proxy_next_upstream')?.args.includes('off') ? { retries: 'off' } : {}
  return { ...(Object.keys(timeouts).length === 0 ? {} : { timeouts }), ...retries }
}
