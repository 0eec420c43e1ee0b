import { connect } from 'node:net'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { SharedListeningSockets } from '../../src/control/shared-listening.js'
import { SystemClock } from '../../src/core/clock.js'
import type { ProxyTask } from '../../src/core/messages.js'
import { SocketTransport } from '../../src/net/socket-transport.js'
import { ClientSources } from '../../src/proxy/client-sources.js'
import { Columns, createSharedCounters } from '../../src/shm/columns.js'
import { openIntake } from '../../workers/proxy/adopt.js'
import type { ProxyThread } from '../../workers/proxy/proxy-thread.js'

/** A thread that takes connections in for a bind of this listener; without one it does not know the bind. */
async function intake(t: Test, listener: unknown) {
  // The sockets' helper keeps no process alive.
  const alive = setInterval(() => {}, 1_000)
  t.teardown(() => clearInterval(alive))
  const sockets = new SharedListeningSockets()
  t.teardown(() => sockets.close())
  const listening = await sockets.open({
    address: '127.0.0.1',
    port: 0,
    backlog: 16,
    ipv6Only: false,
    deferAcceptSeconds: 0,
  })
  const transport = new SocketTransport(new SystemClock())
  t.teardown(() => transport.dispose())
  const columns = new Columns(
    createSharedCounters({ workers: 1, listeners: 1, series: 1, rules: 1, groups: 1, targets: 1, sessions: 1 }),
  )
  const log = pino({ level: 'silent' })
  const none = { items: [], ranges: { v4: new Uint32Array(0), v6: new Uint32Array(0) } }
  const limits = {
    allow: none,
    deny: none,
    connectionsPerSource: 5,
    newConnectionsPerSource: Number.POSITIVE_INFINITY,
    handshakesPerSource: Number.POSITIVE_INFINITY,
    requestsPerSource: Number.POSITIVE_INFINITY,
  }
  const sources = new ClientSources(columns.shared.sources, 1, limits, new SystemClock(), log)
  const said: string[] = []
  const { address, port } = listening
  const thread = {
    context: { transport, columns, sources },
    live: { bind: () => listener && { address, port, listener } },
    maxConnections: 10,
    log: pino({}, { write: (line: string) => said.push(line) }),
  } as unknown as ProxyThread
  const task = {
    listeningFds: [await listening.duplicate()],
    snapshot: {
      listeners: [{ config: { keepAliveSeconds: 0 } }],
      binds: [{ slot: 0, listener: 0, address, port }],
    },
  } as unknown as ProxyTask
  const opened = await openIntake(task, thread)
  t.teardown(() => opened.stop())
  const client = connect(port, '127.0.0.1')
  client.on('error', () => {})
  await new Promise((resolve) => client.once('close', resolve))
  return said.join('')
}

t.test('a fault while a connection is taken in costs that connection: it is closed, and counted out', async (t) => {
  let open = 0
  const nobody = { has: () => false }
  const limits = { connections: 10 }
  const listener = (proxied: object, config: object = { limits }) => ({
    slot: 0,
    name: 'web',
    connectionOpened: () => open++,
    connectionClosed: () => open--,
    route: {
      settings: {
        trusted: nobody,
        proxied,
        config,
      },
    },
  })
  const fault = (): never => {
    throw new Error('a fault made for a test')
  }
  const faults = [
    ['who may come in', listener({ has: fault })],
    [
      'what it is served by',
      listener(nobody, {
        limits,
        get tls() {
          return fault()
        },
      }),
    ],
  ] as const
  for (const [what, each] of faults) {
    const said = await intake(t, each)
    t.equal(open, 0, what)
    t.match(said, /a fault made for a test.*a connection could not be taken in/, what)
  }
})

t.test('a connection to an address that was gone before its thread began is closed', async (t) => {
  t.equal(await intake(t, undefined), '')
})
