import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { FLAG, FRAME } from '../../src/http/h2/frames.js'
import { wholeFrames } from '../integration/support/http2-raw.js'
import {
  END,
  frame,
  headers,
  OK,
  PREFACE,
  SETTINGS_ACK,
  type SeenFrame,
  settings,
  uint32,
} from '../unit/http/h2/rig.js'
import { randomFrames } from './h2-frames.js'

type Random = () => number

const LARGEST = 2 ** 31 - 1
const MOST_KEPT = 200

/** Answers to a request on stream `id`, from right to wrong. */
const ANSWERS: readonly ((id: number, random: Random) => Buffer[])[] = [
  (id) => [headers(id, OK), frame(FRAME.DATA, END, id, Buffer.from('hello'))],
  (id) => [headers(id, OK, END)],
  (id) => [headers(id, OK), frame(FRAME.DATA, 0, id, Buffer.alloc(9_000)), headers(id, [['x-sum', '1']], END)],
  (id) => [headers(id, [...OK, ['content-length', '5']]), frame(FRAME.DATA, END, id, Buffer.from('hello'))],
  (id) => [headers(id, [...OK, ['content-length', '5']]), frame(FRAME.DATA, END, id, Buffer.from('hel'))],
  (id) => [headers(id, [...OK, ['content-length', '5']]), frame(FRAME.DATA, END, id, Buffer.from('hello you'))],
  (id) => [headers(id, OK), frame(FRAME.DATA, END, id, Buffer.from('x')), frame(FRAME.RST_STREAM, 0, id, uint32(8))],
  (id) => [frame(FRAME.DATA, 0, id, Buffer.from('before its head')), headers(id, OK, END)],
  (id) => [headers(id, OK), headers(id, OK, END)],
  (id) => [headers(id, OK), frame(FRAME.DATA, END, id, Buffer.from('a')), frame(FRAME.DATA, 0, id, Buffer.from('b'))],
  (id) => [...Array.from({ length: 30 }, () => headers(id, [[':status', '103']])), headers(id, OK, END)],
  (id) => [headers(id, [[':status', '101']]), headers(id, OK, END)],
  (id) => [headers(id, [[':status', '099']], END)],
  (id) => [
    headers(
      id,
      [
        [':status', '200'],
        ['Upper', 'case'],
      ],
      END,
    ),
  ],
  (id) => [
    headers(
      id,
      [
        [':status', '200'],
        ['x', 'a\r\nb: c'],
      ],
      END,
    ),
  ],
  (id) => [headers(id, [[':status', '204']]), frame(FRAME.DATA, END, id, Buffer.from('a body'))],
  (id) => [headers(id, OK), ...Array.from({ length: 12 }, () => frame(FRAME.DATA, 0, id, Buffer.alloc(16_000)))],
  (id, random) => [frame(FRAME.RST_STREAM, 0, id, uint32(Math.floor(random() * 15)))],
  (id, random) => [headers(id, OK), frame(FRAME.RST_STREAM, 0, id, uint32(Math.floor(random() * 15)))],
  (id, random) => [frame(FRAME.GOAWAY, 0, 0, uint32(random() < 0.5 ? 0 : id, 0))],
  (id) => [frame(FRAME.GOAWAY, 0, 0, uint32(LARGEST, 0)), headers(id, OK, END)],
  (id) => [frame(FRAME.WINDOW_UPDATE, 0, id, uint32(0))],
  (id) => [frame(FRAME.WINDOW_UPDATE, 0, id, uint32(LARGEST)), headers(id, OK, END)],
  (id) => [settings([4, 0]), headers(id, OK, END), settings([4, 65_535])],
  (id) => [settings([3, 0]), headers(id, OK, END)],
  (id) => [
    frame(FRAME.PING, 0, 0, Buffer.alloc(8)),
    frame(FRAME.PING, FLAG.ACK, 0, Buffer.alloc(8)),
    headers(id, OK, END),
  ],
  (id) => [frame(FRAME.HEADERS, 0, id, Buffer.from([0x88])), frame(FRAME.DATA, 0, id, Buffer.from('x'))],
  (id) => [
    frame(FRAME.HEADERS, 0, id, Buffer.alloc(0)),
    ...Array.from({ length: 40 }, () => frame(FRAME.CONTINUATION, 0, id)),
  ],
  (id) => [frame(FRAME.HEADERS, FLAG.END_HEADERS, id, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]))],
  (id) => [frame(FRAME.PUSH_PROMISE, FLAG.END_HEADERS, id, uint32(2))],
  (id) => [headers(id + 2, OK, END), headers(id, OK, END)],
  () => [],
]

