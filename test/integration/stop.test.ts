import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { type ConfigFile, onePair, startBalancer } from './support/balancer.js'
import type { Test } from './support/castor.js'
import { ChildCastor, configFile, MAIN, startChild } from './support/child-castor.js'
import { get, RawClient, request } from './support/raw-client.js'
import { ok, RawTarget } from './support/raw-target.js'
import { dial, echo, endingOf, refusingAddress, TcpTarget } from './support/tcp-peers.js'
import { until } from './support/until.js'
import { within } from './support/waiting.js'

const openDescriptors = (): number => readdirSync('/proc/self/fd').length

async function freePort(): Promise<number> {
  const address = await refusingAddress()
  return Number(address.slice(address.lastIndexOf(':') + 1))
}

/** A web and a tcp listener before targets of their own; the web's answers wait for `answer()`. */
async function setting(t: Test, more: ConfigFile = {}) {
  const waiting: (() => void)[] = []
  const web = await RawTarget.start({
    answer: (_, connection) => void waiting.push(() => connection.write(ok('in the end'))),
  })
  t.teardown(() => web.stop())
  const raw = await TcpTarget.start(t, echo)
  const config = {
    workers: 2,
    listeners: [
      { name: 'web', protocol: 'http', listen: '127.0.0.1:0', targetGroup: 'web' },
      { name: 'raw', protocol: 'tcp', listen: '127.0.0.1:0', targetGroup: 'raw' },
    ],
    targetGroups: [
      { name: 'web', protocol: 'http', targets: [{ address: web.address }] },
      { name: 'raw', protocol: 'tcp', targets: [{ address: raw.address }] },
    ],
    ...more,
  }
  return { config, waiting }
}

t.test('SIGTERM lets what is in flight finish, then exits 0', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'castor-test-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const access = join(folder, 'access.log')
  const { config, waiting } = await setting(t, { log: { level: 'info', access }, shutdownTimeout: '20s' })
  const castor = await startChild(t, config)
  const idle = await RawClient.connect(castor.port('web'))
  const busy = await Promise.all(Array.from({ length: 4 }, () => RawClient.connect(castor.port('web'))))
  const answers = busy.map((client) => client.exchange(get('/')))
  const tunnel = await RawClient.connect(castor.port('raw'))
  await until('the requests at the target', () => waiting.length === 4)

  castor.child.kill('SIGTERM')
  t.equal(await idle.ending(), 'end', 'an idle connection is closed at once')
  await t.rejects(RawClient.connect(castor.port('web')), { code: 'ECONNREFUSED' }, 'nobody new is let in')
  tunnel.send('still here\r\n')
  t.equal(await tunnel.reader.line(), 'still here', 'a tunnel goes on')
  t.ok(castor.alive)
  for (const answer of waiting) answer()
  for (const { status, text, header } of await Promise.all(answers)) {
    t.equal(status, 200)
    t.equal(text, 'in the end')
    t.equal(header('connection'), 'close')
  }
  tunnel.half()
  t.equal(await castor.ended(), 0)
  const lines = readFileSync(access, 'utf8').trimEnd().split('\n')
  t.equal(lines.length, 5, 'every request and the tunnel are in the access log')
  t.match(castor.stderr, /"stopped"/)
  for (const client of [idle, tunnel, ...busy]) client.close()
})

t.test('what has not finished after shutdownTimeout is cut, and that is a clean stop, too', async (t) => {
  const { config } = await setting(t, { shutdownTimeout: '300ms' })
  const castor = await startChild(t, config)
  const tunnel = await dial(castor.port('raw'))
  tunnel.write('x')
  await once(tunnel, 'data')
  const ending = endingOf(tunnel)
  const startMs = performance.now()
  castor.child.kill('SIGTERM')
  t.equal(await ending, 'end')
  t.equal(await castor.ended(), 0)
  t.ok(performance.now() - startMs >= 290)
})

t.test('a second SIGTERM stops at once', async (t) => {
  const { config } = await setting(t, { shutdownTimeout: '10m' })
  const castor = await startChild(t, config)
  const tunnel = await dial(castor.port('raw'))
  const ending = endingOf(tunnel)
  castor.child.kill('SIGTERM')
  await until('the first being heard', () => castor.stderr.includes('stopping: '))
  castor.child.kill('SIGTERM')
  t.equal(await castor.ended(3_000), 1, 'connections were cut, so it was not a clean stop')
  await ending
  t.notMatch(castor.stderr, /a proxy thread died/)
})

