import type { H2Role, H2Stream } from '../../src/http/h2/engine.js'
import type { FieldList } from '../../src/http/h2/field-list.js'
import { FLAG, FRAME } from '../../src/http/h2/frames.js'
import {
  type Field,
  fieldList,
  frame,
  GET,
  headers,
  OK,
  PREFACE,
  Recorder,
  Rig,
  SETTINGS_ACK,
  settings,
  uint32,
} from '../unit/http/h2/rig.js'

type Random = () => number

const MOST_FRAMES = 60
const REQUESTS_OF_A_CLIENT = 4
const MAX_STREAMS = 8
const WINDOW_BYTES = 5000

const pick = <T>(random: Random, of: readonly T[]): T => of[Math.floor(random() * of.length)]!
const below = (random: Random, limit: number): number => Math.floor(random() * limit)

const BLOCKS: readonly (readonly Field[])[] = [
  GET,
  OK,
  [[':status', '103']],
  [['x-sum', '1']],
  [],
  [...GET, ['x-large', 'x'.repeat(3000)]],
]
const ODD_NUMBERS = [0, 1, 5, 100, 16_383, 16_384, 65_535, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1]
const ODD_IDS = [0, 1, 2, 41, 2 ** 31 - 1]

/** Makes frames that fit what went before, but for a few. */
class Peer {
  readonly #random: Random
  readonly #oddity: number
  /** Streams there may be something to say about. */
  readonly #open: number[]
  #lastId: number

  constructor(random: Random, role: H2Role) {
    this.#random = random
    this.#oddity = pick(random, [0, 0.01, 0.1])
    this.#open = role === 'client' ? [1, 3, 5, 7] : []
    this.#lastId = role === 'client' ? 7 : -1
  }

