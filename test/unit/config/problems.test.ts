import t from 'tap'
import { loadConfig } from '../../../src/config/load.js'
import { ConfigError, formatProblem } from '../../../src/config/problems.js'
import { fileSchema } from '../../../src/config/schema.js'
import { CastorError } from '../../../src/core/errors.js'
import { parse, problemsOf, SMALL } from './support.js'

/** What the file may have at its top. */
const TOP = Object.keys(fileSchema.shape).join(', ')

/** SMALL with one line replaced; lines count from 1, as in the messages. */
function withLine(line: number, text: string): string {
  return SMALL.split('\n')
    .map((old, index) => (index === line - 1 ? text : old))
    .join('\n')
}

interface Case {
  readonly title: string
  readonly text: string
  /** Without `test.yaml:` in front. */
  readonly says: readonly string[]
}

function table(title: string, cases: readonly Case[]): void {
  t.test(title, (t) => {
    for (const { title, text, says } of cases) {
      t.same(
        problemsOf(text),
        says.map((line) => `test.yaml:${line}`),
        title,
      )
    }
    t.end()
  })
}

table('text that is not YAML is shown where it breaks', [
  {
    title: 'tab',
    text: 'log:\n\tlevel: info\n',
    says: ['2:1: is not YAML: a tab stands where the indentation is; use spaces'],
  },
  {
    title: 'unquoted IPv6 address',
    text: withLine(4, '    listen: [::]:8080'),
    says: ['4:17: is not YAML: brackets begin a list; put quotes around the address: "[::]:8080"'],
  },
  {
    title: 'open list',
    text: 'a: [1, 2\nb: 3\n',
    says: ['2:1: is not YAML: flow sequence in block collection must be sufficiently indented and end with a ]'],
  },
  {
    title: 'reserved character',
    text: 'node: @a\n',
    says: ['1:7: is not YAML: plain value cannot start with reserved character @; put quotes around the text'],
  },
  {
    title: 'two documents',
    text: 'node: a\n---\nnode: b\n',
    says: ['2:1: is not YAML: the file holds more than one document; remove the line ---'],
  },
  { title: 'unknown tag', text: 'node: !secret x\n', says: ['1:7: is not YAML: unresolved tag: !secret'] },
])

table('a key is given once', [
  {
    title: 'at the top, with the value after it checked too',
    text: `workers: 2\nworkers: 3\n${SMALL}`,
    says: ['2:1: workers: the key "workers" was given already in line 1; remove one'],
  },
  {
    title: 'in a flow map',
    text: withLine(10, '      - { address: a:1, weight: 1, weight: 2 }'),
    says: ['10:36: targetGroups.0.targets.0.weight: the key "weight" was given already in line 10; remove one'],
  },
])

table('unknown keys are named with what was meant', [
  {
    title: 'a slip',
    text: withLine(5, '    targetGruop: app'),
    says: [
      '2:5: listeners.0.targetGroup: is required and missing',
      '5:5: listeners.0.targetGruop: unknown key "targetGruop" (did you mean "targetGroup"?)',
    ],
  },
  {
    title: 'another style',
    text: `shutdown_timeout: 5s\n${SMALL}`,
    says: ['1:1: shutdown_timeout: unknown key "shutdown_timeout" (did you mean "shutdownTimeout"?)'],
  },
  {
    title: 'nothing near',
    text: `log: { colour: red }\n${SMALL}`,
    says: ['1:8: log.colour: unknown key "colour"; known here: level, format, audit, access'],
  },
  {
    title: 'inside of what may also be off',
    text: withLine(9, '    retries: { attemps: 2 }\n    targets:'),
    says: ['9:16: targetGroups.0.retries.attemps: unknown key "attemps" (did you mean "attempts"?)'],
  },
  {
    title: 'a key that JavaScript knows',
    text: `__proto__: { polluted: true }\nconstructor: 1\n${SMALL}`,
    says: [
      `1:1: __proto__: unknown key "__proto__"; known here: ${TOP}`,
      `2:1: constructor: unknown key "constructor"; known here: ${TOP}`,
    ],
  },
])