/** Of those, the ones that are right. */
const TAME = ANSWERS.slice(0, 4)

const pick = <T>(random: Random, of: readonly T[]): T => of[Math.floor(random() * of.length)]!

/** A server of HTTP/2 that is right, wrong, late or silent as it pleases. */
export class HostileH2Target {
  readonly server: Server
  /** What it has said lately. */
  readonly said: Buffer[] = []
  readonly #random: Random
  readonly #sockets = new Set<Socket>()

  constructor(random: Random) {
    this.#random = random
    this.server = createServer({ noDelay: true }, (socket) => this.#serve(socket))
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    const closed = once(this.server, 'close')
    this.server.close()
    await closed
  }

  #serve(socket: Socket): void {
    const random = this.#random
    this.#sockets.add(socket)
    socket.on('close', () => this.#sockets.delete(socket))
    socket.on('error', () => {})
    const mood = random()
    const wildness = pick(random, [0.05, 0.15, 0.4, 1])
    // Some say nothing at all, some something else than HTTP/2, some hang up.
    if (mood < 0.03) return
    if (mood < 0.05) {
      this.#say(socket, [Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')])
      return
    }
    if (mood < 0.07) {
      socket.resetAndDestroy()
      return
    }
    this.#say(socket, [settings(...this.#settings()), SETTINGS_ACK])
    let received = Buffer.alloc(0)
    let seen = 0
    socket.on('data', (data: Buffer) => {
      received = Buffer.concat([received, data])
      const frames = wholeFrames(received.subarray(PREFACE.length))
      const fresh = frames.slice(seen)
      seen = frames.length
      for (const one of fresh) this.#answer(socket, one, wildness)
    })
  }

  #settings(): (readonly [number, number])[] {
    const random = this.#random
    if (random() < 0.7) return []
    return [
      [pick(random, [1, 3, 4, 5, 6, 8, 99]), pick(random, [0, 1, 5, 100, 16_384, 65_535, LARGEST])],
      [4, pick(random, [0, 1, 300, 65_535])],
    ]
  }

  #answer(socket: Socket, { type, flags, id, payload }: SeenFrame, wildness: number): void {
    const random = this.#random
    if (type === FRAME.PING && flags === 0 && random() < 0.9)
      this.#say(socket, [frame(FRAME.PING, FLAG.ACK, 0, payload)])
    if (type === FRAME.DATA && payload.length > 0 && random() < 0.8) {
      const back = uint32(payload.length)
      this.#say(socket, [frame(FRAME.WINDOW_UPDATE, 0, 0, back), frame(FRAME.WINDOW_UPDATE, 0, id, back)])
    }
    if (type !== FRAME.HEADERS) return
    if (random() >= wildness) {
      this.#say(socket, pick(random, TAME)(id, random))
      return
    }
    const choice = random()
    if (choice < 0.3) this.#say(socket, ANSWERS[0]!(id, random))
    else if (choice < 0.9) this.#say(socket, pick(random, ANSWERS)(id, random))
    else if (choice < 0.97) this.#say(socket, [randomFrames(random, 'client')])
    else if (choice < 0.985) socket.end()
    else socket.resetAndDestroy()
  }

  /** Whole, in pieces that follow each other, or with a byte that is spoilt. */
  #say(socket: Socket, frames: readonly Buffer[]): void {
    const random = this.#random
    const bytes = Buffer.concat(frames)
    if (bytes.length === 0 || socket.destroyed || socket.writableEnded) return
    if (random() < 0.01) bytes[Math.floor(random() * bytes.length)]! ^= 1 << Math.floor(random() * 8)
    if (this.said.length < MOST_KEPT) this.said.push(bytes)
    const cut = random() < 0.3 ? Math.floor(random() * bytes.length) : 0
    if (cut > 0) socket.write(bytes.subarray(0, cut))
    socket.write(bytes.subarray(cut))
  }
}
