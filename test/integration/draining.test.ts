import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import { startBalancer } from './support/balancer.js'
import { startTestCastor, type Test } from './support/castor.js'
import { patch } from './support/operator.js'
import { askTcp, type From, namedTcp, openTcp } from './support/sticky-targets.js'
import { until } from './support/until.js'
import { within } from './support/waiting.js'

// They wait more than they work.
t.jobs = 3

const DRAINING_MS = 1_500
/** Leaving targets are looked at a few times a second. */
const LATE_MS = 900

const inTime = (lastedMs: number): boolean => lastedMs >= DRAINING_MS - 50 && lastedMs <= DRAINING_MS + LATE_MS

t.test(
  'tcp: a draining target keeps its clients and their connections, until its time is over',
  { buffered: true },
  async (t) => {
    const targets = [await namedTcp(t, 'one'), await namedTcp(t, 'two')]
    const castor = await startBalancer(t, {
      workers: 2,
      listeners: [
        {
          name: 'in',
          protocol: 'tcp',
          listen: '127.0.0.1:0',
          targetGroup: 'out',
          acceptProxyProtocol: ['127.0.0.1/32'],
        },
      ],
      targetGroups: [
        {
          name: 'out',
          protocol: 'tcp',
          targets: targets.map(({ name, address }) => ({ id: name, address })),
          stickiness: { type: 'source-ip' },
          draining: `${DRAINING_MS}ms`,
        },
      ],
    })
    const { port } = castor
    const client: From = { via: 'v1', address: '192.0.2.7' }
    const { client: open, by: home } = await openTcp(port, client)
    const other = home === 'one' ? 'two' : 'one'
    const begunMs = performance.now()
    await patch(castor, home, { state: 'draining' }, 'out')
    for (let n = 1; n <= 6; n++) {
      t.equal(await askTcp(port, { via: 'v2', address: `198.51.100.${n}` }), other, 'who is new goes elsewhere')
      t.equal(await askTcp(port, client), home, 'whom it knows it keeps, also with a new connection')
    }
    open.send('still here\r\n')
    t.equal(await open.reader.line(), 'still here', 'what is open goes on')
    await open.ending()
    const lastedMs = performance.now() - begunMs
    t.comment(`closed ${Math.round(lastedMs)} ms after draining began, of ${DRAINING_MS}`)
    t.ok(inTime(lastedMs), `it had ${Math.round(lastedMs)} ms`)
    for (let i = 0; i < 3; i++) t.equal(await askTcp(port, client), other, 'then it has a new one')
    await patch(castor, home, { state: 'active' }, 'out')
    for (let i = 0; i < 3; i++) t.equal(await askTcp(port, client), other, 'and stays there')
  },
)

/** A WebSocket server that sends back what it gets. */
async function echoing(t: Test): Promise<{ server: WebSocketServer; address: string }> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  server.on('connection', (socket) => {
    socket.on('error', () => {})
    socket.on('message', (data) => socket.send(String(data)))
  })
  t.teardown(() => {
    for (const socket of server.clients) socket.terminate()
    server.close()
  })
  return { server, address: `127.0.0.1:${(server.address() as AddressInfo).port}` }
}

t.test(
  'a draining target keeps open WebSockets until its time is over, and gets no new ones',
  { buffered: true },
  async (t) => {
    const targets = [await echoing(t), await echoing(t)]
    const castor = await startTestCastor(
      t,
      targets.map(({ address }) => address),
      { workers: 2, group: { draining: `${DRAINING_MS}ms` } },
    )
    const open = async (): Promise<WebSocket> => {
      const socket = new WebSocket(`ws://127.0.0.1:${castor.port}/`)
      socket.on('error', () => {})
      t.teardown(() => socket.terminate())
      await within('open', once(socket, 'open'))
      return socket
    }
    const sockets = [await open(), await open(), await open(), await open()]
    const [leaving, staying] = targets as [(typeof targets)[0], (typeof targets)[0]]
    t.equal(leaving.server.clients.size, 2)
    t.equal(staying.server.clients.size, 2)
    const begunMs = performance.now()
    await patch(castor, leaving.address, { state: 'draining' })
    for (let i = 0; i < 4; i++) await open()
    t.equal(leaving.server.clients.size, 2, 'no new ones')
    t.equal(staying.server.clients.size, 6)
    for (const socket of sockets) {
      const back = within('an echo', once(socket, 'message'))
      socket.send('still here')
      t.equal(String((await back)[0]), 'still here')
    }
    await until('all of its own being closed', () => leaving.server.clients.size === 0)
    const lastedMs = performance.now() - begunMs
    t.comment(`closed ${Math.round(lastedMs)} ms after draining began, of ${DRAINING_MS}`)
    t.ok(inTime(lastedMs), `they had ${Math.round(lastedMs)} ms`)
    t.equal(staying.server.clients.size, 6, 'nobody else’s')
    await until('two of the clients seeing it', () => {
      return sockets.filter(({ readyState }) => readyState === WebSocket.CLOSED).length === 2
    })
  },
)
