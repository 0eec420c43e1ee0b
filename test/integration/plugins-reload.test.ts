import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { withDefaults } from './support/balancer.js'
import { ChildCastor, MAIN } from './support/child-castor.js'
import { ask } from './support/operator.js'
import { gatesIn, pluginFolder, writePlugin } from './support/plugins.js'
import { get, RawClient, request } from './support/raw-client.js'
import { startReloading, startTarget } from './support/reloading.js'
import { eventually } from './support/waiting.js'

const run = promisify(execFile)

interface Ran {
  readonly code: number
  readonly out: string
}

async function castorCommand(...args: readonly string[]): Promise<Ran> {
  try {
    const { stdout, stderr } = await run(process.execPath, [MAIN, ...args])
    return { code: 0, out: stdout + stderr }
  } catch (fault) {
    const { code, stdout, stderr } = fault as { code: number; stdout: string; stderr: string }
    return { code, out: stdout + stderr }
  }
}

const SCHEMA = `{ '~standard': { version: 1, vendor: 'own', validate: (value) =>
  typeof value.word === 'string' ? { value } : { issues: [{ message: 'must be text', path: ['word'] }] } } }`

t.test(
  'reloads take on new options, new versions, and plug-ins that come and go; what is wrong changes nothing',
  async (t) => {
    const folder = pluginFolder(t)
    const target = await startTarget(t)
    const gates = gatesIn(folder)
    const closed = join(folder, 'closed')
    const write = (version: number, rest = ''): string =>
      writePlugin(
        folder,
        `{
      name: 'word', options: ${SCHEMA},
      setup: () => ({ count: 0 }),
      close: () => said(${JSON.stringify(closed)}),
      async onRequest(request, { options, state }) {
        state.count++
        if (request.path === '/wait') { said(${JSON.stringify(join(folder, 'waits'))}); await opened(${JSON.stringify(join(folder, 'go'))}) }
        return { status: 200, body: [${version}, options.word, state.count].join(' ') }
      }, ${rest} }`,
        gates,
        'word.mjs',
      )
    const module = write(1)
    const config = (plugins: unknown) => ({
      workers: 2,
      plugins,
      listeners: [{ name: 'in', protocol: 'http', listen: '127.0.0.1:0', targetGroup: 'out' }],
      targetGroups: [{ name: 'out', protocol: 'http', targets: [{ address: target.address }] }],
    })
    const secret = 'a-word-that-is-a-secret'
    const {
      castor,
      reload,
      file,
      write: put,
    } = await startReloading(t, config([{ module, options: { word: secret }, deadline: '20s' }]))
    const port = castor.port()
    const word = async (): Promise<string> => (await request(port, get('/'))).text
    t.match(await word(), `1 ${secret} `)

    const shown = await ask(castor.adminPort, 'GET', '/api/v1/config')
    t.notMatch(JSON.stringify(shown.json), secret)
    t.match(JSON.stringify(shown.json), '"word":"********"')

    // A request that waits while its plug-in is replaced ends by what it began with.
    const waiting = await RawClient.connect(port)
    waiting.send(get('/wait'))
    await eventually('it waits', async () => (await castor.metrics()).sum('castor_plugin_calls_total') >= 2)
    const options = await reload(config([{ module, options: { word: 'second' }, deadline: '20s' }]))
    t.match(options, { code: 200, json: { result: 'applied' } })
    t.notMatch(JSON.stringify(options.json), secret)
    t.match(JSON.stringify(options.json), 'plugins')
    t.match(await word(), /^1 second /)
    writeFileSync(join(folder, 'go'), '')
    t.match((await waiting.response()).text, `1 ${secret} `)
    waiting.close()
    const { existsSync } = await import('node:fs')
    await eventually('what the old one held is given back', () => existsSync(closed))

    // Both threads count on where only the deadline is another.
    const one = await RawClient.connect(port)
    const before = Number((await one.exchange(get('/'))).text.split(' ')[2])
    await reload(config([{ module, options: { word: 'second' }, deadline: '21s' }]))
    const after = Number((await one.exchange(get('/'))).text.split(' ')[2])
    t.ok(after > before, `${before} ${after}`)

    write(2)
    t.match(await reload(), { code: 200, json: { result: 'applied' } })
    t.match((await one.exchange(get('/'))).text, /^2 second /, 'another version of the module')
    t.match(await reload(), { code: 200, json: { result: 'unchanged' } })
    one.close()

    const wrong: readonly (readonly [unknown, RegExp])[] = [
      [[{ module, options: { word: 5 } }], /must be text/],
      [[{ module: join(folder, 'gone.mjs') }], /there is no such file/],
      [
        [
          { module, options: { word: 'a' } },
          { module, options: { word: 'b' } },
        ],
        /already the name of/,
      ],
    ]
    for (const [plugins, message] of wrong) {
      const refused = await reload(config(plugins))
      t.equal(refused.code, 422)
      t.match(JSON.stringify(refused.json), message)
      t.match(await word(), /^2 second /)
    }
    writeFileSync(module, 'export default {')
    t.equal((await reload(config([{ module, options: { word: 'third' } }]))).code, 422)
    t.match(await word(), /^2 second /)
    write(3)

    const second = writePlugin(
      folder,
      `{ name: 'first', onRequest: (request) => request.path === '/first' ? { status: 200, body: 'first' } : undefined }`,
      '',
      'first.mjs',
    )
    t.match(await reload(config([second, { module, options: { word: 'third' } }])), { code: 200 })
    t.equal((await request(port, get('/first'))).text, 'first')
    t.match(await word(), /^3 third /)
    put(config([]))
    const diff = await castorCommand('diff', '--admin', `127.0.0.1:${castor.adminPort}`)
    t.equal(diff.code, 1)
    t.match(diff.out, /plugins/)
    t.match(await reload(), { code: 200, json: { result: 'applied' } })
    t.equal(await word(), '/')
    t.equal((await castorCommand('check', '-c', file)).code, 0)
  },
)

