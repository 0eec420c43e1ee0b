import fc from 'fast-check'
import t from 'tap'
import type { MatchConfig, RuleConfig, ValueMatch } from '../../../src/core/config-rules.js'
import type { ExplainedGroup } from '../../../src/core/explanation.js'
import { normalizePath } from '../../../src/core/normal-path.js'
import { PARSE_COMPLETE, RequestParser } from '../../../src/http/request-parser.js'
import { explainRequest } from '../../../src/proxy/explain/explain-rules.js'
import type { RoutedRequest } from '../../../src/route/conditions.js'
import { ADD_SLASH, NO_RULE, RuleMatcher } from '../../../src/route/rule-matcher.js'
import { SEED } from '../../random.js'
import { parse, SMALL } from '../config/support.js'

t.comment(`seed ${SEED}`)

const LIMITS = { maxHeaderBytes: 32_768, maxHeaders: 128, maxTargetBytes: 8_192 }
const ANY: MatchConfig = {
  hosts: [],
  paths: [],
  pathRegex: '',
  methods: [],
  headers: [],
  query: [],
  cookies: [],
  sourceIp: [],
}

function rules(...matches: readonly Partial<MatchConfig>[]): readonly RuleConfig[] {
  return matches.map((match, index) => ({
    name: String(index + 1),
    match: { ...ANY, ...match },
    action: { type: 'forward', to: [{ targetGroup: 'g', weight: 1 }], stickySplitMs: 0, mirror: undefined },
  }))
}

interface Asked {
  readonly method: string
  readonly host: string
  readonly path: string
  readonly beta: string
}

/** Read by the parser from bytes that lie somewhere in a larger buffer. */
function read({ method, host, path, beta }: Asked): RoutedRequest {
  const text = `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${beta === '' ? '' : `X-Beta: ${beta}\r\n`}\r\n`
  const buffer = Buffer.from(`junk${text}`, 'latin1')
  const parser = new RequestParser(LIMITS)
  const outcome = parser.parse(buffer, 4, buffer.length)
  if (outcome !== PARSE_COMPLETE) throw new Error(`${JSON.stringify(text)}: ${parser.errorDetail}`)
  return { parser, buffer, start: 4, source: { family: 4, address: '127.0.0.1', port: 1 } }
}

/** How particular a pattern is for that host, the lower the more; undefined where it does not fit. */
function hostRank(pattern: string, written: string): number | undefined {
  const host = written.toLowerCase().replace(/\.$/, '')
  if (pattern === '') return 1e6
  if (pattern === host) return 0
  if (pattern.startsWith('*.'))
    return host.endsWith(pattern.slice(1)) && host.length > pattern.length - 1 ? 1000 - pattern.length : undefined
  if (pattern.endsWith('.*')) return host.startsWith(pattern.slice(0, -1)) ? 2000 - pattern.length : undefined
  return undefined
}

function pathRank(pattern: string, path: string): number | undefined {
  if (pattern === '') return 1e6
  if (pattern === path) return 0
  return pattern.endsWith('/*') && path.startsWith(pattern.slice(0, -1)) ? 1000 - pattern.length : undefined
}

/** The same as the matcher, looked for rule by rule. */
function naive(all: readonly RuleConfig[], { method, host, path: written, beta }: Asked): number {
  const path = normalizePath(written)
  const holds = ({ match }: RuleConfig): boolean =>
    (match.methods.length === 0 || match.methods.includes(method)) &&
    match.headers.every(({ is, value }) =>
      is === 'present' ? beta !== '' : is === 'absent' ? beta === '' : beta === value,
    )
  const found: { readonly rank: readonly number[]; readonly index: number }[] = []
  const hostsOf = ({ match }: RuleConfig): readonly string[] => (match.hosts.length === 0 ? [''] : match.hosts)
  const isNamed = all.some(
    (rule) => rule.match.paths.includes(path) && hostsOf(rule).some((each) => hostRank(each, host) !== undefined),
  )
  for (const [index, rule] of all.entries()) {
    if (!holds(rule)) continue
    const { match } = rule
    const asked = match.methods.length > 0 ? match.headers.length + 1 : match.headers.length
    for (const each of hostsOf(rule)) {
      const hosted = hostRank(each, host)
      if (hosted === undefined) continue
      for (const pattern of match.paths.length === 0 ? [''] : match.paths) {
        if (!path.endsWith('/') && !isNamed && pattern === `${path}/*`) {
          found.push({ rank: [hosted, 0.5, -asked, index], index: ADD_SLASH })
        }
        if (match.pathRegex !== '') {
          if (new RegExp(match.pathRegex).test(path)) found.push({ rank: [hosted, 1e5, -asked, index], index })
          continue
        }
        const rank = pathRank(pattern, path)
        if (rank !== undefined) found.push({ rank: [hosted, rank, -asked, index], index })
      }
    }
  }
  const before = (a: readonly number[], b: readonly number[]): number => {
    const at = a.findIndex((value, place) => value !== b[place])
    return at < 0 ? 0 : a[at]! - b[at]!
  }
  return found.sort((a, b) => before(a.rank, b.rank))[0]?.index ?? NO_RULE
}

