import { Packr } from 'msgpackr'
import { z } from 'zod'
import { CastorError } from '../../core/errors.js'

/**
 * What two processes say to each other while one takes over from the other: messages with named fields, each behind its
 * length in four bytes. They may be of two versions. Either skips messages and fields that it does not know; a field
 * keeps its meaning for good, and one that is added later is optional.
 */
export const UPGRADE_PROTOCOL = 1

/** A page of sessions, or what operators want of some ten thousand targets, is far below. */
export const MAX_FRAME_BYTES = 16 * 1024 * 1024
const LENGTH_BYTES = 4

const bytes = z.custom<Uint8Array>((value) => value instanceof Uint8Array)
const name = z.string().max(1_024)
const whole = z.int().min(0)

const offeredSocket = z.union([
  /** A TCP socket, of a listener or of the admin API. */
  z.object({ name, address: name, port: whole, configuredPort: whole }),
  /** A Unix socket of the admin API. */
  z.object({ path: name }),
])

const handedTarget = z.object({
  group: name,
  id: name,
  host: name,
  port: whole,
  /** The one it has. */
  weight: whole,
  /** As the file has it; missing for a target that an operator has added. */
  fileWeight: whole.optional(),
  state: z.enum(['active', 'draining', 'maintenance']).catch('active'),
  /** Milliseconds since the epoch; 0 where it does not drain. */
  drainUntilMs: z.number(),
  /** When it goes, where it was removed and drains. */
  leavesMs: z.number().optional(),
})

const state = z.object({
  type: z.literal('state'),
  sessionSeed: bytes,
  cookieSecret: z.string(),
  ticketKeys: bytes,
  targets: z.array(handedTarget),
  /** Targets of the file that an operator has removed. */
  removed: z.array(z.object({ group: name, id: name })).optional(),
})

const frame = z.discriminatedUnion('type', [
  /** Sockets, whose descriptors come with it, in its order. */
  z.object({
    type: z.literal('offer'),
    protocol: whole,
    version: name,
    pid: whole,
    sockets: z.array(offeredSocket),
    isLast: z.boolean(),
  }),
  state,
  /** Rows of what `fields` names. */
  z.object({ type: z.literal('sessions'), fields: z.array(name), rows: z.array(z.array(z.unknown())) }),
  /** That was all: serve. */
  z.object({ type: z.literal('take') }),
  /** The process before does not come back. */
  z.object({ type: z.literal('settled') }),
  /** The new process has begun to start. */
  z.object({ type: z.literal('hello'), version: name, pid: whole }),
  /** All that can fail has been done. */
  z.object({ type: z.literal('prepared') }),
  z.object({ type: z.literal('serving') }),
  z.object({ type: z.literal('failed'), code: name, message: z.string() }),
])

export type Frame = z.infer<typeof frame>
export type OfferedSocket = z.infer<typeof offeredSocket>
export type HandedTarget = z.infer<typeof handedTarget>
export type HandedState = z.infer<typeof state>
export type SessionsFrame = Extract<Frame, { type: 'sessions' }>

const packr = new Packr({ useRecords: false, encodeUndefinedAsNil: false })

export function encodeFrame(value: Frame): Buffer {
  const body = packr.pack(value)
  const framed = Buffer.allocUnsafe(LENGTH_BYTES + body.length)
  framed.writeUInt32BE(body.length, 0)
  body.copy(framed, LENGTH_BYTES)
  return framed
}

/** Puts messages together from what comes in pieces. */
export class FrameReader {
  #waiting: Buffer = Buffer.alloc(0)

  /** The messages that are whole now, without those that this version does not know. @throws CastorError UPGRADE_FAILED. */
  push(piece: Uint8Array): Frame[] {
    this.#waiting = this.#waiting.length === 0 ? Buffer.from(piece) : Buffer.concat([this.#waiting, piece])
    const frames: Frame[] = []
    while (this.#waiting.length >= LENGTH_BYTES) {
      const length = this.#waiting.readUInt32BE(0)
      if (length > MAX_FRAME_BYTES) throw broken(`a message of ${length} bytes`)
      const end = LENGTH_BYTES + length
      if (this.#waiting.length < end) break
      const read = readFrame(this.#waiting.subarray(LENGTH_BYTES, end))
      if (read !== undefined) frames.push(read)
      this.#waiting = this.#waiting.subarray(end)
    }
    return frames
  }
}

const known = new Set<unknown>(frame.options.map((option) => option.shape.type.value))

function readFrame(body: Uint8Array): Frame | undefined {
  let value: unknown
  try {
    value = packr.unpack(body)
  } catch (cause) {
    throw broken('a message that cannot be read', cause)
  }
  const type = typeof value === 'object' && value !== null ? (value as { type?: unknown }).type : undefined
  if (typeof type !== 'string') throw broken('a message without a type')
  if (!known.has(type)) return undefined
  const parsed = frame.safeParse(value)
  if (parsed.success) return parsed.data
  const { path, message } = parsed.error.issues[0]!
  throw broken(`a message ${type} that is wrong at ${path.join('.')}: ${message}`)
}

function broken(what: string, cause?: unknown): CastorError {
  return new CastorError('UPGRADE_FAILED', `the other process sent ${what}`, { cause })
}
