import t from 'tap'
import { readyLines } from '../../../src/cli/start.js'
import { parseConfig } from '../../../src/config/load.js'
import { castor, RunningCommand, SMALL_CONFIG, serve } from './castor.js'

const ANY_PORTS = ['--set', 'listeners.0.listen=127.0.0.1:0', '--set', 'admin.listen=127.0.0.1:0', '--set', 'workers=1']
const ready = ({ stdout }: { readonly stdout: string }): boolean => /^admin and dashboard on .*\/$/m.test(stdout)
const listening = (stdout: string): string => /^listening on (http:\/\/127\.0\.0\.1:\d+) /m.exec(stdout)?.[1] ?? ''

t.test('one line a listening address, and one for the admin API', (t) => {
  const config = parseConfig(SMALL_CONFIG, 'test.yaml', { env: {} })
  t.equal(
    readyLines(config, {
      listeners: [
        { name: 'web', protocol: 'http', address: '0.0.0.0', port: 8080 },
        { name: 'web', protocol: 'http', address: '::', port: 8080 },
      ],
      admin: {
        listening: [{ address: '127.0.0.1', port: 9900 }, { path: '/run/castor/admin.sock' }],
        address: '127.0.0.1',
        port: 9900,
      },
    }),
    `listening on http://0.0.0.0:8080 (listener web → group app)
listening on http://[::]:8080 (listener web → group app)
admin and dashboard on http://127.0.0.1:9900/
admin and dashboard on unix:/run/castor/admin.sock
`,
  )
  t.end()
})

t.test('a wrong file starts nothing, lists what is wrong and exits 2', async (t) => {
  const cwd = t.testdir({ 'castor.yaml': `workers: 0\nnode: a b\n${SMALL_CONFIG}` })
  const { code, stdout, stderr } = await castor(['start'], { cwd })
  t.equal(code, 2)
  t.equal(stdout, '')
  t.match(stderr, /^castor.yaml:1:10: workers: .*\ncastor.yaml:2:7: node: .*\n/)
})

t.test('without a file and without --demo it says what to do and exits 2', async (t) => {
  const { code, stderr } = await castor(['start'], { cwd: t.testdir({}) })
  t.equal(code, 2)
  t.match(stderr, /there is no \.\/castor.yaml here; name the configuration with -c FILE, or try castor start --demo/)
})

t.test('the demo answers from its three targets in turn and stops cleanly on SIGTERM', async (t) => {
  const command = new RunningCommand(['start', '--demo', ...ANY_PORTS])
  t.teardown(() => command.signal('SIGKILL'))
  await command.until(ready)
  const url = listening(command.stdout)
  const answers: string[] = []
  for (let request = 0; request < 6; request++)
    answers.push(/target (\w+)/.exec(await (await fetch(url)).text())?.[1] ?? '')
  t.same(answers.slice(3), answers.slice(0, 3), 'in turn')
  t.equal(new Set(answers).size, 3)
  command.signal('SIGTERM')
  t.equal((await command.ended()).code, 0)
})

t.test('SIGHUP reads the file anew and says in the log what came of it', async (t) => {
  const command = new RunningCommand(['start', '--demo', ...ANY_PORTS])
  t.teardown(() => command.signal('SIGKILL'))
  await command.until(ready)
  command.signal('SIGHUP')
  await command.until(({ stderr }) => stderr.includes('the configuration file says the same as before'))
  t.equal((await fetch(listening(command.stdout))).status, 200)
  command.signal('SIGINT')
  t.equal((await command.ended()).code, 0)
})

t.test('a second signal stops at once what the first was waiting for', async (t) => {
  const arrived: (() => void)[] = []
  const { server, address } = await serve(() => arrived.shift()?.())
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const cwd = t.testdir({ 'castor.yaml': SMALL_CONFIG })
  const patience = ['--set', 'shutdownTimeout=1h', '--set', `targetGroups.0.targets.0.address=${address}`]
  const command = new RunningCommand(['start', ...ANY_PORTS, ...patience], { cwd })
  t.teardown(() => command.signal('SIGKILL'))
  await command.until(ready)
  const reached = new Promise<void>((resolve) => arrived.push(resolve))
  const answer = fetch(listening(command.stdout)).then(
    () => 'answered',
    () => 'cut',
  )
  await reached
  command.signal('SIGTERM')
  await command.until(({ stderr }) => stderr.includes('once more to stop at once'))
  command.signal('SIGTERM')
  t.equal((await command.ended()).code, 1)
  t.equal(await answer, 'cut')
})
