import { type Document, isMap, isScalar, isSeq, LineCounter, type Pair } from 'yaml'
import { parseBounded } from '../config/parse-bounded.js'
import { alternativesOf } from './condition.js'
import { type Draft, type DraftGroup, type DraftListener, type Fields, Names, scaledWeights } from './draft.js'
import { Edits } from './edits.js'
import { type Findings, ImportError, Untranslatable } from './findings.js'

import type { Action, ListedRule } from './order.js'
import { redirectTo } from './redirect.js'
import { type PlainOption, TRAEFIK_EDITS, traefikEdit } from './traefik-edits.js'
import { parseTraefikRule } from './traefik-rule.js'

/** A dynamic file of Traefik as a draft: routers, services, middlewares that answer, certificates. */

/** A key's value, and the line that it stands on. */
interface Entry {
  readonly line: number
  readonly value: unknown
}

type Entries = ReadonlyMap<string, Entry>

interface Router {
  readonly name: string
  readonly line: number
  readonly rule: string
  readonly priority: number
  readonly entryPoints: readonly string[]
  readonly service: string
  readonly middlewares: readonly string[]
  readonly isTls: boolean
}

/** @throws ImportError for what is no YAML */
export function draftOfTraefik(text: string, findings: Findings): Draft {
  const lines = new LineCounter()
  lines.addNewLine(0)
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines.addNewLine(at + 1)
  const lineOf = (offset: number): number => lines.linePos(offset).line
  const parsed = parseBounded(text)
  if ('refused' in parsed) throw new ImportError(lineOf(parsed.offset), parsed.refused)
  const [complaint] = parsed.complaints
  if (complaint !== undefined) throw new ImportError(lineOf(complaint.pos[0]), complaint.message.split('\n')[0]!)
  const file = new TraefikFile(parsed.contents, lineOf, findings)
  return file.draft()
}

const PORTS: Readonly<Record<string, string>> = {
  web: '0.0.0.0:80',
  http: '0.0.0.0:80',
  websecure: '0.0.0.0:443',
  https: '0.0.0.0:443',
}

class TraefikFile {
  readonly #root: Entries
  readonly #lineOf: (offset: number) => number
  readonly #findings: Findings
  readonly #names = new Names()
  readonly #groups = new Map<string, DraftGroup>()

  constructor(contents: Document['contents'], lineOf: (offset: number) => number, findings: Findings) {
    this.#lineOf = lineOf
    this.#findings = findings
    this.#root = this.#entries(contents)
  }