table('a value of the wrong kind is shown with what it should be', [
  { title: 'number for a word', text: `node: 5\n${SMALL}`, says: ['1:7: node: must be text, not 5'] },
  {
    title: 'text for a number',
    text: withLine(10, '      - { address: a:1, weight: heavy }'),
    says: ['10:33: targetGroups.0.targets.0.weight: must be a number, not "heavy"'],
  },
  {
    title: 'part of a number',
    text: withLine(10, '      - { address: a:1, weight: 1.5 }'),
    says: ['10:33: targetGroups.0.targets.0.weight: must be a whole number, not 1.5'],
  },
  {
    title: 'map for a list',
    text: SMALL.replace(/targets:.*/s, 'targets: {}\n'),
    says: ['9:14: targetGroups.0.targets: must be a list, not a map'],
  },
  {
    title: 'list for a map',
    text: `log: [info]\n${SMALL}`,
    says: ['1:6: log: must be a map of keys and values, not a list'],
  },
  { title: 'nothing', text: `log:\n${SMALL}`, says: ['1:1: log: is empty; give it a value or leave the key out'] },
  {
    title: 'nothing where text is wanted',
    text: withLine(4, '    listen:'),
    says: ['4:5: listeners.0.listen: is empty; give it a value or leave the key out'],
  },
  {
    title: 'neither of two kinds',
    text: `workers: many\n${SMALL}`,
    says: ['1:10: workers: must be auto or a whole number from 1 to 256, not "many"'],
  },
  {
    title: 'neither off nor a map',
    text: withLine(9, '    retries: never\n    targets:'),
    says: ['9:14: targetGroups.0.retries: must be off, or a map of attempts, on and budgetPercent, not "never"'],
  },
  {
    title: 'not a flag',
    text: withLine(9, '    forwarded: { via: maybe }\n    targets:'),
    says: ['9:23: targetGroups.0.forwarded.via: must be true or false, not "maybe"'],
  },
  { title: 'the file is a list', text: '- a\n', says: ['1:1: must be a map of keys and values, not a list'] },
])

table('a value out of its range is shown with the range', [
  { title: 'too small', text: `workers: 0\n${SMALL}`, says: ['1:10: workers: must be at least 1, not 0'] },
  { title: 'too large', text: `workers: 257\n${SMALL}`, says: ['1:10: workers: must be at most 256, not 257'] },
  {
    title: 'weight',
    text: withLine(10, '      - { address: a:1, weight: 101 }'),
    says: ['10:33: targetGroups.0.targets.0.weight: must be at most 100, not 101'],
  },
  {
    title: 'short',
    text: withLine(5, '    targetGroup: app\n    idleTimeout: 999ms'),
    says: ['6:18: listeners.0.idleTimeout: must be from 1s to 8760h, not 999ms'],
  },
  {
    title: 'long',
    text: withLine(5, '    targetGroup: app\n    idleTimeout: 25h'),
    says: ['6:18: listeners.0.idleTimeout: must be from 1s to 24h, not 25h'],
  },
  {
    title: 'no unit',
    text: `shutdownTimeout: 30\n${SMALL}`,
    says: ['1:18: shutdownTimeout: 30 has no unit; write 30s'],
  },
  {
    title: 'size',
    text: `protection: { maxHeaderBytes: 2MiB }\n${SMALL}`,
    says: ['1:31: protection.maxHeaderBytes: must be from 1KiB to 128KiB, not 2MiB'],
  },
  {
    title: 'word',
    text: `log: { level: verbose }\n${SMALL}`,
    says: ['1:15: log.level: must be one of trace, debug, info, warn, error, fatal, silent, not "verbose"'],
  },
  {
    title: 'word that was nearly right',
    text: withLine(9, '    algorithm: least-conections\n    targets:'),
    says: [
      '9:16: targetGroups.0.algorithm: must be one of round-robin, least-connections, source-ip, random-two, peak-ewma, maglev, not "least-conections" (did you mean "least-connections"?)',
    ],
  },
  {
    title: 'no listeners',
    text: SMALL.replace(/^listeners:.*?(?=targetGroups)/s, 'listeners: []\n'),
    says: ['1:12: listeners: must hold at least one listener'],
  },
  {
    title: 'name',
    text: withLine(2, '  - name: my web'),
    says: ['2:11: listeners.0.name: "my web" is not a name; use 1 to 64 of the characters A–Z a–z 0–9 _ . -'],
  },
  {
    title: 'log file without a name',
    text: `log: { access: "" }\n${SMALL}`,
    says: ['1:16: log.access: must be off, stdout or a file’s path, not ""'],
  },
  {
    title: 'address',
    text: withLine(4, '    listen: [127.0.0.1:80, localhost:81]'),
    says: ['4:28: listeners.0.listen.1: "localhost" is not an IP address; write one, like 127.0.0.1:81'],
  },
  {
    title: 'port alone',
    text: withLine(4, '    listen: 8080'),
    says: ['4:13: listeners.0.listen: must be an address, like 0.0.0.0:8080, or a list of them, not 8080'],
  },
  {
    title: 'CIDR',
    text: withLine(5, '    targetGroup: app\n    trustForwardedFrom: [10.0.0.1]'),
    says: ['6:26: listeners.0.trustForwardedFrom.0: "10.0.0.1" has no length; write 10.0.0.1/32 for this one address'],
  },
])

