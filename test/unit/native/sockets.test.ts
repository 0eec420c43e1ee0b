import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import t from 'tap'
import { RECORD_PORT, RECORD_WORDS, recordPeer } from '../../../src/core/connection-record.js'
import { EVENT_BATCH, EVENT_WORDS, nativeAddon } from '../../../src/native/addon.js'

const addon = nativeAddon()
if (addon === undefined) {
  t.pass('the addon is not built', { skip: true })
  process.exit(0)
}

const O_CLOEXEC = 0o2000000
const O_NONBLOCK = 0o4000

function flagsOf(fd: number): number {
  const found = /^flags:\s+(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))
  return Number.parseInt(found![1]!, 8)
}

function boundPort(fd: number): number {
  const record = new Int32Array(RECORD_WORDS)
  addon!.address(fd, 0, record)
  return record[RECORD_PORT]!
}

t.test('no descriptor is inherited by child processes, and sockets never block', async (t) => {
  const listening = addon.listenTcp('127.0.0.1', 0, 10, 1, 0)
  const connecting = addon.connectTcp('127.0.0.1', boundPort(listening))
  const copy = addon.duplicate(listening)
  const waker = addon.openWaker()
  for (const [what, fd] of Object.entries({ listening, connecting, copy, waker })) {
    t.ok(fd >= 0, what)
    t.ok((flagsOf(fd) & O_CLOEXEC) !== 0, `${what} closes on exec`)
    t.ok((flagsOf(fd) & O_NONBLOCK) !== 0, `${what} does not block`)
    t.equal(addon.closeFd(fd, 0), 0)
  }
})

t.test('a duplicate is the same socket and lives on by itself', async (t) => {
  const listening = addon.listenTcp('127.0.0.1', 0, 10, 1, 0)
  const copy = addon.duplicate(listening)
  t.not(copy, listening)
  t.equal(boundPort(copy), boundPort(listening))
  addon.closeFd(listening, 0)
  const client = connect(boundPort(copy), '127.0.0.1')
  await once(client, 'connect')
  client.destroy()
  addon.closeFd(copy, 0)
})

t.test('bytes, what is unread of them, errors and addresses of a socket', async (t) => {
  const server = createServer({ allowHalfOpen: true })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const port = (server.address() as { port: number }).port
  const readBuffer = new Uint8Array(100)
  const events = new Int32Array(EVENT_BATCH * EVENT_WORDS)
  let ready = (): void => {}
  addon.pollerOpen(events, readBuffer, new Uint8Array(10), () => ready())
  const readable = (): Promise<void> =>
    new Promise((resolve) => {
      ready = resolve
    })

  const fd = addon.connectTcp('127.0.0.1', port)
  t.equal(addon.adopt(fd, 7), 0)
  const [peer] = (await once(server, 'connection')) as [Socket]
  peer.on('error', () => {})
  t.equal(addon.socketError(fd), 0)
  const record = new Int32Array(RECORD_WORDS)
  t.equal(addon.address(fd, 1, record), 0)
  t.same(recordPeer(record, 0), { family: 4, address: '127.0.0.1', port })
  t.equal(addon.address(fd, 0, record), 0)
  t.same(recordPeer(record, 0), { family: 4, address: '127.0.0.1', port: peer.remotePort })

  t.equal(addon.unread(fd), 0)
  const some = readable()
  peer.write('some bytes')
  await some
  t.equal(addon.unread(fd), 10)
  t.equal(addon.receive(fd, 4), 4)
  t.equal(Buffer.from(readBuffer.subarray(0, 4)).toString(), 'some')
  t.equal(addon.unread(fd), 6)

  t.equal(addon.send(fd, 0, 0, 4), 4, 'on from the read buffer')
  t.equal(addon.sendFrom(fd, new TextEncoder().encode('[done]'), 1, 5), 4)
  t.equal(addon.shutdownWrite(fd), 0)
  let text = ''
  peer.on('data', (chunk) => {
    text += chunk
  })
  await once(peer, 'end')
  t.equal(text, 'somedone')
  t.equal(addon.sendFrom(fd, new Uint8Array(1), 0, 1), -32, 'EPIPE as a number, not as a signal')

  const gone = readable()
  peer.resetAndDestroy()
  await gone
  const tag = events[1]
  t.equal(tag, 7)
  t.equal(addon.socketError(fd), -104)
  t.equal(addon.socketError(fd), 0, 'cleared by asking')
  t.equal(addon.drop(fd, 0), 0)
  t.equal(addon.unread(fd), -9)
  addon.pollerClose()
  server.close()
})

t.test('a waker wakes as often as it is used, and nobody else', async (t) => {
  const events = new Int32Array(EVENT_BATCH * EVENT_WORDS)
  const waker = addon.openWaker()
  const other = addon.openWaker()
  const woken: number[] = []
  let tell = (): void => {}
  addon.pollerOpen(events, new Uint8Array(1), new Uint8Array(1), (count) => {
    for (let i = 0; i < count; i++) woken.push(events[i * EVENT_WORDS]!)
    tell()
  })
  addon.watch(waker)
  addon.watch(other)
  for (let round = 0; round < 3; round++) {
    const next = new Promise<void>((resolve) => {
      tell = resolve
    })
    t.equal(addon.wake(waker), 0)
    t.equal(addon.wake(waker), 0)
    await next
  }
  t.same(woken, [waker, waker, waker])
  addon.release(waker)
  addon.wake(waker)
  t.equal(addon.collect(), 0, 'released')
  addon.pollerClose()
  for (const fd of [waker, other]) t.equal(addon.closeFd(fd, 0), 0)
})

t.test('the poller may be closed, and another opened, from within its own callback', async (t) => {
  const events = new Int32Array(EVENT_BATCH * EVENT_WORDS)
  const waker = addon.openWaker()
  const buffer = new Uint8Array(10)
  for (let round = 0; round < 20; round++) {
    await new Promise<void>((resolve) => {
      addon.pollerOpen(events, buffer, buffer, () => {
        addon.pollerClose()
        t.equal(
          addon.pollerOpen(events, buffer, buffer, () => t.fail('the second has nothing to watch')),
          0,
        )
        addon.pollerClose()
        resolve()
      })
      addon.watch(waker)
      addon.wake(waker)
    })
  }
  addon.closeFd(waker, 0)
})
