import t from 'tap'
import { FLAG, FRAME, SETTING } from '../../../src/http/h2/frames.js'
import { SHARE_BYTES } from '../../../src/proxy/h2/ahead.js'
import { Peer } from '../../fuzz/memory-castor.js'
import { encode, type Field, frame, framesOf, GET, PREFACE, SETTINGS_ACK, settings } from '../http/h2/rig.js'
import { MemoryThread } from './memory-thread.js'

const TARGET = '192.0.2.11'
const STREAMS = 20
const PIECE = Buffer.alloc(8_192, 'x')
/** `:status: 200`, as HPACK's static table has it. */
const STATUS_200 = Buffer.of(0x88)

/** An h2c target that answers without end, as fast as the windows that it is given allow. */
class EagerTarget {
  /** Bytes of each stream's answer that went out. */
  readonly sent = new Map<number, number>()
  readonly #windows = new Map<number, number>()
  readonly #peer: Peer
  #initialWindow = 65_535
  #window = 65_535

  constructor(connect: ConstructorParameters<typeof Peer>[0]) {
    this.#peer = new Peer(connect)
    this.#peer.send(Buffer.concat([settings(), SETTINGS_ACK]))
    this.#peer.onData = (_conn, buffer, length) => this.#read(Buffer.from(buffer.subarray(0, length)))
  }

  #read(bytes: Buffer): void {
    const isFirst = bytes.subarray(0, PREFACE.length).equals(PREFACE)
    for (const { type, flags, id, payload } of framesOf(isFirst ? bytes.subarray(PREFACE.length) : bytes)) {
      if (type === FRAME.SETTINGS && (flags & FLAG.ACK) === 0) this.#take(payload)
      else if (type === FRAME.WINDOW_UPDATE && id === 0) this.#window += payload.readUInt32BE(0)
      else if (type === FRAME.WINDOW_UPDATE) this.#windows.set(id, this.#windows.get(id)! + payload.readUInt32BE(0))
      else if (type === FRAME.HEADERS) {
        this.#windows.set(id, this.#initialWindow)
        this.sent.set(id, 0)
        this.#peer.send(frame(FRAME.HEADERS, FLAG.END_HEADERS, id, STATUS_200))
      }
    }
    this.#answer()
  }

  #take(pairs: Buffer): void {
    for (let at = 0; at < pairs.length; at += 6) {
      if (pairs.readUInt16BE(at) === SETTING.INITIAL_WINDOW_SIZE) this.#initialWindow = pairs.readUInt32BE(at + 2)
    }
  }

  #answer(): void {
    for (const [id, window] of this.#windows) {
      for (let left = window; left >= PIECE.length && this.#window >= PIECE.length; left -= PIECE.length) {
        this.#peer.send(frame(FRAME.DATA, 0, id, PIECE))
        this.#window -= PIECE.length
        this.sent.set(id, this.sent.get(id)! + PIECE.length)
        this.#windows.set(id, left - PIECE.length)
      }
    }
  }
}

t.test('an h2c target sends of an answer that nobody reads as much as a stream’s share, and no more', async (t) => {
  const memory = new MemoryThread({
    listeners: [{ name: 'web', protocol: 'http', listen: '192.0.2.1:80', targetGroup: 'one', http2: true }],
    targetGroups: [
      {
        name: 'one',
        protocol: 'h2c',
        healthCheck: { protocol: 'off' },
        targets: [{ address: `${TARGET}:80` }],
      },
    ],
  })
  const { transport } = memory
  const targets: EagerTarget[] = []
  transport.unlisten(TARGET, 80)
  transport.listen(TARGET, 80, (records, socket) => {
    targets.push(new EagerTarget((handler) => transport.adopt(records, 0, socket, handler)))
  })
  const client = memory.connect(80)
  const fields = GET.map(([name, value]): Field => [name, name === ':scheme' ? 'http' : value])
  const requests = Array.from({ length: STREAMS }, (_, n) =>
    frame(FRAME.HEADERS, FLAG.END_HEADERS | FLAG.END_STREAM, 2 * n + 1, encode(fields)),
  )
  // It opens no window for the answers.
  await memory.send(
    client,
    Buffer.concat([PREFACE, settings([SETTING.INITIAL_WINDOW_SIZE, 0]), SETTINGS_ACK, ...requests]),
  )
  await memory.elapse(1_000)
  const sent = targets.flatMap((target) => [...target.sent.values()])
  t.equal(sent.length, STREAMS)
  t.ok(
    sent.every((bytes) => bytes > 0 && bytes <= 2 * SHARE_BYTES),
    sent.join(' '),
  )
  t.equal(client.ended, '')
})