  draft(): Draft {
    this.#tellOthers(this.#root, ['http', 'tls', 'entryPoints'], '')
    const http = this.#entries(this.#root.get('http')?.value)
    this.#tellOthers(http, ['routers', 'services', 'middlewares'], 'http.')
    const services = this.#entries(http.get('services')?.value)
    for (const [name, entry] of services) this.#service(name, entry, services)
    const middlewares = this.#entries(http.get('middlewares')?.value)
    const routers = [...this.#entries(http.get('routers')?.value)].flatMap(([name, entry]) => this.#router(name, entry))
    const points = [...new Set(routers.flatMap(({ entryPoints }) => entryPoints))]
    const listeners = points.map((point) => this.#listener(point, routers, middlewares, services))
    return { top: {}, listeners, groups: [...this.#groups.values()] }
  }

  #listener(point: string, routers: readonly Router[], middlewares: Entries, services: Entries): DraftListener {
    const own = routers.filter(({ entryPoints }) => entryPoints.includes(point))
    const isTls = own.some((router) => router.isTls) || point === 'websecure'
    const line = own[0]?.line ?? 1
    const said = this.#entries(this.#entries(this.#root.get('entryPoints')?.value).get(point)?.value).get('address')
    const address = typeof said?.value === 'string' ? said.value.replace(/\/(tcp|udp)$/, '') : undefined
    if (address === undefined) {
      const why = `its address is in Traefik’s static file; it is ${PORTS[point] ?? '0.0.0.0:8080'} now`
      this.#findings.note(line, `entry point ${point}`, why)
    }
    const sorted = [...own].sort((a, b) => b.priority - a.priority)
    const rules = sorted.flatMap((router) => this.#rules(router, middlewares, services))
    return {
      name: this.#names.of(`entry ${point}`).replace(/^entry-/, ''),
      line,
      fields: {
        protocol: isTls ? 'https' : 'http',
        listen: address?.replace(/^:/, '0.0.0.0:') ?? PORTS[point] ?? '0.0.0.0:8080',
        ...(isTls ? { tls: { certificates: this.#certificates(line) } } : {}),
      },
      rules,
      fallback: { respond: { status: 404 } },
    }
  }

  #certificates(line: number): readonly Fields[] {
    const tls = this.#entries(this.#root.get('tls')?.value)
    this.#tellOthers(tls, ['certificates'], 'tls.')
    const list = tls.get('certificates')?.value
    const certificates = (isSeq(list) ? list.items : []).flatMap((item) => {
      const entries = this.#entries(item)
      const [cert, key] = [entries.get('certFile')?.value, entries.get('keyFile')?.value]
      return typeof cert === 'string' && typeof key === 'string' ? [{ cert, key }] : []
    })
    if (certificates.length > 0) return certificates
    this.#findings.untranslated(line, 'tls', 'no certificate is named; the paths are placeholders to be filled in')
    return [{ cert: 'cert.pem', key: 'key.pem' }]
  }

  #router(name: string, { line, value }: Entry): readonly Router[] {
    const entries = this.#entries(value)
    this.#tellOthers(
      entries,
      ['rule', 'service', 'priority', 'entryPoints', 'middlewares', 'tls', 'ruleSyntax'],
      `http.routers.${name}.`,
    )
    const rule = String(entries.get('rule')?.value ?? '')
    const tls = entries.get('tls')
    const priority = Number(entries.get('priority')?.value ?? 0)
    const named = texts(entries.get('entryPoints')?.value)
    const ofTls = this.#entries(tls?.value)
    this.#tellOthers(ofTls, [], `http.routers.${name}.tls.`)
    return [
      {
        name,
        line: entries.get('rule')?.line ?? line,
        rule,
        priority: priority === 0 ? rule.length : priority,
        entryPoints: named.length > 0 ? named : [tls === undefined ? 'web' : 'websecure'],
        service: String(entries.get('service')?.value ?? ''),
        middlewares: texts(entries.get('middlewares')?.value),
        isTls: tls !== undefined,
      },
    ]
  }

  #rules(router: Router, middlewares: Entries, services: Entries): readonly ListedRule[] {
    const { line, name, rule } = router
    return (
      this.#findings.attempt(line, `router ${name}: ${rule}`, () => {
        const alternatives = alternativesOf(parseTraefikRule(rule))
        const { action, edits } = this.#action(router, middlewares, services)
        const own = this.#names.of(`router ${name}`).replace(/^router-/, '')
        return alternatives.flatMap(({ match, except }) => edits.of({ match, except, action, line, name: own }))
      }) ?? []
    )
  }

  /** Chains taken apart. */
  #flat(used: readonly string[], middlewares: Entries, depth = 0): readonly string[] {
    return used.flatMap((each) => {
      const chain = this.#entries(middlewares.get(each.replace(/@file$/, ''))?.value).get('chain')
      if (chain === undefined || depth > 8) return [each]
      return this.#flat(texts(this.#entries(chain.value).get('middlewares')?.value), middlewares, depth + 1)
    })
  }