t.test('SIGHUP does not end it', async (t) => {
  const { config } = await setting(t)
  const castor = await startChild(t, config)
  castor.child.kill('SIGHUP')
  await until('an answer to it', () => castor.stderr.includes('the configuration file says the same as before'))
  const tunnel = await RawClient.connect(castor.port('raw'))
  tunnel.send('hello\r\n')
  t.equal(await tunnel.reader.line(), 'hello')
  tunnel.close()
})

t.test('a wrong configuration exits 2', async (t) => {
  const file = await configFile(t, { ...onePair('http', ['127.0.0.1:1']), speed: 'high' })
  const castor = new ChildCastor([MAIN, 'start', '-c', file])
  t.teardown(() => castor.kill())
  t.equal(await castor.ended(), 2)
  t.match(castor.stderr, /speed/)
})

t.test('an address that is taken is named, and nothing is left running', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1')
  t.teardown(() => taken.close())
  await once(taken, 'listening')
  const { port } = taken.address() as { port: number }
  const free = await freePort()
  const cases: { name: string; listen: string[]; admin: string }[] = [
    { name: 'the second address', listen: [`127.0.0.1:${free}`, `127.0.0.1:${port}`], admin: '127.0.0.1:0' },
    { name: 'the admin address', listen: [`127.0.0.1:${free}`], admin: `127.0.0.1:${port}` },
  ]
  for (const { name, listen, admin } of cases) {
    const config = { ...onePair('http', ['127.0.0.1:1'], { listener: { listen } }), admin: { listen: admin } }
    const castor = new ChildCastor([MAIN, 'start', '-c', await configFile(t, config)])
    t.teardown(() => castor.kill())
    t.equal(await castor.ended(), 1, name)
    t.match(castor.stderr, new RegExp(`127\\.0\\.0\\.1[: ](port )?${port}\\b.*EADDRINUSE`), name)
    await t.rejects(RawClient.connect(free), { code: 'ECONNREFUSED' }, `${name}: the other address is free again`)
  }
})

t.test('proxy threads that cannot start fail the start, and leave nothing behind', async (t) => {
  const port = await freePort()
  const config = onePair('http', ['127.0.0.1:1'], { workers: 2, listener: { listen: `127.0.0.1:${port}` } })
  const cases: [file: string, message: RegExp][] = [
    ['returns', /ended without being told/],
    ['rejects', /nothing works today/],
    ['cannot-load', /something is missing/],
    ['exits', /exited with code: 3/],
    ['there-is-no-such-file', /there-is-no-such-file/],
  ]
  for (const [file, message] of cases) {
    const before = openDescriptors()
    const workerFile = fileURLToPath(new URL(`../fixtures/broken-workers/${file}.js`, import.meta.url))
    await t.rejects(within(file, startBalancer(t, config, { workerFile })), { message }, file)
    await until(`${before} descriptors after ${file}`, () => openDescriptors() <= before)
    await t.rejects(RawClient.connect(port), { code: 'ECONNREFUSED' }, `${file}: the address is free again`)
  }
})

t.test('an address can be listened on again right after a stop', async (t) => {
  const target = await RawTarget.start()
  t.teardown(() => target.stop())
  const listen = `127.0.0.1:${await freePort()}`
  for (let round = 0; round < 2; round++) {
    const castor = await startChild(t, onePair('http', [target.address], { listener: { listen } }))
    // Closed by the balancer first, which leaves its side of the connection in TIME_WAIT.
    const client = await RawClient.connect(castor.port())
    await client.exchange(get('/', ['Connection: close']))
    t.equal(await client.ending(), 'end')
    client.close()
    castor.child.kill('SIGTERM')
    t.equal(await castor.ended(), 0, `round ${round}`)
  }
})

t.test('starting and stopping within a process leaks nothing', async (t) => {
  const target = await RawTarget.start()
  t.teardown(() => target.stop())
  const cycle = async (): Promise<void> => {
    const castor = await startBalancer(t, onePair('http', [target.address], { workers: 2 }))
    t.equal((await request(castor.port, get('/'))).status, 200)
    await castor.running.stop()
    for (const { socket } of target.connections.splice(0)) socket.destroy()
  }
  await cycle()
  const before = openDescriptors()
  for (let i = 0; i < 3; i++) await cycle()
  await until(`${before} descriptors`, () => openDescriptors() <= before)
})
