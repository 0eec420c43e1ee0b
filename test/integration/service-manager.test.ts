import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { nativeAddon } from '../../src/native/addon.js'
import { toolOrSkip } from '../tools.js'
import { onePair } from './support/balancer.js'
import { fetchText } from './support/castor.js'
import { ChildCastor, configFile, MAIN, startChild } from './support/child-castor.js'
import { NotifySocket } from './support/notify-socket.js'
import { get, request } from './support/raw-client.js'
import { RawTarget } from './support/raw-target.js'
import { until } from './support/until.js'
import { adminSocket, upgrade } from './support/upgrade.js'

const addon = nativeAddon()!
if (addon === undefined) {
  t.pass('the addon is not built', { skip: true })
  process.exit(0)
}

/** As a service manager starts a program with sockets: the variable names the process that is to have them. */
const ACTIVATED = ['sh', '-c', 'LISTEN_PID=$$; export LISTEN_PID; exec "$@"', 'sh']

function listening(t: Test, address = '127.0.0.1'): { fd: number; port: number } {
  const fd = addon.listenTcp(address, 0, 10, 1, 0)
  t.teardown(() => addon.closeFd(fd, 0))
  const record = new Int32Array(8)
  addon.address(fd, 0, record)
  return { fd, port: record[2]! }
}

async function target(t: Test): Promise<RawTarget> {
  const target = await RawTarget.start()
  t.teardown(() => target.stop())
  return target
}

t.test('the service manager is told of start, signs of life, reloads, and stop', async (t) => {
  const perl = toolOrSkip(t, 'perl')
  if (perl === undefined) return
  const folder = mkdtempSync(join(tmpdir(), 'castor-notify-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  {
    const address = join(folder, 'notify')
    const { messages } = await NotifySocket.open(t, perl, address)
    const env = { NOTIFY_SOCKET: address, WATCHDOG_USEC: '200000' }
    const castor = await startChild(t, onePair('http', [(await target(t)).address]), { env })
    await until('two signs of life', () => messages.filter((message) => message === 'WATCHDOG=1').length >= 2)
    t.match(messages[0], /^READY=1\nSTATUS=\S/)
    castor.child.kill('SIGHUP')
    const isReload = (message: string): boolean => /^(RELOADING|READY)=1/.test(message)
    await until('the end of a reload', () => messages.filter(isReload).length >= 3)
    t.match(messages.filter(isReload).slice(1), [/^RELOADING=1\nMONOTONIC_USEC=\d+$/, /^READY=1\nSTATUS=.*unchanged/])
    castor.child.kill('SIGTERM')
    t.equal(await castor.ended(), 0)
    await until('the stop', () =>
      messages.some((message) => /^STOPPING=1\nEXTEND_TIMEOUT_USEC=12000000\n/.test(message)),
    )
  }
})

t.test(
  'after an upgrade the new process is the service: the old one says so, then the new one that it serves',
  async (t) => {
    const perl = toolOrSkip(t, 'perl')
    if (perl === undefined) return
    const address = `@castor-mainpid-${process.pid}`
    const { messages } = await NotifySocket.open(t, perl, address)
    const admin = adminSocket(t)
    const config = {
      ...onePair('http', [(await target(t)).address]),
      admin: { listen: [`unix:${admin}`, '127.0.0.1:0'] },
    }
    // The signs of life are the old process's only until then.
    const castor = await startChild(t, config, { env: { NOTIFY_SOCKET: address, WATCHDOG_USEC: '60000000' } })
    await until('readiness', () => messages.length === 1)
    const { code, stderr, pid } = await upgrade(t, `unix:${admin}`)
    t.equal(code, 0, stderr)
    await until('what both say', () => messages.length === 3, 20_000)
    t.match(messages, [/^READY=1/, `MAINPID=${pid}`, /^READY=1/])
    await until('the end of the old process', () => !castor.alive, 40_000)
    t.equal(messages.length, 3, 'which says nothing more')
  },
)

t.test('what is meant for another process is not heeded', async (t) => {
  const perl = toolOrSkip(t, 'perl')
  if (perl === undefined) return
  const address = `@castor-watchdog-${process.pid}`
  const { messages } = await NotifySocket.open(t, perl, address)
  const env = { NOTIFY_SOCKET: address, WATCHDOG_USEC: '20000', WATCHDOG_PID: '1', LISTEN_PID: '1', LISTEN_FDS: '40' }
  const castor = await startChild(t, onePair('http', [(await target(t)).address]), { env })
  await until('readiness', () => messages.length > 0)
  castor.child.kill('SIGTERM')
  t.equal(await castor.ended(), 0)
  await until('the stop', () => messages.some((message) => message.startsWith('STOPPING=1')))
  t.notOk(messages.includes('WATCHDOG=1'))
})

t.test('a service manager that cannot be reached costs a line of the log, and nothing else', async (t) => {
  const env = { NOTIFY_SOCKET: '/nonexistent/notify' }
  const castor = await startChild(t, onePair('http', [(await target(t)).address]), { env })
  t.equal((await request(castor.port(), get('/'))).status, 200)
  castor.child.kill('SIGTERM')
  t.equal(await castor.ended(), 0)
  t.equal(castor.stderr.split('the service manager cannot be told').length, 2, 'once')
})

t.test('sockets of the service manager serve the addresses they are bound to, and the admin API', async (t) => {
  const [first, second, admin] = [listening(t), listening(t), listening(t)]
  const config = {
    ...onePair('http', [(await target(t)).address], {
      listener: { listen: [`127.0.0.1:${second.port}`, `127.0.0.1:${first.port}`] },
    }),
    admin: { listen: `127.0.0.1:${admin.port}` },
  }
  const castor = await startChild(t, config, {
    within: ACTIVATED,
    env: { LISTEN_FDS: '3', LISTEN_FDNAMES: 'castor.socket:castor.socket:castor.socket' },
    descriptors: [first.fd, second.fd, admin.fd],
  })
  for (const { port } of [first, second]) t.equal((await request(port, get('/'))).status, 200)
  t.match(await fetchText(admin.port, '/readyz'), 'running')
  t.notMatch(castor.stderr, 'inherited')
})

t.test('a socket with a listener’s name serves it, wherever it is bound; what fits nothing is closed', async (t) => {
  const [named, stray] = [listening(t), listening(t)]
  const castor = await startChild(t, onePair('http', [(await target(t)).address]), {
    within: ACTIVATED,
    env: { LISTEN_FDS: '2', LISTEN_FDNAMES: 'stray:in' },
    descriptors: [stray.fd, named.fd],
  })
  t.equal(castor.port(), named.port)
  t.equal((await request(named.port, get('/'))).status, 200)
  t.match(castor.stderr, `127.0.0.1:${stray.port} (stray)`)
  t.match(castor.stderr, 'an inherited socket is for no address of the configuration')
})

t.test('nothing starts on a socket that is none to listen on', async (t) => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(`\0castor-${process.pid}`, resolve))
  t.teardown(() => server.close())
  const unix = (server as unknown as { _handle: { fd: number } })._handle.fd
  const castor = new ChildCastor([MAIN, 'start', '-c', await configFile(t, onePair('http', ['127.0.0.1:9']))], {
    within: ACTIVATED,
    env: { LISTEN_FDS: '1', LISTEN_FDNAMES: 'in' },
    descriptors: [unix],
  })
  t.teardown(() => castor.kill())
  t.equal(await castor.ended(60_000), 1)
  t.match(castor.stderr, 'descriptor 3 (in): it is no TCP socket')
})
