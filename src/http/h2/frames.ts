/** RFC 9113, 6, and RFC 9218, 7.1. */
export const FRAME = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
  PRIORITY_UPDATE: 16,
} as const

export const FLAG = {
  END_STREAM: 1,
  ACK: 1,
  END_HEADERS: 4,
  PADDED: 8,
  PRIORITY: 32,
} as const

/** RFC 9113, 6.5.2, and RFC 8441, 3. */
export const SETTING = {
  HEADER_TABLE_SIZE: 1,
  ENABLE_PUSH: 2,
  MAX_CONCURRENT_STREAMS: 3,
  INITIAL_WINDOW_SIZE: 4,
  MAX_FRAME_SIZE: 5,
  MAX_HEADER_LIST_SIZE: 6,
  ENABLE_CONNECT_PROTOCOL: 8,
} as const

export const FRAME_HEAD_BYTES = 9
/** What a frame may carry unless SETTINGS say otherwise, which ours never do (RFC 9113, 4.2). */
export const DEFAULT_MAX_FRAME_BYTES = 16_384
export const LARGEST_MAX_FRAME_BYTES = 16_777_215
/** Of a stream and of the connection, until SETTINGS or WINDOW_UPDATE change it (RFC 9113, 6.9.2). */
export const DEFAULT_WINDOW_BYTES = 65_535
export const LARGEST_WINDOW_BYTES = 2 ** 31 - 1
export const LARGEST_STREAM_ID = 2 ** 31 - 1
export const DEFAULT_HEADER_TABLE_BYTES = 4096
