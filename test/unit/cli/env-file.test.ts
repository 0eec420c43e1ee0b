import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { castor, closedPort } from './castor.js'

const folder = mkdtempSync(join(tmpdir(), 'castor-env-'))
t.teardown(() => rmSync(folder, { recursive: true }))
const file = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}
const SECRETS = file(
  'environment',
  '# of the service\nCASTOR_SECRET="0123456789abcdef $0"\nCASTOR_TOKEN=\'sesame-open\'\n',
)

/** A host of a pair, whose secrets come from the environment. */
const pair = (admin: string): string =>
  `node: a
admin: { listen: "${admin}", token: "\${CASTOR_TOKEN}" }
listeners: [{ name: web, protocol: http, listen: 127.0.0.1:0, targetGroup: app }]
targetGroups: [{ name: app, protocol: http, targets: [{ address: 127.0.0.1:1 }] }]
cluster: { name: shop, redis: "redis://127.0.0.1:1", secret: "\${CASTOR_SECRET}", hosts: [{ node: a, address: 127.0.0.1 }] }
vips: [{ address: 127.0.0.9/8, interface: lo, prefer: a, routerId: 9 }]
`

t.test('every command that reads the configuration sees the secrets of the service with --env-file', async (t) => {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url} ${request.headers.authorization}`)
    response.end('{}')
  }).listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as { port: number }
  const config = file('castor.yaml', pair(`127.0.0.1:${port}`))
  const run = (...args: string[]) => castor([...args, '-c', config, '--env-file', SECRETS])

  t.match(await run('check'), { code: 0, stdout: /is valid/ })
  t.match(await run('keepalived'), { code: 0, stdout: /vrrp_instance/ })
  await run('status')
  await run('drain', 'app', '127.0.0.1:1')
  await run('drain-host')
  t.same(asked.slice(0, 3), [
    'GET /api/v1/status Bearer sesame-open',
    'PATCH /api/v1/target-groups/app/targets/127.0.0.1%3A1 Bearer sesame-open',
    'POST /api/v1/drain-host Bearer sesame-open',
  ])
})

t.test('without it the error says which variable is missing, and how to name the file', async (t) => {
  const config = file('castor.yaml', pair(await closedPort()))
  const commands = ['check', 'keepalived', 'status', 'drain-host', 'start']
  await Promise.all(
    commands.map(async (command) => {
      const { code, stderr } = await castor([command, '-c', config])
      t.equal(code, 2, command)
      t.match(stderr, /cluster\.secret: the environment variable CASTOR_SECRET is not set; .*--env-file/, command)
    }),
  )
})

t.test('the last file counts, and what systemd ignores is ignored and said', async (t) => {
  const config = file('castor.yaml', pair(await closedPort()))
  const odd = file('odd', 'export CASTOR_SECRET=0123456789abcdef\n')
  const both = await castor(['check', '-c', config, '--env-file', odd, '--env-file', SECRETS])
  t.equal(both.code, 0)
  t.match(both.stderr, `warning: ${odd}:1: this is no assignment to a variable, and systemd ignores it`)
  const alone = await castor(['check', '-c', config, '--env-file', odd])
  t.equal(alone.code, 2)
  t.match(alone.stderr, /the environment variable CASTOR_SECRET is not set/)
})

t.test('where nobody answers at the default address, commands without -c say what else to name', async (t) => {
  const { code, stderr } = await castor(['status'])
  // Whoever has a balancer at the default address has no use for the advice.
  if (code !== 3) return
  t.match(
    stderr,
    /connection refused; is it running\?\n.*name the configuration with -c FILE, or the address with --admin/,
  )
})