  #action(
    { service, middlewares: used, line, name }: Router,
    middlewares: Entries,
    services: Entries,
  ): { readonly action: Action; readonly edits: Edits } {
    let answer: Action | undefined
    let edits = new Edits()
    for (const each of this.#flat(used, middlewares)) {
      const found = middlewares.get(each.replace(/@file$/, ''))
      const [kind, entry] = [...this.#entries(found?.value)][0] ?? []
      const options = this.#entries(entry?.value)
      const what = `middleware ${each} of router ${name}`
      const status = options.get('permanent')?.value === true ? 301 : 302
      if (kind === 'redirectScheme') {
        const port = options.get('port')?.value
        const scheme = String(options.get('scheme')?.value ?? 'https')
        answer ??= redirectTo(`${scheme}://\${host}${port === undefined ? '' : `:${port}`}\${uri}`, status)
      } else if (kind !== undefined && TRAEFIK_EDITS.includes(kind)) {
        const said = new Map([...options].map(([key, { value }]) => [key, this.#plain(value)]))
        const at = found?.line ?? line
        if (kind === 'stripPrefix')
          this.#findings.note(at, what, 'targets are not told the prefix by X-Forwarded-Prefix')
        edits = this.#findings.attempt(at, what, () => traefikEdit(kind, said, edits)) ?? edits
      } else
        this.#findings.untranslated(
          found?.line ?? line,
          what,
          `Castor’s rules have nothing for ${kind ?? 'what is not there'}`,
        )
    }
    if (answer !== undefined) return { action: answer, edits: new Edits() }
    const plain = service.replace(/@file$/, '')
    const weighted = this.#weighted(services.get(plain))
    if (weighted !== undefined) return { action: { forward: weighted }, edits }
    const group = this.#groups.get(plain)
    if (group === undefined) throw new Untranslatable(`there is no service "${service}" that Castor has`)
    return { action: { forward: group.name }, edits }
  }

  /** A list as its texts, a map as its keys with texts, else the text. */
  #plain(value: unknown): PlainOption {
    if (isSeq(value)) return texts(value)
    const entries = this.#entries(value)
    if (isMap(value)) return new Map([...entries].map(([key, entry]) => [key, String(entry.value ?? '')]))
    return String(value ?? '')
  }

  #weighted(service: Entry | undefined): readonly Fields[] | undefined {
    const list = this.#entries(this.#entries(service?.value).get('weighted')?.value).get('services')?.value
    if (!isSeq(list)) return undefined
    const parts = list.items.map((item) => {
      const entries = this.#entries(item)
      return { name: String(entries.get('name')?.value), weight: Number(entries.get('weight')?.value ?? 1) }
    })
    const known = parts.filter(({ name }) => this.#groups.has(name))
    if (known.length < parts.length || known.length === 0)
      throw new Untranslatable('a part of the weighted service is not there')
    const tell = (why: string): void => this.#findings.note(service!.line, 'weighted', why)
    const weights = scaledWeights(
      known.map(({ weight }) => weight),
      tell,
      1000,
    )
    return known.map(({ name }, index) => ({ targetGroup: this.#groups.get(name)!.name, weight: weights[index] }))
  }

  #service(name: string, { line, value }: Entry, _services: Entries): void {
    const balancer = this.#entries(value).get('loadBalancer')
    if (balancer === undefined) {
      if (!this.#entries(value).has('weighted')) {
        this.#findings.untranslated(line, `service ${name}`, 'Castor has loadBalancer and weighted alone')
      }
      return
    }
    const entries = this.#entries(balancer.value)
    this.#tellOthers(
      entries,
      ['servers', 'sticky', 'healthCheck', 'passHostHeader'],
      `http.services.${name}.loadBalancer.`,
    )
    const passes = entries.get('passHostHeader')
    if (passes?.value === false) {
      this.#findings.untranslated(
        passes.line,
        'passHostHeader: false',
        'Castor sends Host as it came; a rule’s rewrite.host sets another',
      )
    }
    const servers = entries.get('servers')?.value
    let scheme = 'http'
    const targets = (isSeq(servers) ? servers.items : []).flatMap((item) => {
      const server = this.#entries(item)
      const url = String(server.get('url')?.value ?? '')
      const target = this.#findings.attempt(server.get('url')?.line ?? line, url, () => targetOf(url))
      if (target === undefined) return []
      scheme = target.protocol
      const weight = server.get('weight')?.value
      return [{ address: target.address, weight: typeof weight === 'number' ? weight : undefined }]
    })
    const tell = (why: string): void => this.#findings.note(line, `service ${name}`, why)
    const weights = scaledWeights(
      targets.map(({ weight }) => weight ?? 1),
      tell,
    )
    const isEven = targets.every(({ weight }) => weight === undefined)
    const cookie = this.#entries(entries.get('sticky')?.value).get('cookie')
    this.#groups.set(name, {
      name: this.#names.of(`service ${name}`).replace(/^service-/, ''),
      line,
      fields: {
        protocol: scheme,
        targets: targets.map(({ address }, index) => ({ address, ...(isEven ? {} : { weight: weights[index] }) })),
        ...(cookie === undefined ? {} : { stickiness: this.#stickiness(cookie) }),
        healthCheck: this.#healthCheck(entries.get('healthCheck')),
      },
    })
  }

  #stickiness({ value }: Entry): Fields {
    const entries = this.#entries(value)
    this.#tellOthers(entries, ['name', 'secure', 'sameSite', 'httpOnly'], 'sticky.cookie.')
    const [name, same] = [entries.get('name')?.value, entries.get('sameSite')?.value]
    return {
      type: 'cookie',
      ...(typeof name === 'string' ? { name } : {}),
      ...(entries.get('secure')?.value === true ? { secure: true } : {}),
      ...(typeof same === 'string' ? { sameSite: same.toLowerCase() } : {}),
    }
  }

  #healthCheck(check: Entry | undefined): Fields {
    if (check === undefined) return { protocol: 'off' }
    const entries = this.#entries(check.value)
    this.#tellOthers(entries, ['path', 'interval', 'timeout', 'port', 'hostname', 'scheme'], 'healthCheck.')
    const text = (key: string): Fields => {
      const value = entries.get(key)?.value
      const castors = key === 'hostname' ? 'host' : key
      return value === undefined || value === null
        ? {}
        : { [castors]: typeof value === 'number' ? value : String(value) }
    }
    const protocol = entries.get('scheme')?.value === 'https' ? 'https' : 'http'
    return { protocol, ...text('path'), ...text('interval'), ...text('timeout'), ...text('port'), ...text('hostname') }
  }

  #tellOthers(entries: Entries, known: readonly string[], before: string): void {
    for (const [key, { line }] of entries) {
      if (!known.includes(key)) this.#findings.untranslated(line, before + key, 'Castor has nothing like it here')
    }
  }

  /** Of a map, its keys; scalars as their values, the rest as nodes. */
  #entries(node: unknown): Entries {
    const entries = new Map<string, Entry>()
    if (!isMap(node)) return entries
    for (const { key, value } of node.items as Pair[]) {
      if (!isScalar(key)) continue
      const line = this.#lineOf(key.range?.[0] ?? 0)
      entries.set(String(key.value), { line, value: isScalar(value) ? value.value : value })
    }
    return entries
  }
}

function texts(list: unknown): readonly string[] {
  return isSeq(list) ? list.items.flatMap((item) => (isScalar(item) ? [String(item.value)] : [])) : []
}

function targetOf(url: string): { readonly protocol: string; readonly address: string } {
  const [, scheme, host, port, path = ''] = /^(https?|h2c):\/\/(\[[^\]]+\]|[^:/]+)(?::(\d+))?(\/.*)?$/.exec(url) ?? []
  if (scheme === undefined) throw new Untranslatable('it is no URL of a server')
  if (path !== '' && path !== '/') throw new Untranslatable('Castor’s targets have no path')
  return { protocol: scheme, address: `${host}:${port ?? (scheme === 'https' ? 443 : 80)}` }
}