const label = fc.constantFrom('a', 'b', 'shop', 'example')
const name = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'))
const hostPattern = fc.oneof(
  name,
  name.map((written) => `*.${written}`),
  name.map((written) => `${written}.*`),
)
const segment = fc.constantFrom('a', 'b', 'ab', '%2F')
const path = fc.tuple(fc.array(segment, { maxLength: 4 }), fc.boolean()).map(([parts, slash]) => {
  const joined = `/${parts.join('/')}`
  return slash && parts.length > 0 ? `${joined}/` : joined
})
const pathPattern = fc.oneof(
  path,
  path.map((written) => (written.endsWith('/') ? `${written}*` : `${written}/*`)),
)
const header = fc.constantFrom<readonly ValueMatch[]>(
  [],
  [{ name: 'x-beta', is: 'equal', value: '1' }],
  [{ name: 'x-beta', is: 'present', value: '' }],
  [{ name: 'x-beta', is: 'absent', value: '' }],
)
const match: fc.Arbitrary<Partial<MatchConfig>> = fc
  .record({
    hosts: fc.uniqueArray(hostPattern, { maxLength: 2 }),
    paths: fc.uniqueArray(pathPattern, { maxLength: 2 }),
    methods: fc.constantFrom([], [], ['GET'], ['POST', 'PURGE']),
    headers: header,
    pathRegex: fc.constantFrom('', '', '', '^/a', 'b$'),
  })
  .map((each) => (each.pathRegex === '' ? each : { ...each, paths: [] }))
const raw = fc.array(fc.constantFrom('a', 'b', 'ab', '', '.', '..', '%61', '%2f', '%2e'), { maxLength: 5 })
const asked: fc.Arbitrary<Asked> = fc.record({
  method: fc.constantFrom('GET', 'POST', 'PURGE', 'HEAD'),
  host: fc.tuple(name, fc.constantFrom('', '.')).map(([written, dot]) => `${written.toUpperCase()}${dot}`),
  path: fc.oneof(
    path,
    raw.map((parts) => `/${parts.join('/')}`),
  ),
  beta: fc.constantFrom('', '1', '2'),
})

t.test('the compiled rules choose as one rule after the other would', async () => {
  fc.assert(
    fc.property(fc.array(match, { maxLength: 12 }), fc.array(asked, { minLength: 1, maxLength: 8 }), (matches, all) => {
      const list = rules(...matches)
      const matcher = new RuleMatcher(list)
      for (const each of all) {
        const chosen = matcher.match(read({ ...each, host: `${each.host}:8080` }))
        const expected = naive(list, each)
        if (chosen !== expected) throw new Error(`${JSON.stringify(each)}: rule ${chosen}, not ${expected}`)
      }
    }),
    { seed: SEED, numRuns: 2_000 },
  )
})

t.test('explain, which compiles only the rules that may fit, tells the rule that is taken', async () => {
  const parsed = parse(SMALL)
  const [listener] = parsed.listeners
  fc.assert(
    fc.property(fc.array(match, { maxLength: 12 }), fc.array(asked, { minLength: 1, maxLength: 8 }), (matches, all) => {
      const list = rules(...matches)
      const matcher = new RuleMatcher(list)
      const groups = {
        group: (name: string) => ({ name }) as ExplainedGroup,
        protection: parsed.protection,
        secret: '',
        plugins: [],
      }
      for (const each of all) {
        const request = read(each)
        const chosen = matcher.match(request)
        const explained = explainRequest({ ...listener!, rules: list }, request, groups)
        if (explained.rule !== (list[chosen]?.name ?? null))
          throw new Error(`${JSON.stringify(each)}: ${chosen}, ${explained.rule}`)
        if ((explained.outcome === 'slash') !== (chosen === ADD_SLASH))
          throw new Error(`${JSON.stringify(each)}: the slash`)
        const told = explained.considered.flatMap((bucket) => (bucket.addsSlash ? [] : bucket.rules))
        const taken = told.find(({ failed }) => failed === null)?.name ?? null
        if (chosen !== ADD_SLASH && taken !== explained.rule)
          throw new Error(`${JSON.stringify(each)}: ${taken} comes first`)
      }
    }),
    { seed: SEED, numRuns: 1_000 },
  )
})

t.test('a host of many labels, and a path of many slashes, are looked up no further than patterns go', async (t) => {
  const matcher = new RuleMatcher(rules({ hosts: ['*.a.b'], paths: ['/a/b/*'] }, { hosts: ['a.*'] }))
  const long = { method: 'GET', beta: '', host: `${'a.'.repeat(120)}b`, path: `/a/b${'/c'.repeat(2_000)}` }
  t.equal(matcher.match(read(long)), 0)
  t.equal(matcher.match(read({ ...long, host: 'a.a' })), 1)
  t.equal(matcher.match(read({ ...long, host: 'a.'.repeat(300) })), NO_RULE, 'no name is as long')
})

t.test('what a request leads to is told with the conditions that fail', async (t) => {
  const matcher = new RuleMatcher(
    rules({ paths: ['/a'], methods: ['POST'] }, { hosts: ['*.b'], paths: ['/a/*'] }, { pathRegex: 'x' }, {}),
  )
  t.same(matcher.candidates(read({ method: 'GET', host: 'a.b', path: '/a', beta: '' })), [
    { host: '', path: '/a', addsSlash: false, rules: [{ index: 0, failed: 'method' }], more: 0 },
    { host: '', path: '', addsSlash: false, rules: [{ index: 2, failed: 'pathRegex' }], more: 0 },
    { host: '', path: '', addsSlash: false, rules: [{ index: 3, failed: undefined }], more: 0 },
  ])
})

t.test('ten thousand rules cost a look-up what one does', async (t) => {
  const many = rules(
    ...Array.from({ length: 10_000 }, (_, index) => ({ hosts: [`h${index % 100}.test`], paths: [`/p${index}/*`] })),
  )
  const one = new RuleMatcher(rules({ hosts: ['h1.test'], paths: ['/p9901/*'] }))
  const all = new RuleMatcher(many)
  const request = read({ method: 'GET', host: 'h1.test', path: '/p9901/x', beta: '' })
  t.equal(one.match(request), 0)
  t.equal(all.match(request), 9_901)
})
