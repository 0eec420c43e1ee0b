import { connect, type Socket } from 'node:net'
import { FieldList } from '../../../src/http/h2/field-list.js'
import { FLAG, FRAME } from '../../../src/http/h2/frames.js'
import { HpackDecoder } from '../../../src/http/h2/hpack-decoder.js'
import { type Field, fieldsOf, frame, PREFACE, SETTINGS_ACK, settings } from '../../unit/http/h2/rig.js'
import { wholeFrames } from './http2-raw.js'
import { valuesIn } from './strict-targets.js'
import { eventually, within } from './waiting.js'

export interface Answered {
  /** 0 where the stream or the connection was reset. */
  readonly status: number
  readonly fields: readonly Field[]
}

/** What becomes of stream 1 of a connection on which just these frames are sent. */
export async function answerTo(port: number, frames: readonly Buffer[]): Promise<Answered> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  try {
    return await within('an answer', exchange(socket, frames), 10_000)
  } finally {
    socket.destroy()
  }
}

function exchange(socket: Socket, frames: readonly Buffer[]): Promise<Answered> {
  return new Promise((resolve) => {
    let received = Buffer.alloc(0)
    socket.on('data', (data) => {
      received = Buffer.concat([received, data])
      const answered = answerIn(received)
      if (answered !== undefined) resolve(answered)
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve({ status: 0, fields: [] }))
    socket.write(Buffer.concat([PREFACE, settings(), SETTINGS_ACK, ...frames]))
  })
}

function answerIn(received: Buffer): Answered | undefined {
  let answered: Answered | undefined
  let block = Buffer.alloc(0)
  let ends = false
  for (const { type, flags, id, payload } of wholeFrames(received)) {
    if (type === FRAME.GOAWAY && payload.readUInt32BE(4) !== 0) return { status: 0, fields: [] }
    if (id !== 1) continue
    if (type === FRAME.RST_STREAM) return { status: 0, fields: [] }
    if (type === FRAME.HEADERS) ends = (flags & FLAG.END_STREAM) !== 0
    if ((type === FRAME.HEADERS || type === FRAME.CONTINUATION) && answered === undefined) {
      block = Buffer.concat([block, payload])
      if ((flags & FLAG.END_HEADERS) === 0) continue
      const list = new FieldList()
      new HpackDecoder(1_000_000, 1_000_000).decode(block, 0, block.length, list)
      const fields = fieldsOf(list)
      answered = { status: Number(valuesIn(fields, ':status')[0]), fields }
    }
    if (type === FRAME.DATA) ends = (flags & FLAG.END_STREAM) !== 0
    if (ends && answered !== undefined) return answered
  }
  return undefined
}

const LAST = Buffer.from('the last')
export const pingLast = (): Buffer => frame(FRAME.PING, 0, 0, LAST)

/** The stream is reset by its client: there is no answer to wait for, other than that to the PING behind it. */
export async function cutOff(port: number, frames: readonly Buffer[]): Promise<{ readonly status: number }> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  let received = Buffer.alloc(0)
  socket.on('error', () => {})
  socket.on('data', (data) => {
    received = Buffer.concat([received, data])
  })
  socket.write(Buffer.concat([PREFACE, settings(), SETTINGS_ACK, ...frames]))
  try {
    await eventually('an answer to PING', () =>
      wholeFrames(received).some(({ type, payload }) => type === FRAME.PING && payload.equals(LAST)),
    )
    return answerIn(received) ?? { status: 0 }
  } finally {
    socket.destroy()
  }
}

/** So many at once. */
const AT_ONCE = 64

export async function inTurns<T>(all: readonly T[], act: (each: T, index: number) => Promise<void>): Promise<void> {
  for (let from = 0; from < all.length; from += AT_ONCE) {
    await Promise.all(all.slice(from, from + AT_ONCE).map((each, index) => act(each, from + index)))
  }
}