  frame(): Buffer {
    const random = this.#random
    if (this.#odd()) return frame(below(random, 20), below(random, 256), this.#id(), Buffer.alloc(below(random, 12)))
    if (this.#open.length === 0 && this.#lastId < 7) return this.#head()
    switch (below(random, 16)) {
      case 0:
      case 1:
        return this.#head()
      case 2:
      case 3:
      case 4:
        return frame(FRAME.DATA, 0, this.#id(), Buffer.alloc(pick(random, [0, 1, 10, 400])))
      case 5:
        return frame(
          FRAME.DATA,
          FLAG.PADDED,
          this.#id(),
          Buffer.from([this.#odd() ? 9 : below(random, 6), 0, 0, 0, 0, 0]),
        )
      case 6:
        return frame(FRAME.DATA, FLAG.END_STREAM, this.#lastOf(), Buffer.alloc(below(random, 3)))
      case 7:
        return headers(this.#lastOf(), pick(random, BLOCKS), this.#odd() ? 0 : FLAG.END_STREAM)
      case 8:
        return frame(FRAME.WINDOW_UPDATE, 0, pick(random, [0, this.#id()]), uint32(this.#number(1000)))
      case 9:
        return frame(FRAME.RST_STREAM, 0, this.#lastOf(), uint32(below(random, 16)))
      case 10:
        return settings([4, this.#number(40_000)], [1, this.#number(5000)], [3, this.#number(10)])
      case 11:
        return frame(FRAME.PING, pick(random, [0, 1]), 0, Buffer.alloc(8, below(random, 256)))
      case 12:
        return frame(FRAME.PRIORITY, 0, this.#id(), Buffer.alloc(5, below(random, 3)))
      case 13:
        return frame(FRAME.GOAWAY, 0, 0, uint32(pick(random, [0, 1, 3, 2 ** 31 - 1]), below(random, 14)))
      case 14:
        return frame(0xbe, below(random, 256), below(random, 9), Buffer.alloc(below(random, 12)))
      default:
        return this.#head()
    }
  }

  /** Opens a stream, or answers on one that is open, in one frame or in two. */
  #head(): Buffer {
    const random = this.#random
    let id = this.#id()
    if (this.#lastId < 0 || this.#open.length === 0 || random() < 0.7) {
      id = this.#lastId += 2
      this.#open.push(id)
    }
    const end = random() < 0.4 ? FLAG.END_STREAM : 0
    const whole = headers(id, pick(random, BLOCKS), end)
    if (random() < 0.7) return whole
    const block = whole.subarray(9)
    const cut = below(random, block.length)
    return Buffer.concat([
      frame(FRAME.HEADERS, end, id, block.subarray(0, cut)),
      frame(FRAME.CONTINUATION, this.#odd() ? 0 : FLAG.END_HEADERS, id, block.subarray(cut)),
    ])
  }

  #odd(): boolean {
    return this.#random() < this.#oddity
  }

  #id(): number {
    return this.#odd() || this.#open.length === 0 ? pick(this.#random, ODD_IDS) : pick(this.#random, this.#open)
  }

  /** The stream that this frame ends. */
  #lastOf(): number {
    const id = this.#id()
    const at = this.#open.indexOf(id)
    if (at >= 0) this.#open.splice(at, 1)
    return id
  }

  #number(limit: number): number {
    return this.#odd() ? pick(this.#random, ODD_NUMBERS) : 1 + below(this.#random, limit)
  }
}

function mutated(random: Random, bytes: Buffer): Buffer {
  const out = Buffer.from(bytes)
  for (let n = below(random, 4); n > 0 && out.length > 0; n--) {
    const at = below(random, out.length)
    if (random() < 0.5) out[at] = below(random, 256)
    else out[at]! ^= 1 << below(random, 8)
  }
  return random() < 0.1 ? out.subarray(0, below(random, out.length)) : out
}

/** A stream of frames such as the peer of an engine in this role might send, some of them spoilt. */
export function randomFrames(random: Random, role: H2Role): Buffer {
  const peer = new Peer(random, role)
  const spoilt = pick(random, [0, 0, 0.02, 0.2])
  const frames = Array.from({ length: 1 + below(random, MOST_FRAMES) }, () => {
    const made = peer.frame()
    return random() < spoilt ? mutated(random, made) : made
  })
  return Buffer.concat(frames)
}

/** Holds the engine to what its contract says of callbacks. */
class Guard extends Recorder {
  readonly faults: string[] = []
  /** Does this and that with streams, as a layer above might. */
  whim: ((stream: H2Stream) => void) | undefined
  readonly #ended = new Set<H2Stream>()
  readonly #gone = new Set<H2Stream>()

  #called(stream: H2Stream, what: string): void {
    if (this.#gone.has(stream)) this.faults.push(`${what} after the stream was reset`)
    if (this.#ended.has(stream) && what !== 'onWritable' && what !== 'onReset') this.faults.push(`${what} after onEnd`)
  }
  override onFields(stream: H2Stream, fields: FieldList, endStream: boolean): void {
    this.#called(stream, 'onFields')
    super.onFields(stream, fields, endStream)
    this.whim?.(stream)
  }
  override onFieldsTooLarge(stream: H2Stream, endStream: boolean): void {
    this.#called(stream, 'onFieldsTooLarge')
    super.onFieldsTooLarge(stream, endStream)
  }
  override onData(stream: H2Stream, buffer: Uint8Array, start: number, end: number): void {
    this.#called(stream, 'onData')
    if (start >= end) this.faults.push('onData without data')
    if (!this.consumes && stream.dataReceived > WINDOW_BYTES) this.faults.push('more data than the window')
    super.onData(stream, buffer, start, end)
    this.whim?.(stream)
  }
  override onEnd(stream: H2Stream): void {
    this.#called(stream, 'onEnd')
    this.#ended.add(stream)
    super.onEnd(stream)
    this.whim?.(stream)
  }
  override onWritable(stream: H2Stream): void {
    this.#called(stream, 'onWritable')
    super.onWritable(stream)
  }
  override onReset(stream: H2Stream, code: number, retryable: boolean): void {
    this.#called(stream, 'onReset')
    this.#gone.add(stream)
    if (!stream.closed) this.faults.push('onReset of a stream that is not closed')
    super.onReset(stream, code, retryable)
  }
}

class GuardedRig extends Rig<Guard> {
  constructor(role: H2Role) {
    super(
      {
        role,
        raw: true,
        settings: { maxStreams: MAX_STREAMS, streamWindowBytes: WINDOW_BYTES, maxHeaderListBytes: 2000 },
        limits: { maxQueuedBytes: 20_000 },
      },
      new Guard(),
    )
    this.give(role === 'server' ? PREFACE : Buffer.alloc(0), settings(), SETTINGS_ACK)
    if (role === 'client') for (let n = 0; n < REQUESTS_OF_A_CLIENT; n++) this.request()
    this.sent()
  }

  feed(input: Buffer, cuts: readonly number[]): void {
    let from = 0
    for (const cut of [...cuts, input.length]) {
      if (cut <= from || cut > input.length) continue
      this.give(input.subarray(from, cut))
      from = cut
    }
  }

  /** What is wrong with what went out or is kept. */
  check(): string[] {
    const { connection, conn, told } = this
    const faults = [...told.faults]
    // Throws where what went out are no frames.
    for (const words of this.said()) if (words.includes('malformed')) faults.push(words)
    if (connection.streams > Math.max(MAX_STREAMS, REQUESTS_OF_A_CLIENT)) faults.push(`${connection.streams} streams`)
    if (connection.closed !== conn.ended) faults.push('closed and half-closed differ')
    if (connection.closed && connection.streams > 0) faults.push('streams of a closed connection')
    return faults
  }
}

/** Events, data in pieces put together: the same however the input is cut. */
function story(rig: GuardedRig): string {
  const told: string[] = []
  for (const event of rig.told.events) {
    const [kind, id, bytes] = event.split(' ')
    const before = told.at(-1)?.split(' ')
    if (kind === 'data' && before?.[0] === 'data' && before[1] === id) {
      told[told.length - 1] = `data ${id} ${Number(before[2]) + Number(bytes)}`
    } else {
      told.push(event)
    }
  }
  return told.join('\n')
}

/** What the engine does wrong with an input: it throws, breaks its contract, or tells another story when it is cut. */
export function checkFrames(input: Buffer, role: H2Role, cuts: readonly number[], random: Random): string[] {
  const answer = (stream: H2Stream): void => {
    if (stream.remoteEnded && !stream.localEnded) stream.sendFields(fieldList(OK), true)
  }
  const [whole, inPieces, whimsical] = [new GuardedRig(role), new GuardedRig(role), new GuardedRig(role)]
  for (const rig of [whole, inPieces]) rig.told.whim = answer
  whole.feed(input, [])
  inPieces.feed(input, cuts)
  const faults = [...whole.check(), ...inPieces.check()]
  if (story(whole) !== story(inPieces)) faults.push(`cut, it tells another story:\n${story(inPieces)}\n${story(whole)}`)

  whimsical.told.consumes = false
  whimsical.told.whim = (stream) => act(random, stream, whimsical)
  whimsical.feed(input, cuts)
  whimsical.connection.onWritable()
  whimsical.clock.advance(100_000)
  whimsical.connection.tick(whimsical.clock.nowMs)
  whimsical.connection.connClosed()
  faults.push(...whimsical.told.faults)
  if (whimsical.connection.streams > 0) faults.push('streams of a lost connection')
  return faults
}

function act(random: Random, stream: H2Stream, rig: GuardedRig): void {
  const bytes = Buffer.alloc(below(random, 40_000))
  switch (below(random, 10)) {
    case 0:
      stream.reset(below(random, 14))
      break
    case 1:
      stream.abandonInput()
      break
    case 2:
    case 3:
    case 4:
      stream.sendFields(fieldList(OK), false)
      stream.sendData(bytes, 0, bytes.length, random() < 0.5)
      break
    case 5:
      stream.sendFields(fieldList(OK), random() < 0.5)
      break
    case 6:
      rig.conn.reads = random() < 0.5
      break
    case 7:
      stream.sendData(bytes, 0, bytes.length, false)
      stream.sendFields(fieldList([['x-sum', '1']]), true)
      break
    case 8:
      if (random() < 0.2) pick(random, [drain, fail])(rig)
      break
    default:
      stream.consume(stream.dataReceived)
  }
}

const drain = ({ connection }: GuardedRig): void => connection.drain()
const fail = ({ connection }: GuardedRig): void => connection.fail(1, 'a whim')
