import { once } from 'node:events'
import t from 'tap'
import { WebSocketServer } from 'ws'
import { onePair, startBalancer } from './support/balancer.js'
import { startTestCastor, type Test } from './support/castor.js'
import { remove } from './support/operator.js'
import { get, RawClient } from './support/raw-client.js'
import { RawTarget } from './support/raw-target.js'
import { dial, echo, endingOf, readAll, TcpTarget } from './support/tcp-peers.js'
import { settled, until } from './support/until.js'

const UPGRADE = get('/', [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
])
const MUCH = 8 * 1024 * 1024

async function webSocketAddress(t: Test): Promise<string> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of server.clients) socket.terminate()
    server.close()
  })
  return `127.0.0.1:${(server.address() as { port: number }).port}`
}

t.test('an idle time-out ends both sides of a TCP connection in order', async (t) => {
  const target = await TcpTarget.start(t, () => {})
  const castor = await startBalancer(t, onePair('tcp', [target.address], { listener: { idleTimeout: '1s' } }))
  const client = await dial(castor.port)
  client.write('something that is read')
  await until('the target', () => target.sockets.length === 1)
  t.same(await Promise.all([endingOf(client), endingOf(target.sockets[0]!)]), ['end', 'end'])
})

t.test('an idle time-out ends a WebSocket in order', async (t) => {
  const castor = await startTestCastor(t, [await webSocketAddress(t)], { listener: { websocketIdleTimeout: '1s' } })
  const client = await RawClient.connect(castor.port)
  t.equal((await client.exchange(UPGRADE)).status, 101)
  t.equal(await client.ending(), 'end')
})

t.test('at the end of shutdownTimeout a reader that is behind gets what was sent to it, then the end', async (t) => {
  const target = await TcpTarget.start(t, (socket) => socket.write(Buffer.alloc(MUCH)))
  const castor = await startBalancer(t, { ...onePair('tcp', [target.address]), shutdownTimeout: '200ms' })
  const client = await dial(castor.port)
  client.pause()
  await until('the target', () => target.sockets.length === 1)
  const behind = target.sockets[0]!
  await settled('the target, with every buffer on the way full', () => behind.writableLength)
  const sent = behind.bytesWritten
  const atTarget = endingOf(behind)
  const stopping = castor.running.stop()
  t.equal(await atTarget, 'end')
  const reading = readAll(client)
  client.resume()
  const received = (await reading).length
  t.ok(received > 0 && received <= sent, `${received} bytes, and then an end`)
  await stopping
})

t.test('one that takes nothing any more holds nobody up', async (t) => {
  const target = await TcpTarget.start(t, (socket) => socket.write(Buffer.alloc(MUCH)))
  const castor = await startBalancer(t, onePair('tcp', [target.address], { listener: { idleTimeout: '1s' } }), {
    accessLog: true,
  })
  const client = await dial(castor.port)
  client.pause()
  const [record] = await castor.accessRecords(1)
  t.equal(record!.reason, 'IDLE_TIMEOUT')
  const reading = readAll(client)
  client.resume()
  // By a reset, which libuv takes for an end where it comes behind bytes.
  t.ok((await reading.catch(() => '')).length < MUCH)
  t.equal((await castor.metrics()).sum('castor_connections_active'), 0)
})

t.test('a target that reads nothing is let go of soon after its client is gone', async (t) => {
  const target = await TcpTarget.start(t, (socket) => socket.pause())
  const castor = await startBalancer(t, onePair('tcp', [target.address]), { accessLog: true })
  const client = await dial(castor.port)
  client.write(Buffer.alloc(4 * MUCH))
  // So long that it is not merely slow: the balancer must have stopped reading, or it would meet the reset itself.
  await settled('the client, with every buffer on the way full', () => client.writableLength, 1_000)
  client.resetAndDestroy()
  const [record] = await until('its record', () => castor.accessRecords(1), 15_000)
  t.equal(record!.reason, 'CLIENT_RESET')
  t.equal((await castor.metrics()).sum('castor_connections_active'), 0)
})

t.test('what is under way at a target that is removed now is told so by a reason of its own', async (t) => {
  const target = await RawTarget.start({ answer: () => {} })
  t.teardown(() => target.stop())
  const castor = await startTestCastor(t, [target.address], { accessLog: true })
  const client = await RawClient.connect(castor.port)
  client.send(get('/slow'))
  await target.received(1)
  await remove(castor, target.address, '?now=true')
  t.equal((await client.response()).status, 503)
  t.match(await castor.accessRecords(1), [{ status: 503, reason: 'TARGET_REMOVED' }])
})

t.test('a tunnel to a target that is removed now ends in order, with the same reason', async (t) => {
  const address = await webSocketAddress(t)
  const castor = await startTestCastor(t, [address], { accessLog: true })
  const client = await RawClient.connect(castor.port)
  await client.exchange(UPGRADE)
  await remove(castor, address, '?now=true')
  t.equal(await client.ending(), 'end')
  t.match(await castor.accessRecords(1), [{ status: 101, reason: 'TARGET_REMOVED' }])
})

t.test('half-close goes on to work, in either direction', async (t) => {
  const target = await TcpTarget.start(t, echo)
  const castor = await startBalancer(t, onePair('tcp', [target.address]))
  const client = await dial(castor.port)
  const answer = readAll(client)
  client.end('said')
  t.equal(String(await answer), 'said')
})
