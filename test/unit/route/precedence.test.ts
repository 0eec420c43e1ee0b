import t from 'tap'
import { PARSE_COMPLETE, RequestParser } from '../../../src/http/request-parser.js'
import { ADD_SLASH, NO_RULE, RuleMatcher } from '../../../src/route/rule-matcher.js'
import { parse, SMALL } from '../config/support.js'

const LIMITS = { maxHeaderBytes: 32_768, maxHeaders: 128, maxTargetBytes: 8_192 }

/** The rules' conditions, by name, as a file has them. */
type Rules = Readonly<Record<string, object>>

function matcherOf(rules: Rules): (host: string, path: string, lines: readonly string[], method: string) => string {
  const names = Object.keys(rules)
  const list = Object.values(rules).map((match) => ({ match, respond: {} }))
  const { rules: parsed } = parse(
    SMALL.replace('targetGroup: app', `targetGroup: app\n    rules: ${JSON.stringify(list)}`),
  ).listeners[0]!
  const matcher = new RuleMatcher(parsed)
  return (host, path, lines, method) => {
    const buffer = Buffer.from([`${method} ${path} HTTP/1.1`, `Host: ${host}`, ...lines, '', ''].join('\r\n'))
    const parser = new RequestParser(LIMITS)
    if (parser.parse(buffer, 0, buffer.length) !== PARSE_COMPLETE) throw new Error(parser.errorDetail)
    const source = { family: 4, address: '192.0.2.7', port: 1 } as const
    const found = matcher.match({ parser, buffer, start: 0, source })
    return found === NO_RULE ? 'none' : found === ADD_SLASH ? '301' : names[found]!
  }
}

type Row = readonly [
  source: string,
  host: string,
  path: string,
  rule: string,
  lines?: readonly string[],
  method?: string,
]

const HOSTS: Rules = {
  any: {},
  'any, /p': { path: '/p' },
  'www.*': { host: 'www.*' },
  'www.shop.*': { host: 'www.shop.*' },
  '*.example': { host: '*.example' },
  '*.shop.example': { host: '*.shop.example' },
  exact: { host: 'www.shop.example' },
  'exact twice': { host: ['a.test', 'b.test'] },
}
const HOST = 'ADR 0016, the order: host (itself, longest *.X, longest X.*, none)'
const OVER = 'ADR 0016, the order: host, then path'
const hostRows: readonly Row[] = [
  [`${HOST}: itself before *.X and X.*`, 'www.shop.example', '/', 'exact'],
  [`${HOST}: the longest *.X`, 'a.shop.example', '/', '*.shop.example'],
  [`${HOST}: *.X before X.*`, 'www.other.example', '/', '*.example'],
  [`${HOST}: a short *.X before a long X.*`, 'www.shop.a.example', '/', '*.example'],
  [`${HOST}: the longest X.*`, 'www.shop.test', '/', 'www.shop.*'],
  [`${HOST}: X.*`, 'www.other.test', '/', 'www.*'],
  [`${HOST}: none`, 'other.test', '/', 'any'],
  [`${HOST}: each of a list`, 'b.test', '/', 'exact twice'],
  [`${OVER}: a host without a path before a path without a host`, 'www.shop.example', '/p', 'exact'],
  [`${OVER}: *.X without a path before a path without a host`, 'a.example', '/p', '*.example'],
  [`${OVER}: X.* without a path before a path without a host`, 'www.a.test', '/p', 'www.*'],
  [`${OVER}: a path where no host fits`, 'other.test', '/p', 'any, /p'],
  ['CONFIGURATION, match.host: every name below X, however many labels', 'a.b.shop.example', '/', '*.shop.example'],
  ['CONFIGURATION, match.host: *.X is not X itself', 'example', '/', 'any'],
  ['CONFIGURATION, match.host: *.X is not a name that ends with it', 'myexample', '/', 'any'],
  ['CONFIGURATION, match.host: X.* is not X itself', 'www', '/', 'any'],
  ['CONFIGURATION, match.host: without its port', 'www.shop.example:8443', '/', 'exact'],
  ['CONFIGURATION, Rules: case does not matter in hosts', 'WWW.Shop.Example', '/', 'exact'],
  ['CONFIGURATION, Rules: nor does a dot at the end', 'www.shop.example.', '/', 'exact'],
]

const PATHS: Rules = {
  any: {},
  expression: { pathRegex: '^/(a|e)' },
  '/a/*': { path: '/a/*' },
  '/a/b/*': { path: '/a/b/*' },
  '/a/b/c': { path: '/a/b/c' },
  list: { path: ['/l1', '/l2/*'] },
}
const PATH = 'ADR 0016, the order: path (itself, longest prefix, expression, none)'
const pathRows: readonly Row[] = [
  [`${PATH}: itself before every prefix`, 'h', '/a/b/c', '/a/b/c'],
  [`${PATH}: the longest prefix`, 'h', '/a/b/d', '/a/b/*'],
  [`${PATH}: a shorter prefix`, 'h', '/a/c', '/a/*'],
  [`${PATH}: a prefix before an expression that comes first`, 'h', '/a/', '/a/*'],
  [`${PATH}: an expression before none`, 'h', '/e', 'expression'],
  [`${PATH}: none`, 'h', '/x', 'any'],
  [`${PATH}: each of a list`, 'h', '/l2/x', 'list'],
  ['CONFIGURATION, match.path: a path alone', 'h', '/l1/', 'any'],
  ['CONFIGURATION, match.path: a prefix ends with its slash', 'h', '/a/bc', '/a/*'],
  ['CONFIGURATION, Rules: case matters in paths', 'h', '/A/b/c', 'any'],
  ['CONFIGURATION, Rules: slashes in a row are one', 'h', '//a///b//c', '/a/b/c'],
  ['CONFIGURATION, Rules: dot segments are removed', 'h', '/x/../a/./b/c', '/a/b/c'],
  ['CONFIGURATION, Rules: needless escapes are undone', 'h', '/%61/b/%63', '/a/b/c'],
  ['CONFIGURATION, Rules: %2F is no slash', 'h', '/a%2Fb/c', 'expression'],
  ['CONFIGURATION, Rules: the query is no part of the path', 'h', '/x?/a/b/c', 'any'],
]