table('what must be there and is not is missed', [
  {
    title: 'an empty file',
    text: '',
    says: ['1:1: listeners: is required and missing', '1:1: targetGroups: is required and missing'],
  },
  {
    title: 'a file of comments',
    text: '# soon\n',
    says: ['1:1: listeners: is required and missing', '1:1: targetGroups: is required and missing'],
  },
  {
    title: 'a listener without protocol',
    text: withLine(3, '    idleTimeout: 5s'),
    says: ['2:5: listeners.0.protocol: is required and missing'],
  },
  {
    title: 'a target without address',
    text: withLine(10, '      - weight: 5'),
    says: ['10:9: targetGroups.0.targets.0.address: is required and missing'],
  },
])

const SECOND_LISTENER = (name: string, listen: string, group = 'app', protocol = 'http') =>
  SMALL.replace(
    'targetGroups:',
    `  - { name: ${name}, protocol: ${protocol}, listen: ${listen}, targetGroup: ${group} }\ntargetGroups:`,
  )

table('values that do not go together are found', [
  {
    title: 'a listener twice',
    text: SECOND_LISTENER('web', '127.0.0.1:8081'),
    says: ['6:13: listeners.1.name: "web" is already used by listeners.0; give each its own'],
  },
  {
    title: 'a group twice',
    text: `${SMALL}  - { name: app, protocol: http, targets: [] }\n`,
    says: ['11:13: targetGroups.1.name: "app" is already used by targetGroups.0; give each its own'],
  },
  {
    title: 'a missing group with a near name',
    text: withLine(5, '    targetGroup: apps'),
    says: ['5:18: listeners.0.targetGroup: no target group is named "apps" (did you mean "app"?)'],
  },
  {
    title: 'a missing group',
    text: withLine(5, '    targetGroup: backend'),
    says: ['5:18: listeners.0.targetGroup: no target group is named "backend"; there are: app'],
  },
  {
    title: 'protocols that differ',
    text: withLine(3, '    protocol: tcp'),
    says: ['5:18: listeners.0.targetGroup: the listener speaks tcp and the group "app" http; it must be tcp or tls'],
  },
  {
    title: 'an address twice',
    text: SECOND_LISTENER('more', '127.0.0.1:8080'),
    says: ['6:43: listeners.1.listen: 127.0.0.1:8080 is already taken by listener "web"; use another address or port'],
  },
  {
    title: 'an address within another',
    text: SECOND_LISTENER('more', '0.0.0.0:8080'),
    says: [
      '6:43: listeners.1.listen: 0.0.0.0:8080 overlaps with 127.0.0.1:8080, which is already taken by listener "web"; use another address or port',
    ],
  },
  {
    title: 'an address twice in one list',
    text: withLine(4, '    listen: [127.0.0.1:80, 127.0.0.1:80]'),
    says: ['4:28: listeners.0.listen.1: 127.0.0.1:80 is already taken by listener "web"; use another address or port'],
  },
  {
    title: 'the admin address',
    text: withLine(4, '    listen: 127.0.0.1:9900'),
    says: ['4:13: listeners.0.listen: 127.0.0.1:9900 is already taken by admin; use another address or port'],
  },
  {
    title: 'a target twice',
    text: `${SMALL}      - address: 127.0.0.1:9001\n`,
    says: [
      '11:18: targetGroups.0.targets.1.address: "127.0.0.1:9001" is already used by targetGroups.0.targets.0; give each its own',
    ],
  },
  ...[
    ['a target twice, in capitals', 'app.example:9002', 'APP.example:9002'],
    ['a target twice, by two forms of IPv6', '[2001:db8::1]:9002', '[2001:DB8:0:0::0:1]:9002'],
    ['a target twice, by name and by address', '127.0.0.1:9002', 'localhost:9002'],
  ].map(([title, one, other]) => ({
    title: title!,
    text: withLine(10, `      - { address: "${one}" }\n      - { address: "${other}", id: other }`),
    says: [
      `11:20: targetGroups.0.targets.1.address: "${other}" is the same server as targetGroups.0.targets.0; list it once, by its weight`,
    ],
  })),
  {
    title: 'a target id twice',
    text: withLine(10, '      - { address: a:1, id: one }\n      - { address: b:1, id: one }'),
    says: ['11:29: targetGroups.0.targets.1.id: "one" is already used by targetGroups.0.targets.0; give each its own'],
  },
  {
    title: 'a target as IPv4 in IPv6',
    text: withLine(10, '      - { address: 10.0.0.1:9002 }\n      - { address: "[::ffff:10.0.0.1]:9002" }'),
    says: [
      '11:20: targetGroups.0.targets.1.address: "[::ffff:10.0.0.1]:9002" is IPv4 written as IPv6; write 10.0.0.1:9002',
    ],
  },
  {
    title: 'a token that no Authorization header can carry',
    text: `admin: { listen: 127.0.0.1:9900, token: "two words" }\n${SMALL}`,
    says: ['1:41: admin.token: must be of visible ASCII characters without blanks, as RFC 6750 has bearer tokens'],
  },
  {
    title: 'names and tokens of the admin API that are there twice',
    text: `admin: { token: the-first-of-all, tokens: [{ name: a, token: the-first-of-all }, { name: default, token: b-b-b-b-b-b }, { name: a, token: b-b-b-b-b-b }] }\n${SMALL}`,
    says: [
      '1:62: admin.tokens.0.token: is the token of admin.token as well; give each its own',
      '1:90: admin.tokens.1.name: "default" is the name of admin.token; give this one another',
      '1:129: admin.tokens.2.name: "a" is already used by admin.tokens.0; give each its own',
      '1:139: admin.tokens.2.token: is the token of admin.tokens.1 as well; give each its own',
    ],
  },
  {
    title: 'a named token that is none',
    text: `admin: { tokens: [{ name: a, token: "" }, { name: b, token: "x y", role: admin }, { token: c }] }\n${SMALL}`,
    says: [
      '1:37: admin.tokens.0.token: must be a token; leave the entry out where there is none, not ""',
      '1:61: admin.tokens.1.token: must be of visible ASCII characters without blanks, as RFC 6750 has bearer tokens',
      '1:74: admin.tokens.1.role: must be one of read, write, not "admin"',
      '1:83: admin.tokens.2.name: is required and missing',
    ],
  },
  {
    title: 'admin in the open without a token',
    text: `admin: { listen: 0.0.0.0:9900 }\n${SMALL}`,
    says: [
      '1:18: admin.listen: 0.0.0.0:9900 is not loopback and no token is set; set admin.token, or listen on 127.0.0.1:9900',
    ],
  },
  {
    title: 'http keys on a tcp listener and in a tcp group',
    text: withLine(
      3,
      '    protocol: tcp\n    websocketIdleTimeout: 5s\n    trustForwardedFrom: [10.0.0.0/8]\n    halfClose: keep\n    upgrades: [tcp]',
    ).replace(
      '  - name: app\n    protocol: http',
      '  - name: app\n    protocol: tcp\n    forwarded: {}\n    timeouts: { response: 5s }\n    outlierDetection: { on: [gateway, 5xx] }\n    retries: { on: [reset-before-response] }',
    ),
    says: [
      '4:5: listeners.0.websocketIdleTimeout: websocketIdleTimeout has no effect on a tcp listener; leave it out',
      '5:5: listeners.0.trustForwardedFrom: trustForwardedFrom has no effect on a tcp listener; leave it out',
      '6:5: listeners.0.halfClose: halfClose has no effect on a tcp listener; leave it out',
      '7:5: listeners.0.upgrades: upgrades has no effect on a tcp listener; leave it out',
      '13:5: targetGroups.0.forwarded: forwarded has no effect in a tcp group; leave it out',
      '14:17: targetGroups.0.timeouts.response: timeouts.response has no effect in a tcp group; use the listener’s idleTimeout',
      '15:29: targetGroups.0.outlierDetection.on: a tcp group sees no failures but connect; write [connect], or leave on out',
      '16:20: targetGroups.0.retries.on: a tcp group is tried again after connect-failure only; write [connect-failure], or leave on out',
    ],
  },
  {
    title: 'keys of a check that is off',
    text: `${SMALL}    healthCheck: { protocol: off, interval: 5s, port: 80 }\n`,
    says: [
      '11:35: targetGroups.0.healthCheck.interval: interval has no effect where checks are off; leave it out',
      '11:49: targetGroups.0.healthCheck.port: port has no effect where checks are off; leave it out',
    ],
  },
  {
    title: 'protocols that are never tunnelled, or none',
    text: withLine(3, '    protocol: http\n    upgrades: [h2c, "SPDY 3", HTTP/2.0]'),
    says: [
      '4:16: listeners.0.upgrades.0: h2c is never tunnelled: its requests would pass everything that is checked here',
      '4:21: listeners.0.upgrades.1: "SPDY 3" is no protocol; write its name as in Upgrade, like websocket or SPDY/3.1',
      '4:31: listeners.0.upgrades.2: HTTP/2.0 is never tunnelled: its requests would pass everything that is checked here',
    ],
  },
  {
    title: 'a queue that nobody could ever wait in',
    text: withLine(9, '    queue: { size: 5 }\n    targets:'),
    says: ['9:5: targetGroups.0.queue: queue has no effect without maxConnectionsPerTarget; set that, or leave it out'],
  },
  {
    title: 'patience without a queue',
    text: withLine(9, '    maxConnectionsPerTarget: 5\n    queue: { timeout: 5s }\n    targets:'),
    says: ['10:14: targetGroups.0.queue.timeout: timeout has no effect without size; set that, or leave it out'],
  },
  {
    title: 'what concerns targets on a listener that redirects everything',
    text: withLine(
      3,
      '    protocol: http\n    redirectToHttps: { port: 8443 }\n    upgrades: [tcp]\n    halfClose: keep\n    websocketIdleTimeout: 1h',
    ),
    says: ['5:5: listeners.0.upgrades: upgrades', '6:5: listeners.0.halfClose: halfClose']
      .concat('7:5: listeners.0.websocketIdleTimeout: websocketIdleTimeout')
      .map((at) => `${at} has no effect beside redirectToHttps, which answers everything; leave it out`),
  },
  ...['off', 'false'].map((off) => ({
    title: `panic without ejections (${off})`,
    text: withLine(9, `    outlierDetection: ${off}\n    panicPercent: 40\n    targets:`),
    says: ['10:5: targetGroups.0.panicPercent: panicPercent has no effect where outlierDetection is off; leave it out'],
  })),
  {
    title: 'something to tolerate that nobody knows',
    text: withLine(9, '    tolerate: [bare-lf, folding]\n    targets:'),
    says: ['9:25: targetGroups.0.tolerate.1: must be one of bare-lf, short-status-line, not "folding"'],
  },
  ...['h2', 'h2c'].map((protocol) => ({
    title: `something to tolerate in an ${protocol} group`,
    text: withLine(8, `    protocol: ${protocol}\n    tolerate: [short-status-line]`),
    says: ['9:5: targetGroups.0.tolerate: tolerate works in http and https groups only; leave it out'],
  })),
  {
    title: 'something to tolerate in a tcp group',
    text: withLine(8, '    protocol: tcp\n    tolerate: [bare-lf]').replace('protocol: http', 'protocol: tcp'),
    says: ['9:5: targetGroups.0.tolerate: tolerate works in http and https groups only; leave it out'],
  },
  {
    title: 'PROXY protocol in an http group',
    text: withLine(9, '    proxyProtocol: v1\n    targets:'),
    says: ['9:5: targetGroups.0.proxyProtocol: proxyProtocol works in tcp and tls groups only; leave it out'],
  },
])

