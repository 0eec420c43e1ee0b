import { queryObjects } from 'node:v8'
import t from 'tap'
import { FLAG, FRAME } from '../../../src/http/h2/frames.js'
import { ClientStream } from '../../../src/proxy/h2/client-stream.js'
import { TargetStream } from '../../../src/proxy/h2/target-stream.js'
import { Peer } from '../../fuzz/memory-castor.js'
import { encode, type Field, frame, framesOf, GET, PREFACE, SETTINGS_ACK, settings } from '../http/h2/rig.js'
import { MemoryThread } from './memory-thread.js'

const TARGET = '192.0.2.11'
const BURST = 60

const file = (listener: object, group: object) => ({
  listeners: [{ name: 'web', protocol: 'http', listen: '192.0.2.1:80', targetGroup: 'one', ...listener }],
  targetGroups: [
    {
      name: 'one',
      protocol: 'http',
      healthCheck: { protocol: 'off' },
      targets: [{ address: `${TARGET}:80` }],
      ...group,
    },
  ],
})

/** Those that anything refers to, after a collection. */
const alive = (kind: new (...given: never[]) => object): number => queryObjects(kind) as number

t.test('a client’s connection keeps no more spare streams than it had at once lately', async (t) => {
  const memory = new MemoryThread(file({ http2: true }, {}))
  const client = memory.connect(80)
  let id = -1
  const fields = GET.map(([name, value]): Field => [name, name === ':scheme' ? 'http' : value])
  const request = (): Buffer => frame(FRAME.HEADERS, FLAG.END_HEADERS | FLAG.END_STREAM, (id += 2), encode(fields))
  await memory.send(
    client,
    Buffer.concat([PREFACE, settings(), SETTINGS_ACK, ...Array.from({ length: BURST }, request)]),
  )
  const answers = (): number => client.received.split(TARGET).length - 1
  t.equal(answers(), BURST)
  t.equal(alive(ClientStream), BURST)
  for (let n = 1; n <= 12; n++) {
    await memory.elapse(1_000)
    await memory.send(client, request())
    t.equal(answers(), BURST + n)
  }
  t.equal(client.ended, '')
  t.ok(alive(ClientStream) <= 2, `${alive(ClientStream)} streams where there is one at a time`)
})

t.test('a target keeps no more spare streams than were wanted at once lately', async (t) => {
  const memory = new MemoryThread(file({}, { protocol: 'h2c' }))
  const { transport } = memory
  const waiting: number[] = []
  transport.unlisten(TARGET, 80)
  const targets: Peer[] = []
  transport.listen(TARGET, 80, (records, socket) => {
    const target = new Peer((handler) => transport.adopt(records, 0, socket, handler))
    targets.push(target)
    target.send(Buffer.concat([settings(), SETTINGS_ACK]))
    target.onData = (_conn, buffer, length) => {
      const bytes = Buffer.from(buffer.subarray(0, length))
      const isFirst = bytes.subarray(0, PREFACE.length).equals(PREFACE)
      for (const { type, id } of framesOf(isFirst ? bytes.subarray(PREFACE.length) : bytes)) {
        if (type === FRAME.HEADERS) waiting.push(id)
      }
    }
  })
  /** 204 without a body, to all. */
  const answer = async (): Promise<void> => {
    const flags = FLAG.END_HEADERS | FLAG.END_STREAM
    for (const id of waiting.splice(0)) targets[0]!.send(frame(FRAME.HEADERS, flags, id, Buffer.of(0x89)))
    await memory.settle()
  }
  const clients = Array.from({ length: BURST }, () => memory.connect(80))
  for (const client of clients) await memory.get(client)
  t.equal(waiting.length, BURST)
  await answer()
  t.ok(clients.every(({ received }) => received.startsWith('HTTP/1.1 204 ')))
  t.equal(alive(TargetStream), BURST)
  for (let n = 0; n < 12; n++) {
    await memory.elapse(1_000)
    await memory.get(clients[0]!)
    await answer()
  }
  t.equal(targets.length, 1, 'all on one connection')
  t.equal(clients[0]!.received.split('HTTP/1.1 204 ').length - 1, 13)
  t.ok(alive(TargetStream) <= 2, `${alive(TargetStream)} streams where there is one at a time`)
})
