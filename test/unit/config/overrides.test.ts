import t from 'tap'
import { fileSchema } from '../../../src/config/schema.js'
import { parse, problemsOf, SMALL } from './support.js'

/** What the file may have at its top. */
const TOP = Object.keys(fileSchema.shape).join(', ')

t.test('a value of the command line goes over the file’s, whatever its kind', (t) => {
  const config = parse(SMALL, {
    env: { PORT: '7000' },
    set: [
      'log.level=debug',
      'workers=3',
      'listeners.0.listen=[::1]:81',
      'listeners.0.trustForwardedFrom=[10.0.0.0/8]',
      `listeners.1={ name: b, protocol: http, targetGroup: app, listen: "127.0.0.1:\${PORT}" }`,
      'targetGroups.0.targets.0.weight=5',
      `targetGroups.0.targets.1={ address: "b:1", weight: \${W:-6} }`,
      'targetGroups.0.targets.1.id=second',
      'admin.token=',
      'admin.token=a=b',
    ],
  })
  t.equal(config.log.level, 'debug')
  t.equal(config.workers, 3)
  t.same(config.listeners[0]?.listen, [{ address: '::1', port: 81 }])
  t.same(config.listeners[0]?.trustForwardedFrom, ['10.0.0.0/8'])
  t.same(config.listeners[1]?.listen, [{ address: '127.0.0.1', port: 7000 }])
  t.same(config.targetGroups[0]?.targets, [
    { id: '127.0.0.1:9001', host: '127.0.0.1', port: 9001, weight: 5 },
    { id: 'second', host: 'b', port: 1, weight: 6 },
  ])
  t.equal(config.admin.token, 'a=b')
  t.end()
})

t.test('an empty value is empty text', (t) => {
  const config = parse(`admin: { token: secret }\n${SMALL}`, { set: ['admin.token='] })
  t.equal(config.admin.token, '')
  t.end()
})

t.test('a problem with a value of the command line names it', (t) => {
  const cases: [string, string][] = [
    ['log.level=loud', 'log.level: must be one of trace, debug, info, warn, error, fatal, silent, not "loud"'],
    ['logg.level=info', 'logg: unknown key "logg" (did you mean "log"?)'],
    ['log.lvl=info', 'log.lvl: unknown key "lvl"; known here: level, format, audit, access'],
    ['workers=0', 'workers: must be at least 1, not 0'],
    ['listeners.0.listen=80', 'listeners.0.listen: must be an address, like 0.0.0.0:8080, or a list of them, not 80'],
    [
      'listeners.0.listen=127.0.0.1:9900',
      'listeners.0.listen: 127.0.0.1:9900 is already taken by admin; use another address or port',
    ],
    ['listeners.2.name=x', 'listeners: listeners is a list of 1; write listeners.0 for the first, not listeners.2'],
    ['listeners.web.name=x', 'listeners: listeners is a list of 1; write listeners.0 for the first, not listeners.web'],
    ['node.name=x', 'node: node holds a plain value and has no name'],
    ['listeners.0.targetGroup=ap', 'listeners.0.targetGroup: no target group is named "ap" (did you mean "app"?)'],
    ['availabilityGroups=[]', 'availabilityGroups: is not supported yet in this version; leave it out'],
    ['workers', 'write --set path=value, like --set log.level=debug'],
    ['=5', 'write --set path=value, like --set log.level=debug'],
    ['a..b=5', 'write --set path=value, like --set log.level=debug'],
    ['log={', 'is not YAML: flow map must end with a }'],
    [
      `node=\${NOWHERE}`,
      `node: the environment variable NOWHERE is not set; set it, name the service’s EnvironmentFile with --env-file, or write \${NOWHERE:-default}`,
    ],
    ['__proto__.polluted=1', `__proto__: unknown key "__proto__"; known here: ${TOP}`],
  ]
  for (const [set, says] of cases) {
    const problems = problemsOf(`node: a\n${SMALL}`, { set: [set] })
    t.same(problems, [`--set ${set}: ${says}`], set)
  }
  t.end()
})

t.test('problems of the file come before those of the command line', (t) => {
  t.same(
    problemsOf(`workers: 0\n${SMALL}`, { set: ['node=a b', 'log.level=loud'] }).map((line) => line.slice(0, 14)),
    ['test.yaml:1:10', '--set node=a b', '--set log.leve'],
  )
  t.end()
})

t.test('a path cannot reach what all objects share', (t) => {
  for (const set of ['__proto__.polluted=1', 'log.__proto__.polluted=1', 'constructor.prototype.polluted=1']) {
    problemsOf(SMALL, { set: [set] })
    t.equal(({} as { polluted?: unknown }).polluted, undefined, set)
  }
  t.end()
})

t.test('a file may come whole from the command line', (t) => {
  const config = parse('', {
    set: [
      'listeners=[{ name: a, protocol: tcp, listen: "127.0.0.1:1", targetGroup: g }]',
      'targetGroups=[{ name: g, protocol: tcp, targets: [{ address: "a:1" }] }]',
    ],
  })
  t.equal(config.listeners[0]?.name, 'a')
  t.end()
})
