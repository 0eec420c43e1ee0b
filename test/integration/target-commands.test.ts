import t from 'tap'
import { startBalancer } from './support/balancer.js'
import type { Test } from './support/castor.js'
import { ChildCastor, configFile, MAIN } from './support/child-castor.js'
import type { ShownTarget } from './support/operator.js'
import { get, request } from './support/raw-client.js'
import { RawTarget } from './support/raw-target.js'
import { refusingAddress } from './support/tcp-peers.js'

const TOKEN = 'a-long-enough-token-of-the-test'

interface Said {
  readonly code: number | NodeJS.Signals
  readonly stdout: string
  readonly stderr: string
}

async function castor(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Said> {
  const command = new ChildCastor([MAIN, ...args], { env: { CASTOR_TOKEN: '', ...env } })
  const code = await command.ended()
  return { code, stdout: command.stdout, stderr: command.stderr }
}

/** Two targets, one with a name that has to be escaped in a URL. */
async function setting(t: Test) {
  const targets = [await RawTarget.start(), await RawTarget.start()]
  for (const target of targets) t.teardown(() => target.stop())
  const [one, two] = targets as [RawTarget, RawTarget]
  const config = {
    workers: 1,
    admin: { listen: await refusingAddress(), token: TOKEN },
    listeners: [{ name: 'in', protocol: 'http', listen: '127.0.0.1:0', targetGroup: 'app' }],
    targetGroups: [
      { name: 'app', protocol: 'http', targets: [{ id: 'one', address: one.address }, { address: two.address }] },
    ],
  }
  const balancer = await startBalancer(t, config)
  const state = async () => {
    const response = await fetch(`http://${config.admin.listen}/api/v1/status`, {
      headers: { authorization: `Bearer ${TOKEN}` },
    })
    const status = (await response.json()) as { targetGroups: { targets: ShownTarget[] }[] }
    return status.targetGroups[0]!.targets.map(({ state, weight }) => `${state} ${weight}`)
  }
  return { balancer, one, two, admin: config.admin.listen, file: await configFile(t, config), state }
}

t.test('drain, undrain and weight do what they say, and say what they did', async (t) => {
  const { balancer, one, two, admin, file, state } = await setting(t)
  const ask = async (): Promise<void> => {
    for (let i = 0; i < 4; i++) await request(balancer.port, get('/'))
  }
  const done = async (args: string[], env: NodeJS.ProcessEnv, said: string, states: string[]): Promise<void> => {
    t.same(await castor(args, env), { code: 0, stdout: `${said}\n`, stderr: '' }, args.join(' '))
    t.same(await state(), states)
  }
  await done(['drain', 'app', 'one', '-c', file], {}, 'one of app is draining, weight 10', ['draining 10', 'active 10'])
  await ask()
  t.equal(one.requests.length, 0)
  t.equal(two.requests.length, 4)
  const withToken = ['--admin', admin, '--token', TOKEN]
  await done(['undrain', 'app', 'one', ...withToken], {}, 'one of app is active, weight 10', ['active 10', 'active 10'])
  await done(
    ['weight', 'app', two.address, '0', '--admin', `http://${admin}/`],
    { CASTOR_TOKEN: TOKEN },
    `${two.address} of app is active, weight 0`,
    ['active 10', 'active 0'],
  )
  await ask()
  t.equal(one.requests.length, 4)
  t.equal(two.requests.length, 4)
})

t.test('what cannot be done is said, and changes nothing', async (t) => {
  const { two, admin, file, state } = await setting(t)
  const nobody = await refusingAddress()
  const door = ['-c', file]
  const cases: readonly { name: string; args: string[]; code: number; says: (string | RegExp)[] }[] = [
    { name: 'no such group', args: ['drain', 'ap', 'one', ...door], code: 1, says: ['ap', 'app'] },
    { name: 'no such target', args: ['drain', 'app', 'three', ...door], code: 1, says: ['three', 'one', two.address] },
    {
      name: 'too heavy',
      args: ['weight', 'app', 'one', '101', ...door],
      code: 2,
      says: ['"101" is no weight', '0 to 100'],
    },
    { name: 'no number', args: ['weight', 'app', 'one', '1.5', ...door], code: 2, says: ['"1.5" is no weight'] },
    { name: 'no weight', args: ['weight', 'app', 'one', ...door], code: 2, says: ['weight'] },
    { name: 'no target', args: ['drain', 'app', ...door], code: 2, says: ['target'] },
    { name: 'too much', args: ['drain', 'app', 'one', 'two', ...door], code: 2, says: [/too many/i] },
    {
      name: 'another token',
      args: ['drain', 'app', 'one', '--admin', admin, '--token', 'guessed'],
      code: 1,
      says: ['token'],
    },
    { name: 'nobody there', args: ['drain', 'app', 'one', '--admin', nobody], code: 1, says: [nobody, 'refused'] },
    {
      name: 'somebody else there',
      args: ['drain', 'app', 'one', '--admin', two.address],
      code: 1,
      says: [two.address, 'castor'],
    },
    { name: 'no address', args: ['drain', 'app', 'one', '--admin', 'nowhere'], code: 2, says: ['--admin', 'nowhere'] },
  ]
  for (const { name, args, code, says } of cases) {
    const said = await castor(args)
    t.equal(said.code, code, name)
    t.equal(said.stdout, '', `${name} is no output`)
    for (const part of says) {
      t.ok(typeof part === 'string' ? said.stderr.includes(part) : part.test(said.stderr), `${name}: ${said.stderr}`)
    }
  }
  t.same(await state(), ['active 10', 'active 10'])
})
