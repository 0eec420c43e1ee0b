import fc from 'fast-check'
import t from 'tap'
import type { RuleConfig, ValueMatch } from '../../../src/core/config-rules.js'
import { PARSE_COMPLETE, RequestParser } from '../../../src/http/request-parser.js'
import { Findings } from '../../../src/import/findings.js'
import { type Match, matching, takesPath } from '../../../src/import/match.js'
import { inCastorsOrder, type ListedRule, type OrderedRule } from '../../../src/import/order.js'
import { expressionOf } from '../../../src/import/written-match.js'
import type { RoutedRequest } from '../../../src/route/conditions.js'
import { ADD_SLASH, RuleMatcher } from '../../../src/route/rule-matcher.js'
import { SEED } from '../../random.js'

t.comment(`seed ${SEED}`)

interface Asked {
  readonly host: string
  readonly path: string
  readonly method: string
  readonly beta: string
}

function read({ host, path, method, beta }: Asked): RoutedRequest {
  const field = beta === '' ? '' : `X-Beta: ${beta}\r\n`
  const buffer = Buffer.from(`${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${field}\r\n`, 'latin1')
  const parser = new RequestParser({ maxHeaderBytes: 32_768, maxHeaders: 128, maxTargetBytes: 8_192 })
  if (parser.parse(buffer, 0, buffer.length) !== PARSE_COMPLETE) throw new Error(parser.errorDetail)
  return { parser, buffer, start: 0, source: { family: 4, address: '127.0.0.1', port: 1 } }
}

function takes(match: Match, { host, path, method, beta }: Asked): boolean {
  const { host: pattern, methods, headers } = match
  const hosted = pattern === '' || pattern === host || (pattern.startsWith('*.') && host.endsWith(pattern.slice(1)))
  const wanted = headers['x-beta']
  const fits = wanted === undefined || (wanted === '*' ? beta !== '' : wanted === '!' ? beta === '' : wanted === beta)
  return hosted && takesPath(match.path, path) && (methods === undefined || methods.includes(method)) && fits
}

function castorRule({ match: { host, path, methods, headers } }: OrderedRule): RuleConfig {
  const values = Object.entries(headers).map(([name, value]): ValueMatch => {
    const is = value === '*' ? 'present' : value === '!' ? 'absent' : 'equal'
    return { name, is, value: is === 'equal' ? value : '' }
  })
  const plain =
    path.is === 'exact' ? path.text : path.is === 'begins' && !path.asExpression ? `${path.text}*` : undefined
  return {
    name: 'r',
    action: { type: 'forward', to: [], stickySplitMs: 0, mirror: undefined },
    match: {
      hosts: host === '' ? [] : [host],
      paths: plain === undefined ? [] : [plain],
      pathRegex: plain === undefined ? expressionOf(path) : '',
      methods: methods ?? [],
      headers: values,
      query: [],
      cookies: [],
      sourceIp: [],
    },
  }
}

const match = fc
  .record({
    host: fc.constantFrom('', '', 'a.example', 'b.example', '*.example', '*.a.example'),
    path: fc.constantFrom<Match['path']>(
      { is: 'any' },
      { is: 'any' },
      { is: 'exact', text: '/a' },
      { is: 'exact', text: '/a/b.php' },
      { is: 'begins', text: '/a/', asExpression: false },
      { is: 'begins', text: '/a/b/', asExpression: false },
      { is: 'begins', text: '/a', asExpression: true },
      { is: 'expression', text: '\\.php$' },
      { is: 'expression', text: '^/a/' },
    ),
    methods: fc.constantFrom(undefined, undefined, undefined, ['GET'], ['POST', 'PUT']),
    headers: fc.constantFrom({}, {}, { 'x-beta': '1' }, { 'x-beta': '!' }, { 'x-beta': '*' }),
  })
  .map(matching)
const list = fc.array(
  fc.record({ match, except: fc.oneof({ weight: 4, arbitrary: fc.constant([]) }, fc.array(match, { maxLength: 2 })) }),
  { minLength: 1, maxLength: 6 },
)

t.test('the first rule of a list that fits is the one that Castor takes', async (t) => {
  const requests: readonly Asked[] = ['a.example', 'b.example', 'x.a.example', 'other'].flatMap((host) =>
    ['/', '/a', '/a/', '/ab', '/a/b', '/a/b/', '/a/b.php', '/a/b/c.php', '/x.php'].flatMap((path) =>
      ['GET', 'PUT', 'HEAD'].flatMap((method) => ['', '1', '2'].map((beta) => ({ host, path, method, beta }))),
    ),
  )
  let kept = 0
  fc.assert(
    fc.property(list, (written) => {
      const rules = [...written, { match: matching({}), except: [] }].map((rule, index): ListedRule => {
        return { ...rule, action: { forward: `g${index}` }, line: index + 1 }
      })
      const findings = new Findings()
      let ordered: readonly OrderedRule[]
      try {
        ordered = inCastorsOrder(rules, findings)
      } catch {
        return
      }
      if (findings.all.length > 0) return
      kept++
      const matcher = new RuleMatcher(ordered.map(castorRule))
      for (const asked of requests) {
        const first = rules.find((rule) => takes(rule.match, asked) && !rule.except.some((hole) => takes(hole, asked)))!
        const chosen = matcher.match(read(asked))
        const got = chosen === ADD_SLASH ? 'slash' : ordered[chosen]?.action.forward
        if (got !== first.action.forward) {
          throw new Error(
            `${JSON.stringify(asked)} goes to ${got}, not ${first.action.forward}:\n${ordered.map((each) => JSON.stringify(each)).join('\n')}`,
          )
        }
      }
    }),
    { seed: SEED, numRuns: 150 },
  )
  t.ok(kept > 50, `${kept} lists of 150 could be kept`)
})
