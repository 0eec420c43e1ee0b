import t from 'tap'
import { castor, SMALL_CONFIG } from './castor.js'

const cwd = t.testdir({
  'castor.yaml': SMALL_CONFIG,
  'more.yaml': `${SMALL_CONFIG}      - address: 127.0.0.1:9002\n  - { name: other, protocol: http, targets: [{ address: "a:1" }] }\n`,
  'wrong.yaml': `workers: 0\n${SMALL_CONFIG}availabilityGroups: []\n`,
  'secret.yaml': `admin: { listen: 0.0.0.0:9900, token: \${CASTOR_TOKEN} }\n${SMALL_CONFIG}`,
  none: {},
})

t.test('a valid file is counted', async (t) => {
  t.same(await castor(['check', '-c', 'castor.yaml'], { cwd }), {
    code: 0,
    stdout: 'castor.yaml is valid: 1 listener, 1 target group, 1 target\n',
    stderr: '',
  })
  const more = await castor(['check', '-c', 'more.yaml'], { cwd })
  t.equal(more.stdout, 'more.yaml is valid: 1 listener, 2 target groups, 3 targets\n')
})

t.test('everything that is wrong is listed', async (t) => {
  t.same(await castor(['check', '-c', 'wrong.yaml', '--set', 'log.level=loud'], { cwd }), {
    code: 2,
    stdout: '',
    stderr: `wrong.yaml:1:10: workers: must be at least 1, not 0
wrong.yaml:12:1: availabilityGroups: is not supported yet in this version; leave it out
--set log.level=loud: log.level: must be one of trace, debug, info, warn, error, fatal, silent, not "loud"
wrong.yaml is not valid: 3 problems
`,
  })
})

t.test('the environment of the command is the file’s', async (t) => {
  const without = await castor(['check', '-c', 'secret.yaml'], { cwd })
  t.equal(without.code, 2)
  t.match(without.stderr, /^secret.yaml:1:39: admin.token: the environment variable CASTOR_TOKEN is not set/)
  const withToken = await castor(['check', '-c', 'secret.yaml'], { cwd, env: { CASTOR_TOKEN: 'x' } })
  t.equal(withToken.code, 0)
})

t.test('without a name, ./castor.yaml is meant', async (t) => {
  t.equal((await castor(['check'], { cwd })).code, 0)
  const none = await castor(['check'], { cwd: `${cwd}/none` })
  t.equal(none.code, 2)
  t.match(none.stderr, /there is no \.\/castor.yaml here; name the configuration with -c FILE/)
})

t.test('a file that is not there is wrong usage, not a crash', async (t) => {
  t.same(await castor(['check', '-c', 'nowhere.yaml'], { cwd }), {
    code: 2,
    stdout: '',
    stderr: 'nowhere.yaml: the configuration file cannot be read: there is no such file\n',
  })
})