t.test('limits and queues are accepted, and their defaults written out', (t) => {
  for (const lines of [
    'maxConnectionsPerTarget: unlimited\n    queue: { size: 0, timeout: 1s }',
    'maxConnectionsPerTarget: 1\n    queue: { size: 1 }',
    'maxConnectionsPerTarget: 1000000\n    queue: { size: 1000000, timeout: 1h }',
  ]) {
    t.same(problemsOf(withLine(9, `    ${lines}\n    targets:`)), [])
  }
  const wrong: [string, string][] = [
    ['0', 'must be at least 1, not 0'],
    ['many', 'must be unlimited or a whole number from 1 to 1000000, not "many"'],
  ]
  for (const [value, says] of wrong) {
    const text = withLine(9, `    maxConnectionsPerTarget: ${value}\n    targets:`)
    t.same(problemsOf(text), [`test.yaml:9:30: targetGroups.0.maxConnectionsPerTarget: ${says}`])
  }
  t.end()
})

t.test('what is free to be used twice is accepted', (t) => {
  t.same(problemsOf(SECOND_LISTENER('more', '"[::]:8080"')), [], 'the same port of IPv4 and IPv6')
  t.same(problemsOf(SECOND_LISTENER('more', '127.0.0.2:8080')), [], 'the same port of another address')
  t.same(problemsOf(withLine(4, '    listen: [127.0.0.1:0, 127.0.0.1:0]')), [], 'any free port, twice')
  t.same(problemsOf(`admin: { listen: 0.0.0.0:9900, token: x }\n${SMALL}`), [], 'admin in the open with a token')
  t.same(
    problemsOf(`${SMALL}  - { name: b, protocol: http, targets: [{ address: "127.0.0.1:9001" }] }\n`),
    [],
    'a target in two groups',
  )
  t.end()
})

