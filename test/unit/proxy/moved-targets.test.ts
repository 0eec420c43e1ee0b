import t from 'tap'
import { FLAG, FRAME } from '../../../src/http/h2/frames.js'
import { Peer } from '../../fuzz/memory-castor.js'
import { END, framesOf, headers, PREFACE, SETTINGS_ACK, settings } from '../http/h2/rig.js'
import { MemoryThread } from './memory-thread.js'

/* A target whose name leads to another address from some moment on. */

const HERE = '192.0.2.11'
const ELSEWHERE = '192.0.2.12'

const fileOf = (protocol: string) => ({
  listeners: [{ name: 'web', protocol: 'http', listen: '192.0.2.1:80', targetGroup: 'one' }],
  targetGroups: [
    {
      name: 'one',
      protocol,
      healthCheck: { protocol: 'off' },
      retries: 'off',
      targets: [{ id: 'it', address: `${HERE}:80` }],
    },
  ],
})

function move(memory: MemoryThread, protocol: string): void {
  const { targets, ...orders } = memory.prepare(fileOf(protocol))
  const moved = targets.map((list) => ({
    ...list,
    version: list.version + 1,
    targets: list.targets.map((target) => ({ ...target, address: ELSEWHERE })),
  }))
  memory.thread.apply({ ...orders, targets: moved, tls: { listeners: [], groups: [] } })
  memory.transport.flush()
}

/** Targets at both addresses that speak HTTP/2, the first only when it is told to. */
function speakHttp2(memory: MemoryThread, isSilent: () => boolean): { address: string; peer: Peer }[] {
  const { transport } = memory
  const opened: { address: string; peer: Peer }[] = []
  for (const address of [HERE, ELSEWHERE]) {
    transport.unlisten(address, 80)
    transport.listen(address, 80, (records, socket) => {
      const peer = new Peer((handler) => transport.adopt(records, 0, socket, handler))
      opened.push({ address, peer })
      if (address === HERE && isSilent()) return
      peer.send(Buffer.concat([settings(), SETTINGS_ACK]))
      peer.onData = (_conn, buffer, length) => {
        const bytes = Buffer.from(buffer.subarray(0, length))
        const isFirst = bytes.subarray(0, PREFACE.length).equals(PREFACE)
        for (const { type, id, flags } of framesOf(isFirst ? bytes.subarray(PREFACE.length) : bytes)) {
          const fields = [
            [':status', '200'],
            ['x-from', address],
          ] as const
          if (type === FRAME.HEADERS) peer.send(headers(id, fields, END))
          else if (type === FRAME.SETTINGS && (flags & FLAG.ACK) === 0) peer.send(SETTINGS_ACK)
        }
      }
    })
  }
  return opened
}

t.test('the next request of a client that has logged in goes where its target is now', async (t) => {
  const memory = new MemoryThread(fileOf('http'))
  memory.answering = true
  memory.transport.listen(ELSEWHERE, 80, (records, socket) => {
    const peer = new Peer((handler) => memory.transport.adopt(records, 0, socket, handler))
    peer.onData = () => peer.send('HTTP/1.1 200 OK\r\nX-From: elsewhere\r\nContent-Length: 0\r\n\r\n')
  })
  const client = memory.connect(80)
  const login = 'GET / HTTP/1.1\r\nHost: h\r\nAuthorization: NTLM alice\r\n\r\n'
  for (let n = 0; n < 2; n++) await memory.send(client, login)
  t.equal(memory.targets.length, 1, 'on a connection of its own')
  move(memory, 'http')
  await memory.send(client, login)
  t.match(client.received, /X-From: elsewhere\r\n.*$/is)
  t.not(memory.targets[0]!.ended, '', 'and that connection is closed')
  client.conn.abort()
  await memory.settle()
})

t.test('an HTTP/2 connection to where a target was takes no further request', async (t) => {
  const memory = new MemoryThread(fileOf('h2c'))
  const opened = speakHttp2(memory, () => false)
  const client = memory.connect(80)
  t.match(await memory.get(client), new RegExp(`x-from: ${HERE}`))
  move(memory, 'h2c')
  t.match(await memory.get(client), new RegExp(`x-from: ${ELSEWHERE}`))
  t.same(
    opened.map(({ address }) => address),
    [HERE, ELSEWHERE],
  )
  client.conn.abort()
  await memory.settle()
})

t.test('a request that waits for a connection to where its target was is served where it is', async (t) => {
  const memory = new MemoryThread(fileOf('h2c'))
  const opened = speakHttp2(memory, () => true)
  const client = memory.connect(80)
  t.equal(await memory.get(client), '', 'it waits')
  move(memory, 'h2c')
  await memory.settle()
  t.match(client.received, new RegExp(`^HTTP/1.1 200 .*x-from: ${ELSEWHERE}`, 's'))
  t.not(opened[0]!.peer.ended, '')
  client.conn.abort()
  await memory.settle()
})
