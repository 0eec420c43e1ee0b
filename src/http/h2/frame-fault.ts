// Hot path: the head of every frame is judged here before its payload is read.
import { H2_ERROR } from './engine.js'
import { DEFAULT_MAX_FRAME_BYTES, FLAG, FRAME } from './frames.js'
import type { StreamTable } from './stream-table.js'

/** What a peer did against RFC 9113 that ends the connection. */
export interface Fault {
  /** One of `H2_ERROR`. */
  readonly code: number
  readonly detail: string
}

const protocol = (detail: string): Fault => ({ code: H2_ERROR.PROTOCOL_ERROR, detail })
const size = (detail: string): Fault => ({ code: H2_ERROR.FRAME_SIZE_ERROR, detail })

const TOO_LONG = size('frame longer than 16,384 bytes (RFC 9113, 4.2)')
const DATA_IDLE = protocol('DATA on a stream that is idle (RFC 9113, 6.1)')
const HEADERS_ZERO = protocol('HEADERS on stream 0 (RFC 9113, 6.2)')
const HEADERS_EVEN = protocol('HEADERS on a stream of even number (RFC 9113, 5.1.1)')
const HEADERS_UNASKED = protocol('HEADERS on a stream that was not opened (RFC 9113, 5.1)')
const PRIORITY_ZERO = protocol('PRIORITY on stream 0 (RFC 9113, 6.3)')
const PRIORITY_SIZE = size('PRIORITY not of 5 bytes (RFC 9113, 6.3)')
const RESET_SIZE = size('RST_STREAM not of 4 bytes (RFC 9113, 6.4)')
const RESET_IDLE = protocol('RST_STREAM on a stream that is idle (RFC 9113, 6.4)')
const SETTINGS_STREAM = protocol('SETTINGS on a stream (RFC 9113, 6.5)')
const SETTINGS_SIZE = size('SETTINGS of a wrong length (RFC 9113, 6.5)')
const PUSH = protocol('PUSH_PROMISE, which nobody allowed (RFC 9113, 8.4)')
const PING_STREAM = protocol('PING on a stream (RFC 9113, 6.7)')
const PING_SIZE = size('PING not of 8 bytes (RFC 9113, 6.7)')
const GOAWAY_STREAM = protocol('GOAWAY on a stream (RFC 9113, 6.8)')
const GOAWAY_SIZE = size('GOAWAY of less than 8 bytes (RFC 9113, 6.8)')
const WINDOW_SIZE = size('WINDOW_UPDATE not of 4 bytes (RFC 9113, 6.9)')
const WINDOW_IDLE = protocol('WINDOW_UPDATE on a stream that is idle (RFC 9113, 5.1)')
const PRIORITY_UPDATE_STREAM = protocol('PRIORITY_UPDATE on a stream (RFC 9218, 7.1)')

/**
 * What is wrong with a frame that its head gives away and that ends the connection; what concerns a stream only, or
 * depends on what went before, is judged by whoever acts on the frame.
 */
export function frameFault(
  type: number,
  flags: number,
  id: number,
  length: number,
  table: StreamTable,
): Fault | undefined {
  if (length > DEFAULT_MAX_FRAME_BYTES) return TOO_LONG
  switch (type) {
    case FRAME.DATA:
      return id === 0 || table.isIdle(id) ? DATA_IDLE : undefined
    case FRAME.HEADERS:
      if (id === 0) return HEADERS_ZERO
      if ((id & 1) === 0) return HEADERS_EVEN
      return table.role === 'client' && table.isIdle(id) ? HEADERS_UNASKED : undefined
    case FRAME.PRIORITY:
      if (id === 0) return PRIORITY_ZERO
      // Of an open stream only that one is lost.
      return length !== 5 && !table.open.has(id) ? PRIORITY_SIZE : undefined
    case FRAME.RST_STREAM:
      if (length !== 4) return RESET_SIZE
      return id === 0 || table.isIdle(id) ? RESET_IDLE : undefined
    case FRAME.SETTINGS:
      if (id !== 0) return SETTINGS_STREAM
      return ((flags & FLAG.ACK) !== 0 ? length !== 0 : length % 6 !== 0) ? SETTINGS_SIZE : undefined
    case FRAME.PUSH_PROMISE:
      return PUSH
    case FRAME.PING:
      if (id !== 0) return PING_STREAM
      return length !== 8 ? PING_SIZE : undefined
    case FRAME.GOAWAY:
      if (id !== 0) return GOAWAY_STREAM
      return length < 8 ? GOAWAY_SIZE : undefined
    case FRAME.WINDOW_UPDATE:
      if (length !== 4) return WINDOW_SIZE
      return id !== 0 && table.isIdle(id) ? WINDOW_IDLE : undefined
    case FRAME.PRIORITY_UPDATE:
      return id !== 0 ? PRIORITY_UPDATE_STREAM : undefined
    default:
      return undefined
  }
}