t.test('everything that is wrong is said at once, in the order of the file', (t) => {
  const text = `workers: 0
listeners:
  - name: web
    name: web
    protocol: htpp
    listen: 8080
    targetGroup: \${GROUP}
    idleTimeout: 5
targetGroups:
  - name: app
    protocol: http
    algoritm: random-two
    targets:
      - address: a
      - address: a:1
      - address: a:1
availabilityGroups: []
`
  const problems = problemsOf(text)
  t.same(
    problems.map((line) => line.split(': ').slice(0, 2).join(' ')),
    [
      'test.yaml:1:10 workers',
      'test.yaml:4:5 listeners.0.name',
      'test.yaml:5:15 listeners.0.protocol',
      'test.yaml:6:13 listeners.0.listen',
      'test.yaml:7:18 listeners.0.targetGroup',
      'test.yaml:8:18 listeners.0.idleTimeout',
      'test.yaml:12:5 targetGroups.0.algoritm',
      'test.yaml:14:18 targetGroups.0.targets.0.address',
      'test.yaml:16:18 targetGroups.0.targets.2.address',
      'test.yaml:17:1 availabilityGroups',
    ],
    problems.join('\n'),
  )
  t.end()
})

t.test('problems come as data too', (t) => {
  try {
    parse(`workers: 0\n${SMALL}`)
    t.fail('the text was accepted')
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    t.equal(error.code, 'CONFIG_INVALID')
    t.equal(error.origin, 'operator')
    t.same(error.problems, [
      { source: 'test.yaml', line: 1, column: 10, path: 'workers', message: 'must be at least 1, not 0' },
    ])
    t.equal(error.message, 'test.yaml:1:10: workers: must be at least 1, not 0')
  }
  t.end()
})

