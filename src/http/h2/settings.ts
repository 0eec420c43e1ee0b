import type { H2Role, H2Settings } from './engine.js'
import { readUint32 } from './frame-reader.js'
import {
  DEFAULT_HEADER_TABLE_BYTES,
  DEFAULT_MAX_FRAME_BYTES,
  DEFAULT_WINDOW_BYTES,
  LARGEST_MAX_FRAME_BYTES,
  LARGEST_WINDOW_BYTES,
  SETTING,
} from './frames.js'

/** What a client takes for granted until the server has said how many streams it allows. */
const STREAMS_BEFORE_SETTINGS = 100

/** What our first SETTINGS say: what differs from what RFC 9113 6.5.2 presumes. */
export function announcedSettings(role: H2Role, settings: H2Settings): [id: number, value: number][] {
  const pairs: [number, number][] = [[SETTING.MAX_HEADER_LIST_SIZE, settings.maxHeaderListBytes]]
  if (role === 'server') {
    pairs.push([SETTING.MAX_CONCURRENT_STREAMS, settings.maxStreams])
    if (settings.allowsConnect !== false) pairs.push([SETTING.ENABLE_CONNECT_PROTOCOL, 1])
  } else {
    pairs.push([SETTING.ENABLE_PUSH, 0])
  }
  if (settings.headerTableBytes !== DEFAULT_HEADER_TABLE_BYTES) {
    pairs.push([SETTING.HEADER_TABLE_SIZE, settings.headerTableBytes])
  }
  if (settings.streamWindowBytes !== DEFAULT_WINDOW_BYTES) {
    pairs.push([SETTING.INITIAL_WINDOW_SIZE, settings.streamWindowBytes])
  }
  return pairs
}

/** A value that is out of bounds: for which setting, and whether it is a matter of flow control. */
export interface SettingsFault {
  readonly isFlowControl: boolean
  readonly detail: string
}

/** What the peer has announced. What is of no use here, like ENABLE_PUSH, is checked and forgotten. */
export class PeerSettings {
  headerTableBytes = DEFAULT_HEADER_TABLE_BYTES
  maxStreams = STREAMS_BEFORE_SETTINGS
  initialWindow = DEFAULT_WINDOW_BYTES
  allowsConnect = false
  readonly #role: H2Role
  #first = true

  /** `role` is our own. */
  constructor(role: H2Role) {
    this.#role = role
  }

  /** Takes over the payload of a SETTINGS frame, in its order (RFC 9113, 6.5.3); answers the first fault. */
  read(payload: Uint8Array, start: number, end: number): SettingsFault | undefined {
    if (this.#first) {
      this.#first = false
      this.maxStreams = 2 ** 32 - 1
    }
    for (let at = start; at < end; at += 6) {
      const fault = this.#take((payload[at]! << 8) | payload[at + 1]!, readUint32(payload, at + 2))
      if (fault !== undefined) return fault
    }
    return undefined
  }

  #take(id: number, value: number): SettingsFault | undefined {
    switch (id) {
      case SETTING.HEADER_TABLE_SIZE:
        this.headerTableBytes = value
        return undefined
      case SETTING.ENABLE_PUSH:
        // A server must not send 1 (RFC 9113, 6.5.2).
        return value > (this.#role === 'server' ? 1 : 0) ? fault('ENABLE_PUSH') : undefined
      case SETTING.MAX_CONCURRENT_STREAMS:
        this.maxStreams = value
        return undefined
      case SETTING.INITIAL_WINDOW_SIZE:
        if (value > LARGEST_WINDOW_BYTES) return { ...fault('INITIAL_WINDOW_SIZE'), isFlowControl: true }
        this.initialWindow = value
        return undefined
      case SETTING.MAX_FRAME_SIZE:
        // Ours are never larger than the least that may be announced.
        return value < DEFAULT_MAX_FRAME_BYTES || value > LARGEST_MAX_FRAME_BYTES ? fault('MAX_FRAME_SIZE') : undefined
      case SETTING.ENABLE_CONNECT_PROTOCOL:
        if (value > 1 || (value === 0 && this.allowsConnect)) return fault('ENABLE_CONNECT_PROTOCOL')
        this.allowsConnect = value === 1
        return undefined
      default:
        return undefined
    }
  }
}

function fault(name: string): SettingsFault {
  return { isFlowControl: false, detail: `SETTINGS_${name} out of bounds (RFC 9113, 6.5.2)` }
}