const CONDITIONS: Rules = {
  'first of none': { path: '/p' },
  'second of none': { path: '/p' },
  'first of one': { path: '/p', headers: { 'x-a': '1' } },
  'second of one': { path: '/p', query: { q: '*' } },
  two: { path: '/p', headers: { 'x-a': '1' }, methods: ['GET', 'POST', 'PUT'] },
  three: { path: '/p', headers: { 'x-a': '*', 'x-b': '*' }, cookies: { c: '1' } },
  'three of another kind': { path: '/p', sourceIp: ['192.0.2.0/24'], methods: ['PURGE'], query: { q: '1' } },
  'all of a prefix': { path: '/*', headers: { 'x-a': '*', 'x-b': '*', 'x-c': '*' }, methods: ['GET'] },
  'of a host': { host: 'h.test' },
}
const MORE = 'ADR 0016, the order: number of other conditions'
const FIRST = 'ADR 0016, the order: position'
const conditionRows: readonly Row[] = [
  [`${MORE}: two before one`, 'h', '/p', 'two', ['X-A: 1']],
  [`${MORE}: each header is one`, 'h', '/p', 'three', ['X-A: 1', 'X-B: 1', 'Cookie: c=1']],
  [`${MORE}: one that fails does not count`, 'h', '/p', 'two', ['X-A: 1', 'X-B: 1', 'Cookie: c=2']],
  [`${MORE}: a list of methods is one`, 'h', '/p', 'two', ['X-A: 1', 'X-B: 1']],
  [`${MORE}: source, method and parameter are one each`, 'h', '/p?q=1', 'three of another kind', ['X-A: 1'], 'PURGE'],
  [`${MORE}: but not before a path that is named`, 'h', '/p', 'first of none', ['X-C: 1', 'X-B: 1']],
  [`${MORE}: nor before a host that is`, 'h.test', '/p', 'of a host', ['X-A: 1', 'X-B: 1', 'Cookie: c=1']],
  [`${MORE}: where they hold, a prefix has its turn`, 'h', '/q', 'all of a prefix', ['X-A: 1', 'X-B: 1', 'X-C: 1']],
  [`${FIRST} among as many`, 'h', '/p?q', 'first of one', ['X-A: 1'], 'DELETE'],
  [`${FIRST}: the other where the first fails`, 'h', '/p?q', 'second of one', ['X-A: 2']],
  [`${FIRST} among none`, 'h', '/p', 'first of none'],
  ['CONFIGURATION, match.methods: GET does not take HEAD', 'h', '/p', 'first of one', ['X-A: 1'], 'HEAD'],
  ['CONFIGURATION, targetGroup: where no rule matches', 'h', '/q', 'none'],
]

const SLASHES: Rules = {
  '/abc/*': { path: '/abc/*' },
  'both, below': { path: '/both/*' },
  'both, itself': { path: '/both' },
  'posts only': { path: '/post/*', methods: ['POST'] },
  'of one host': { host: 'one.test', path: '/host/*' },
  'of every host': { path: '/host' },
  '/abc/deep/*': { path: '/abc/deep/*' },
  'by expression': { pathRegex: '^/rx' },
  '/rx/*': { path: '/rx/*' },
  '*.all, all': { host: '*.all', path: '/*' },
}
const SLASH = 'CONFIGURATION, Rules: /abc is answered 301 to /abc/'
const slashRows: readonly Row[] = [
  [SLASH, 'h', '/abc', '301'],
  [`${SLASH}, in every spelling of it`, 'h', '//x/../%61bc', '301'],
  [`${SLASH}, with its query`, 'h', '/abc?q', '301'],
  [`${SLASH}: a shorter prefix does not name it`, 'h', '/abc/deep', '301'],
  [`${SLASH}: an expression does not name it`, 'h', '/rx', '301'],
  [`${SLASH}: not what is named itself`, 'h', '/both', 'both, itself'],
  [`${SLASH}: not where a rule of another host that fits names it`, 'one.test', '/host', 'of every host'],
  [`${SLASH}: not what would not match below`, 'h', '/post', 'none'],
  [`${SLASH}: what would`, 'h', '/post', '301', [], 'POST'],
  [`${SLASH}: not before a host that is more particular`, 'a.all', '/abc', '*.all, all'],
  [`${SLASH}: not the path with it`, 'h', '/abc/', '/abc/*'],
  [`${SLASH}: not a longer name`, 'h', '/abcd', 'none'],
]

for (const [what, rules, rows] of [
  ['hosts', HOSTS, hostRows],
  ['paths', PATHS, pathRows],
  ['other conditions and position', CONDITIONS, conditionRows],
  ['a missing slash', SLASHES, slashRows],
] as const) {
  t.test(`every case of the order of rules has its rule: ${what}`, async (t) => {
    const chosen = matcherOf(rules)
    const chosenOfTurned = matcherOf(Object.fromEntries(Object.entries(rules).reverse()))
    for (const [source, host, path, rule, lines = [], method = 'GET'] of rows) {
      t.equal(chosen(host, path, lines, method), rule, source)
      // Only position is a matter of the order in the file.
      if (!source.startsWith(FIRST) && !rule.startsWith('first of'))
        t.equal(chosenOfTurned(host, path, lines, method), rule, `${source}, the other way round`)
    }
  })
}