t.test('aliases that turn in circles or name nothing are refused', (t) => {
  t.match(
    problemsOf(`log: *nothing\n${SMALL}`)[0],
    /^test.yaml:1:6: log: "\*nothing" names no anchor; write &nothing before/,
  )
  t.match(
    problemsOf(`log: &me { level: *me }\n${SMALL}`)[0],
    /^test.yaml:1:19: log.level: an alias repeats the value that it stands in$/,
  )
  const bomb = ['a: &a0 [x, x]', ...Array.from({ length: 30 }, (_, n) => `a${n}: &a${n + 1} [*a${n}, *a${n}]`)].join(
    '\n',
  )
  t.match(problemsOf(bomb).join('\n'), /the file holds more than 100000 values/)
  t.end()
})

t.test('a file that cannot be read is an error of its own', (t) => {
  const directory = t.testdir({})
  const codeOf = (path: string): [string, string] => {
    try {
      loadConfig(path)
    } catch (error) {
      if (error instanceof CastorError) return [error.code, error.message]
      throw error
    }
    return ['none', '']
  }
  t.match(codeOf(`${directory}/none.yaml`), [
    'CONFIG_UNREADABLE',
    /none.yaml: the configuration file cannot be read: there is no such file/,
  ])
  t.match(codeOf(directory), ['CONFIG_UNREADABLE', /it is a directory/])
  t.end()
})