t.test('check and explain say who is asked; a program starts, and is reloaded when a module changes', async (t) => {
  const folder = pluginFolder(t)
  const target = await startTarget(t)
  const version = (n: number) =>
    writePlugin(
      folder,
      `{ name: 'all', onRequest: (request) => request.path === '/v' ? { status: 200, body: 'v${n}' } : undefined }`,
      '',
      'all.mjs',
    )
  version(1)
  writePlugin(folder, `{ name: 'some', onRoute() {} }`, '', 'some.mjs')
  const file = join(folder, 'castor.config.mjs')
  const config = {
    reload: 'onChange',
    plugins: ['./all.mjs', './some.mjs'],
    listeners: [
      {
        name: 'in',
        protocol: 'http',
        listen: '127.0.0.1:0',
        targetGroup: 'out',
        rules: [{ name: 'a', match: { path: '/a' }, forward: 'out', plugins: ['some'] }],
      },
    ],
    targetGroups: [{ name: 'out', protocol: 'http', targets: [{ address: target.address }] }],
  }
  writeFileSync(file, `export default () => (${JSON.stringify(withDefaults(config))})`)
  const checked = await castorCommand('check', '-c', file)
  t.equal(checked.code, 0, checked.out)
  t.match(
    checked.out,
    /1 target, 2 plug-ins\nplug-in all is asked for every request\nplug-in some is asked for the requests of in\/a\n/,
  )
  const castor = new ChildCastor([MAIN, 'start', '-c', file])
  t.teardown(() => castor.kill())
  await castor.ready()
  const port = castor.port()
  t.equal((await request(port, get('/v'))).text, 'v1')
  const explained = await castorCommand(
    'explain',
    'GET',
    `http://x:${port}/a`,
    '--admin',
    `127.0.0.1:${castor.adminPort}`,
  )
  t.match(explained.out, /^plug-ins {2}all, some /m)
  const other = await castorCommand('explain', 'GET', `http://x:${port}/b`, '--admin', `127.0.0.1:${castor.adminPort}`)
  t.match(other.out, /^plug-ins {2}all \(/m)
  version(2)
  await eventually('it is taken on by itself', async () => (await request(port, get('/v'))).text === 'v2')
})
