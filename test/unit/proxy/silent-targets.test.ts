import t from 'tap'
import { FLAG, FRAME } from '../../../src/http/h2/frames.js'
import { Peer } from '../../fuzz/memory-castor.js'
import { END, frame, framesOf, GET, headers, PREFACE, SETTINGS_ACK, settings } from '../http/h2/rig.js'
import { MemoryThread } from './memory-thread.js'

const TARGET = '192.0.2.11'
/** `:status: 200`, as HPACK's static table has it. */
const STATUS_200 = Buffer.of(0x88)

/** An h2c target that begins its answers, answers PINGs, and says nothing else. */
class SilentTarget {
  pings = 0
  readonly #peer: Peer
  readonly #streams: number[] = []

  constructor(connect: ConstructorParameters<typeof Peer>[0]) {
    this.#peer = new Peer(connect)
    this.#peer.send(Buffer.concat([settings(), SETTINGS_ACK]))
    this.#peer.onData = (_conn, buffer, length) => this.#read(Buffer.from(buffer.subarray(0, length)))
  }

  /** Something of its own: a piece of an answer. */
  speak(): void {
    this.#peer.send(frame(FRAME.DATA, 0, this.#streams[0]!, Buffer.from('an event')))
  }

  #read(bytes: Buffer): void {
    const isFirst = bytes.subarray(0, PREFACE.length).equals(PREFACE)
    for (const { type, flags, id, payload } of framesOf(isFirst ? bytes.subarray(PREFACE.length) : bytes)) {
      if (type === FRAME.HEADERS) {
        this.#streams.push(id)
        this.#peer.send(frame(FRAME.HEADERS, FLAG.END_HEADERS, id, STATUS_200))
      } else if (type === FRAME.PING && (flags & FLAG.ACK) === 0) {
        this.pings++
        this.#peer.send(frame(FRAME.PING, FLAG.ACK, 0, payload))
      }
    }
  }
}

t.test('a target that answers PINGs and says nothing else is asked ever more seldom, until it speaks', async (t) => {
  const memory = new MemoryThread({
    listeners: [
      {
        name: 'web',
        protocol: 'http',
        listen: '192.0.2.1:80',
        targetGroup: 'one',
        http2: { stallTimeout: '1h' },
        idleTimeout: '1h',
      },
    ],
    targetGroups: [
      {
        name: 'one',
        protocol: 'h2c',
        healthCheck: { protocol: 'off' },
        http2: { pingAfter: '10s' },
        targets: [{ address: `${TARGET}:80` }],
      },
    ],
  })
  const { transport } = memory
  const targets: SilentTarget[] = []
  transport.unlisten(TARGET, 80)
  transport.listen(TARGET, 80, (records, socket) => {
    targets.push(new SilentTarget((handler) => transport.adopt(records, 0, socket, handler)))
  })
  const client = memory.connect(80)
  await memory.send(client, Buffer.concat([PREFACE, settings(), SETTINGS_ACK, headers(1, GET, END)]))
  const [target] = targets
  /** When it was asked, in seconds. */
  const asked: number[] = []
  const pass = async (seconds: number): Promise<void> => {
    for (let n = 1; n <= seconds; n++) {
      const before = target!.pings
      await memory.elapse(1_000)
      if (target!.pings > before) asked.push(n)
    }
  }
  await pass(300)
  t.equal(asked.length, 3, `asked after ${asked} seconds`)
  t.ok(asked[1]! - asked[0]! > 35 && asked[2]! - asked[1]! > 140, `ever more seldom: ${asked}`)
  asked.length = 0
  target!.speak()
  await pass(30)
  t.ok(asked[0]! >= 9 && asked[0]! <= 12, `and soon again once it has said something: ${asked}`)
  t.equal(targets.length, 1)
  client.conn.abort()
  await memory.settle()
})

t.test('who waits for a connection on which its target never speaks is told that it took too long', async (t) => {
  const memory = new MemoryThread({
    log: { access: 'stdout' },
    listeners: [{ name: 'web', protocol: 'http', listen: '192.0.2.1:80', targetGroup: 'one' }],
    targetGroups: [
      {
        name: 'one',
        protocol: 'h2c',
        healthCheck: { protocol: 'off' },
        retries: 'off',
        timeouts: { connect: '2s' },
        targets: [{ address: `${TARGET}:80` }],
      },
    ],
  })
  const { transport } = memory
  let dials = 0
  transport.unlisten(TARGET, 80)
  transport.listen(TARGET, 80, (records, socket) => {
    dials++
    new Peer((handler) => transport.adopt(records, 0, socket, handler))
  })
  // The second comes shortly before the time of the connection that it waits for is over.
  const clients = [memory.connect(80), memory.connect(80)]
  for (const client of clients) {
    await memory.get(client)
    await memory.elapse(1_700)
  }
  t.equal(dials, 1)
  for (const { received } of clients) t.match(received, /^HTTP\/1\.1 504 /)
  for (const client of clients) client.conn.abort()
  await memory.settle()
})