t.test('a complaint proposes what was probably meant, and what would be taken', async (t) => {
  const withCheck = (check: string): string => `${SMALL}    healthCheck: ${check}\n`
  const cases: [string, RegExp][] = [
    [
      withCheck('{ path: /health }'),
      /path has no effect on a tcp check; write protocol: http beside it, or leave it out/,
    ],
    [withCheck('{ protocol: tcp, codes: 200 }'), /codes has no effect on a tcp check; write protocol: http beside it/],
    [withCheck('{ verify: false }'), /verify has no effect on a tcp check; write protocol: https beside it/],
    [withCheck('{ service: a.B }'), /service has no effect on a tcp check; write protocol: grpc beside it/],
    [
      withCheck('{ path: /health }').replace('    protocol: http\n    targets', '    protocol: h2c\n    targets'),
      /path has no effect on a tcp check; write protocol: h2c beside it/,
    ],
    [withCheck('{ protocol: grpc, path: /a }'), /path has no effect on a grpc check; leave it out/],
    [withCheck('{ protocol: grpc, codes: 200 }'), /codes has no effect on a grpc check; leave it out/],
    [withCheck('{ protocol: grpc, verify: true }'), /verify has no effect on a grpc check without TLS; leave it out/],
    [withCheck('{ protocol: h2c, verify: true }'), /verify has no effect on an h2c check; leave it out/],
    [withCheck('{ protocol: h2, httpVersion: "1.1" }'), /httpVersion has no effect on an h2 check; leave it out/],
    [withCheck('{ protocol: h2, service: a }'), /service has no effect on an h2 check; leave it out/],
    [
      SMALL.replace('- address: 127', '- 127'),
      /targets\.0: must be a map, not "127\.0\.0\.1:9001"; write \{ address: 127\.0\.0\.1:9001 \}/,
    ],
    [SMALL.replace('- address: 127.0.0.1:9001', '- one'), /targets\.0: must be a map, not "one"; write \{ address: /],
    [withCheck('off'), /healthCheck: must be a map of keys and values, not "off"; write \{ protocol: off \}$/],
    [withCheck('false'), /healthCheck: must be a map of keys and values, not false; write \{ protocol: off \}$/],
    [`${SMALL}    queue: off\n`, /queue: must be a map of keys and values, not "off"; write \{ size: 0 \}$/],
    [`shutdownTimeout: 30\n${SMALL}`, /write 30s$/],
    [`shutdownTimeout: 100000\n${SMALL}`, /write 100000ms$/],
    [`shutdownTimeout: 99999999999\n${SMALL}`, /99999999999 has no unit .*must be from 0ms to 24h/],
    [`protection: { maxHeaderBytes: 16384 }\n${SMALL}`, /write 16384B$/],
    [`admin: { listen: 9901 }\n${SMALL}`, /like 127\.0\.0\.1:9900 or unix:/],
  ]
  for (const [text, expected] of cases) {
    const problems = problemsOf(text)
    t.ok(
      problems.some((problem) => expected.test(problem)),
      problems.join(' | '),
    )
  }
})

t.test('hosts and addresses that move are checked against each other', async (t) => {
  const vip = (address: string, prefer: string, routerId: number) => ({ address, interface: 'eth0', prefer, routerId })
  const host = (node: string, address: string) => ({ node, address })
  const pair = (hosts: object[], vips: object[]): string =>
    `${SMALL}cluster: ${JSON.stringify({ name: 'c', secret: 'x'.repeat(16), redis: 'redis://127.0.0.1', hosts })}
vips: ${JSON.stringify(vips)}\n`
  const hosts = [host('lb-a', '10.0.0.1'), host('lb-b', '10.0.0.2')]
  const right = [vip('10.0.0.101/24', 'lb-a', 51), vip('10.0.0.102/24', 'lb-b', 52)]
  t.same(problemsOf(pair(hosts, right)), [])
  t.same(problemsOf(pair([], [vip('10.0.0.101/24', 'any', 51)])), [], 'without hosts every name may be one')
  const cases: [string, RegExp][] = [
    [pair(hosts, [vip('10.0.0.101/24', 'lb_a', 51)]), /vips\.0\.prefer: no host .* named "lb_a" \(did you mean "lb-a"/],
    [pair(hosts, [right[0]!, vip('10.0.0.102/24', 'lb-b', 51)]), /vips\.1\.routerId: 51 on eth0 is .* by vips\.0;/],
    [pair(hosts, [right[0]!, vip('10.0.0.101/25', 'lb-b', 52)]), /vips\.1\.address: "10\.0\.0\.101" is already used/],
    [pair([hosts[0]!, host('lb-a', '10.0.0.2')], []), /cluster\.hosts\.1\.node: "lb-a" is .* by cluster\.hosts\.0;/],
    [pair([hosts[0]!, host('lb-b', '10.0.0.1')], []), /cluster\.hosts\.1\.address: "10\.0\.0\.1" is already used/],
    [
      pair([hosts[0]!, host('lb-b', 'fd00::2')], right),
      /cluster\.hosts\.1\.address: is IPv6 and those before it IPv4; give/,
    ],
  ]
  for (const [text, expected] of cases) t.match(problemsOf(text), [expected])
  t.same(problemsOf(pair([hosts[0]!, host('lb-b', 'fd00::2')], [])), [], 'without vips no address moves')
})

t.test(
  'a node that cluster.hosts does not name is an error, and a host name that it does not name a warning',
  async (t) => {
    const hosts = (...nodes: string[]) => nodes.map((node, index) => ({ node, address: `10.0.0.${index + 1}` }))
    const file = (node: string, nodes: string[]): string =>
      `${node}${SMALL}cluster: ${JSON.stringify({ name: 'c', secret: 'x'.repeat(16), redis: 'redis://127.0.0.1', hosts: hosts(...nodes) })}\n`
    const pair = ['lb-a', 'lb-b']
    t.same(problemsOf(file('node: lb-b\n', pair)), [])
    t.same(problemsOf(file('node: lb-c\n', [])), [], 'without hosts every name may be one')
    t.same(problemsOf(file('node: LB_a\n', pair)), [
      'test.yaml:1:7: node: no host in cluster.hosts is named "LB_a" (did you mean "lb-a"?)',
    ])
    t.same(problemsOf(file('node: elsewhere\n', pair)), [
      'test.yaml:1:7: node: no host in cluster.hosts is named "elsewhere"; there are: lb-a, lb-b',
    ])
    t.match(problemsOf(file('node: ${NAME}\n', pair), { env: { NAME: 'lbb' } }), [/"lbb" \(did you mean "lb-b"\?\)$/])
    t.match(problemsOf(file('', pair), { set: ['node=lb-x'] }), [/^--set node=lb-x: node: no host/])
    const many = problemsOf(
      file(
        'node: elsewhere\n',
        Array.from({ length: 22 }, (_, index) => `host-${index}`),
      ),
    )
    t.match(many, [/host-19, and 2 more$/])

    const warned = (node: string, nodes: string[]): string[] => {
      const warnings: string[] = []
      parse(file(node, nodes), { onWarning: (warning) => warnings.push(formatProblem(warning)) })
      return warnings
    }
    t.match(warned('', pair), [
      /^test\.yaml:\d+:\d+: cluster\.hosts: does not name this host, test-host; set node, or add it$/,
    ])
    t.same(warned('', ['test-host', 'lb-b']), [])
    t.same(warned('', []), [])
  },
)

t.test('a token that can be guessed is warned of', async (t) => {
  const warnings: string[] = []
  const admin =
    'admin: { token: 0123456789abcde, tokens: [{ name: a, token: "0123456789abcdef" }, { name: b, token: b }] }'
  parse(`${admin}\n${SMALL}`, { onWarning: (warning) => warnings.push(formatProblem(warning)) })
  t.same(warnings, [
    'test.yaml:1:17: admin.token: has 15 characters and can be guessed; take 16 or more, as openssl rand -hex 16 makes',
    'test.yaml:1:101: admin.tokens.1.token: has 1 characters and can be guessed; take 16 or more, as openssl rand -hex 16 makes',
  ])
})
