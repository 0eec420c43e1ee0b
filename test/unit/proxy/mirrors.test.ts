import t from 'tap'
import { ManualClock } from '../../../src/core/clock.js'
import type { SocketShare } from '../../../src/core/conn.js'
import { FRAME } from '../../../src/http/h2/frames.js'
import { DialRoom } from '../../../src/net/dial-room.js'
import { MIRROR_RESULTS, SERIES_MIRRORED } from '../../../src/shm/layout.js'
import { Peer } from '../../fuzz/memory-castor.js'
import { END, framesOf, headers, PREFACE, SETTINGS_ACK, settings } from '../http/h2/rig.js'
import { MemoryThread } from './memory-thread.js'

const A = '192.0.2.11'
const B = '192.0.2.12'
const group = (name: string, address: string, more: object = {}): Record<string, unknown> => ({
  name,
  protocol: 'http',
  healthCheck: { protocol: 'off' },
  targets: [{ address: `${address}:80` }],
  ...more,
})

/** A thread whose requests go to A, and copies of them to B. */
const mirroring = (requestHeaders: object = {}, shadow: object = {}): MemoryThread =>
  new MemoryThread({
    listeners: [
      {
        name: 'web',
        protocol: 'http',
        listen: '192.0.2.1:80',
        targetGroup: 'one',
        rules: [{ match: { path: '/*' }, forward: 'one', mirror: 'two', requestHeaders }],
      },
    ],
    targetGroups: [group('one', A), group('two', B, shadow)],
  })

/** Of all series: sent, dropped, failed. */
function counts({ columns, snapshot }: MemoryThread): number[] {
  return MIRROR_RESULTS.map((_, result) =>
    snapshot.series.reduce((sum, entry) => sum + columns.series(entry!.slot).sum(SERIES_MIRRORED + result), 0),
  )
}

t.test('a copy opens no socket that a client’s request may need', async (t) => {
  const memory = mirroring()
  let share: SocketShare | undefined
  let mayHold = false
  memory.transport.mayHold = ((asked: SocketShare | undefined) => {
    share = asked
    return mayHold
  }) as () => boolean
  const client = memory.connect(80)
  t.match(await memory.get(client), new RegExp(`200 OK.*${A}$`, 's'))
  t.same(counts(memory), [0, 1, 0])
  t.equal(
    memory.targets.some(({ address }) => address === B),
    false,
    'nothing was dialled',
  )
  mayHold = true
  t.match(await memory.get(client), new RegExp(`200 OK.*${A}$`, 's'))
  t.same(counts(memory), [1, 1, 0])
  const room = new DialRoom(new ManualClock())
  const free = (count: number): void => {
    room.budget = { free: count, use: () => {}, wait: () => {} }
  }
  for (const [count, may] of [
    [0, false],
    [1, false],
    [7, false],
    [8, true],
  ] as const) {
    free(count)
    t.equal(room.mayHold(share), may, `${count} free`)
  }
})

t.test('a copy waits in no queue', async (t) => {
  const memory = mirroring({}, { maxConnectionsPerTarget: 1, queue: { size: 10 } })
  memory.answering = false
  const clients = [memory.connect(80), memory.connect(80)]
  for (const client of clients) await memory.get(client)
  t.same(counts(memory), [0, 1, 0], 'the target of the mirror is full')
  for (const target of memory.targets) if (target.address === A) await memory.answer(target)
  for (const client of clients) t.match(client.received, /200 OK/)
})

t.test('the mirror gets header fields and trailers as they were edited', async (t) => {
  const memory = mirroring({ set: { 'x-tier': 'gold' }, remove: ['x-debug'] })
  memory.answering = false
  const client = memory.connect(80)
  await memory.send(
    client,
    'POST / HTTP/1.1\r\nHost: h\r\nX-Debug: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Debug: 2\r\nX-Sum: 3\r\n\r\n',
  )
  const [main, shadow] = [A, B].map((address) => memory.targets.find((target) => target.address === address)!.received)
  t.match(main, /x-tier: gold/)
  t.match(main, /X-Sum: 3/i)
  t.notMatch(main, /X-Debug/i)
  t.equal(shadow, main)
})

const CHALLENGE = 'WWW-Authenticate: NTLM\r\n'

for (const [what, line, answers] of [
  ['an answer', '', `HTTP/1.1 401 Unauthorized\r\n${CHALLENGE}Content-Length: 0\r\n\r\n`],
  [
    'an interim response',
    '',
    `HTTP/1.1 103 Early Hints\r\n${CHALLENGE}\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n`,
  ],
  ['credentials', 'Authorization: Negotiate alice\r\n', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'],
] as const) {
  t.test(`a mirror's connection that is authenticated serves nobody else: ${what}`, async (t) => {
    const memory = mirroring()
    const client = memory.connect(80)
    const shadows = () => memory.targets.filter(({ address }) => address === B)
    memory.answering = false
    for (let n = 1; n <= 2; n++) {
      await memory.send(client, `GET / HTTP/1.1\r\nHost: h\r\n${line}\r\n`)
      for (const target of memory.targets) if (target.address === A && target.waiting > 0) await memory.answer(target)
      shadows().at(-1)!.send(answers)
      await memory.settle()
      t.equal(shadows().length, n, 'each copy has one of its own')
      t.not(shadows().at(-1)!.ended, '', 'which is closed behind it')
    }
    t.same(counts(memory), [2, 0, 0])
    client.conn.abort()
    await memory.settle()
  })
}

t.test("a mirror's HTTP/2 connection on which its target wants a login takes no other copy", async (t) => {
  for (const [fields, connections] of [
    [[[':status', '200']], 1],
    [
      [
        [':status', '401'],
        ['www-authenticate', 'Negotiate'],
      ],
      2,
    ],
  ] as const) {
    const memory = mirroring({}, { protocol: 'h2c' })
    const { transport } = memory
    let opened = 0
    transport.unlisten(B, 80)
    transport.listen(B, 80, (records, socket) => {
      opened++
      const peer = new Peer((handler) => transport.adopt(records, 0, socket, handler))
      peer.send(Buffer.concat([settings(), SETTINGS_ACK]))
      peer.onData = (_conn, buffer, length) => {
        const bytes = Buffer.from(buffer.subarray(0, length))
        const isFirst = bytes.subarray(0, PREFACE.length).equals(PREFACE)
        for (const { type, id } of framesOf(isFirst ? bytes.subarray(PREFACE.length) : bytes))
          if (type === FRAME.HEADERS) peer.send(headers(id, fields, END))
      }
    })
    const client = memory.connect(80)
    for (let n = 0; n < 2; n++) t.match(await memory.get(client), / 200 OK/)
    await memory.elapse(200)
    t.same(counts(memory), [2, 0, 0])
    t.equal(opened, connections, `after ${fields[0]}`)
    client.conn.abort()
    await memory.settle()
  }
})
