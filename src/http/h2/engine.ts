/**
 * The contract of the HTTP/2 engine (RFC 9113): what the layer above builds on and hears from. `connection.ts` is the
 * implementation; one engine serves one `Conn`, in either role.
 *
 * Who calls whom: the owner of the `Conn` stays its `ConnHandler` and passes on `onData` (`receive`), `onWritable`,
 * `onEnd` (`receiveEnd`) and `onClose` (`connClosed`); the engine writes to the `Conn`, half-closes it when the
 * connection is over and aborts it when the peer does not let it end. Every method may be called from every callback.
 *
 * Fields are given exactly as they were received and sent exactly as they are given. Whether names are in lower case,
 * which pseudo-header fields there are and in which order, that no field is a connection's, that no byte is a CR, LF or
 * NUL, and that DATA is as long as content-length says, is for the layer above to check (RFC 9113, 8.1 to 8.3), which
 * calls `stream.reset(H2_ERROR.PROTOCOL_ERROR)` for a malformed message. What it resets for that reason counts towards
 * `maxResets` like a reset by the peer does.
 *
 * Memory of one connection, at most: 2 × header tables (decoder and encoder) of `headerTableBytes`, `maxBlockBytes` for a
 * header block under way, `maxQueuedBytes` of frames that the peer does not read, and for each stream `streamWindowBytes`
 * that the layer above has not consumed plus what it handed to `sendData` in the one call that returned false. The
 * connection's window is given back as bytes arrive, not as they are consumed, so that a stream that nobody reads stops no
 * other, as long as all streams together have no more than `maxUnconsumedBytes` unconsumed. From there on it is given back
 * as they are consumed: `maxUnconsumedBytes + connectionWindowBytes` bounds what a peer can make the layer above hold.
 */
import type { CastorError } from '../../core/errors.js'
import type { FieldList } from './field-list.js'

/** RFC 9113, 7. */
export const H2_ERROR = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  INTERNAL_ERROR: 2,
  FLOW_CONTROL_ERROR: 3,
  SETTINGS_TIMEOUT: 4,
  STREAM_CLOSED: 5,
  FRAME_SIZE_ERROR: 6,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  COMPRESSION_ERROR: 9,
  CONNECT_ERROR: 10,
  ENHANCE_YOUR_CALM: 11,
  INADEQUATE_SECURITY: 12,
  HTTP_1_1_REQUIRED: 13,
} as const

/**
 * Why the engine ended a connection. The first is whatever breaks the protocol; those that are floods go to the peer as
 * ENHANCE_YOUR_CALM.
 */
export type H2FailureReason =
  | 'PROTOCOL'
  /** More than `maxResets` streams reset by the peer, or by us for its faults. */
  | 'RAPID_RESET'
  /** More than `maxRefusals` streams beyond `maxStreams`. */
  | 'STREAMS_REFUSED'
  /** More than `maxContinuations` frames, or `maxBlockBytes`, for one header block. */
  | 'CONTINUATION_FLOOD'
  /** More than `maxUselessFrames` that carry nothing or belong to nothing. */
  | 'EMPTY_FRAMES'
  | 'SETTINGS_FLOOD'
  | 'PING_FLOOD'
  | 'PRIORITY_FLOOD'
  /** Far more WINDOW_UPDATE frames than there was DATA to give windows back for. */
  | 'WINDOW_UPDATE_FLOOD'
  /** More than `maxTinyFrames` DATA frames that the peer's windows made tiny. */
  | 'TINY_WINDOWS'
  /** The fields of one block decoded to more than `maxDecodedBytes`. */
  | 'HEADER_BOMB'
  /** More than `maxQueuedBytes` wait for a peer that does not read. */
  | 'OUTPUT_FLOOD'
  /** The peer has read nothing for `stallTimeoutMs` while output waited. */
  | 'STALLED_CONNECTION'
  /** A frame or header block was begun and not ended within `blockTimeoutMs`. */
  | 'SLOW_FRAME'
  /** No preface and SETTINGS, or no acknowledgement of ours, within `settingsTimeoutMs`. */
  | 'SETTINGS_TIMEOUT'
  /** A PING was not answered within `pingTimeoutMs`. */
  | 'PING_TIMEOUT'
  /** The layer above called `fail`. */
  | 'LAYER_ABOVE'

/** Which end of the connection the engine is: `server` towards clients, `client` towards targets. */
export type H2Role = 'server' | 'client'

/** What is announced to the peer. */
export interface H2Settings {
  /** HEADER_TABLE_SIZE, bytes as RFC 7541 4.1 counts them; the encoder uses no more than that either. */
  readonly headerTableBytes: number
  /** MAX_CONCURRENT_STREAMS: streams a client may have open. Only servers announce it: nothing may be pushed to a client. */
  readonly maxStreams: number
  /** INITIAL_WINDOW_SIZE: bytes a stream may have in flight or unconsumed; at most 2^31 − 1. */
  readonly streamWindowBytes: number
  /** The connection's window, at least 65,535 (RFC 9113, 6.9.2), at most 2^31 − 1. */
  readonly connectionWindowBytes: number
  /**
   * Bytes of all streams together that the layer above may leave unconsumed before the connection's window is held back;
   * Infinity where the streams' own windows bound it.
   */
  readonly maxUnconsumedBytes: number
  /** MAX_HEADER_LIST_SIZE, bytes as RFC 9113 6.5.2 counts them. Beyond it `onFieldsTooLarge` is called. */
  readonly maxHeaderListBytes: number
  /** ENABLE_CONNECT_PROTOCOL (RFC 8441), which servers announce: true unless left out by false. */
  readonly allowsConnect?: boolean
}

/**
 * Bounds on what a peer may make the engine do. Those that count frames count over `rateWindowMs`; raising them lets a
 * hostile peer cost more, lowering them cuts off busy but honest ones.
 */
export interface H2Limits {
  /** Milliseconds that the counts below are for. */
  readonly rateWindowMs: number
  readonly maxResets: number
  readonly maxRefusals: number
  readonly maxSettings: number
  readonly maxPings: number
  readonly maxPriorities: number
  /** DATA, HEADERS or CONTINUATION without content or end, unknown frames, and frames for streams that are gone. */
  readonly maxUselessFrames: number
  /** WINDOW_UPDATE frames on top of four for each DATA frame sent. */
  readonly maxWindowUpdates: number
  /** DATA frames of less than 256 bytes, made so by the peer's windows. */
  readonly maxTinyFrames: number
  /** CONTINUATION frames of one header block. */
  readonly maxContinuations: number
  /** Bytes of one header block as received. */
  readonly maxBlockBytes: number
  /** Bytes of the fields of one block, counted as in RFC 9113 6.5.2, from which on the connection ends. */
  readonly maxDecodedBytes: number
  /** Bytes of frames other than DATA that may wait for a peer that does not read. */
  readonly maxQueuedBytes: number
  /** How long the peer may take nothing, by not reading or by its windows, while something waits to be sent. */
  readonly stallTimeoutMs: number
  /** How long a frame or header block that was begun may take to be whole. */
  readonly blockTimeoutMs: number
  /** How long SETTINGS and their acknowledgement may take. */
  readonly settingsTimeoutMs: number
  /** How long the answer to a PING may take. */
  readonly pingTimeoutMs: number
  /** How long a connection that the engine has ended may stay open, waiting for the peer to close, before it is reset. */
  readonly lingerMs: number
}

export const DEFAULT_H2_SETTINGS: H2Settings = {
  headerTableBytes: 4096,
  maxStreams: 100,
  streamWindowBytes: 65_536,
  connectionWindowBytes: 1_048_576,
  maxUnconsumedBytes: 2_097_152,
  maxHeaderListBytes: 65_536,
}

export const DEFAULT_H2_LIMITS: H2Limits = {
  rateWindowMs: 10_000,
  maxResets: 500,
  maxRefusals: 1000,
  maxSettings: 50,
  maxPings: 500,
  maxPriorities: 2000,
  maxUselessFrames: 2000,
  maxWindowUpdates: 5000,
  maxTinyFrames: 1000,
  maxContinuations: 16,
  maxBlockBytes: 131_072,
  maxDecodedBytes: 262_144,
  maxQueuedBytes: 1_048_576,
  stallTimeoutMs: 60_000,
  blockTimeoutMs: 10_000,
  settingsTimeoutMs: 10_000,
  pingTimeoutMs: 10_000,
  lingerMs: 1000,
}

/** Why a connection is over, when it did not simply end. */
export interface H2Failure {
  /** One of `H2_ERROR`, or what the peer named. */
  readonly code: number
  readonly reason: H2FailureReason
  /** For logs: what was wrong, with the section of the RFC. */
  readonly detail: string
}

/** What a connection tells its owner. One object may serve many connections. */
export interface H2Handler {
  /**
   * Server: the peer opened a stream. Set `stream.handler` before returning; `onFields` or `onFieldsTooLarge` follows at
   * once. Never called for a client.
   */
  onStream(stream: H2Stream): void
  /** The peer's SETTINGS were taken over: the first ones and each change. `canOpen` and `peerAllowsConnect` are current. */
  onSettings(connection: H2Connection): void
  /** Client: `openStream` answered undefined because all streams were taken, and one is free now. */
  onStreamsFree(connection: H2Connection): void
  /** The last stream is gone. */
  onIdle(connection: H2Connection): void
  /** The peer said GOAWAY. Streams it will not serve were reset already; the others go on. `canOpen` is false from now on. */
  onGoAway(connection: H2Connection, code: number): void
  /**
   * The engine ends the connection because of the peer, at most once. All streams were reset already. GOAWAY was written
   * and the `Conn` half-closed; its `onClose` follows when the peer closes or within `lingerMs`, given `tick`.
   */
  onFailure(connection: H2Connection, failure: H2Failure): void
}

/** What a stream tells whoever uses it. One object may serve many streams. */
export interface H2StreamHandler {
  /**
   * A header block: the request (server), an interim or final response (client), or trailers, which come with `endStream`
   * always. `fields` is valid until the call returns.
   */
  onFields(stream: H2Stream, fields: FieldList, endStream: boolean): void
  /**
   * In place of `onFields` when the fields exceed `maxHeaderListBytes`; a server answers 431 and `abandonInput`s. `fields`
   * has those that are within, and Content-Type.
   */
  onFieldsTooLarge(stream: H2Stream, endStream: boolean, fields: FieldList): void
  /**
   * Bytes [start, end) of a borrowed buffer, valid until the call returns; never none. They count against the stream's
   * window until `stream.consume`, which may be called right here.
   */
  onData(stream: H2Stream, buffer: Uint8Array, start: number, end: number): void
  /** The peer has ended its side; once, after the last `onFields` or `onData` even where those said `endStream`. */
  onEnd(stream: H2Stream): void
  /** After `sendData` returned false: all of it is sent. */
  onWritable(stream: H2Stream): void
  /**
   * The stream is gone before both sides had ended, not by `reset` from above: exactly once, and nothing follows. `code`
   * is the peer's RST_STREAM's, REFUSED_STREAM for streams beyond the last one of a GOAWAY, the error's where the stream
   * or connection failed, CANCEL where the connection was lost. `retryable`: the peer has not acted on it (RFC 9113, 8.7).
   */
  onReset(stream: H2Stream, code: number, retryable: boolean): void
}

/**
 * One request and its response. Once both sides have ended or after a reset it is `closed`: calls on it do nothing, and
 * `sendData` returns false.
 */
export interface H2Stream {
  handler: H2StreamHandler
  /** Free for the handler. */
  context: unknown
  readonly connection: H2Connection
  /** 0 for a client's stream until its first `sendFields`. */
  readonly id: number
  /** The peer has ended its side. */
  readonly remoteEnded: boolean
  /** The frame that ends the peer's side has begun to come; `onEnd` follows. */
  readonly remoteEnding: boolean
  /** Our side was ended by the layer above; what is queued may still be on its way out. */
  readonly localEnded: boolean
  readonly closed: boolean
  /** `onReset` came because the peer's windows let nothing be sent for `stallTimeoutMs`. */
  readonly stalled: boolean
  /** Bytes given to `sendData` that no window or no room had a place for yet. */
  readonly queuedBytes: number
  /** Loop time at which that last became less, or began; 0 before. */
  readonly movedMs: number
  /** Bytes of DATA received, without padding, and of DATA sent. */
  readonly dataReceived: number
  readonly dataSent: number
  /**
   * Sends a header block: the request or response head, interim responses (server), or trailers, for which `endStream`
   * must be true. Copied; goes out after the data queued before it.
   */
  sendFields(fields: FieldList, endStream: boolean): void
  /**
   * Sends bytes [start, end), or none to end the stream only. True when all went into frames. False: the rest was copied
   * and waits for windows or for the peer to read; `onWritable` follows, and the next call is to wait for it.
   */
  sendData(buffer: Uint8Array, start: number, end: number, endStream: boolean): boolean
  /** Gives window back for bytes that `onData` brought. Together never more than it brought. */
  consume(bytes: number): void
  /**
   * How many bytes the peer may have under way or unconsumed from now on; a window is never made smaller. The difference
   * is told to the peer with the next bytes that are consumed.
   */
  widenWindow(bytes: number): void
  /**
   * Sends RST_STREAM with `code` and drops what is queued. `onReset` does not follow. A client's stream that has sent
   * nothing just goes.
   */
  reset(code: number): void
  /**
   * What the peer still sends is of no interest (RFC 9113, 8.1: the answer does not depend on it): it is dropped, no
   * callback comes for it, and once our side has ended, RST_STREAM with NO_ERROR asks the peer to stop.
   */
  abandonInput(): void
}

/** One HTTP/2 connection. */
export interface H2Connection {
  readonly role: H2Role
  /** Free for the owner. */
  context: unknown
  /** Streams open now, counting a client's that have not sent anything yet. */
  readonly streams: number
  /** Streams there have been. */
  readonly streamsOpened: number
  /** Client: `openStream` would answer a stream. */
  readonly canOpen: boolean
  /** Client: streams the server lets us have open; before its SETTINGS 100. */
  readonly peerMaxStreams: number
  /** The peer announced ENABLE_CONNECT_PROTOCOL (RFC 8441); false until its SETTINGS are there. */
  readonly peerAllowsConnect: boolean
  /** The peer's first SETTINGS were taken over. */
  readonly ready: boolean
  /** No new streams: `drain`, `close` or `fail` was called, GOAWAY came, or ids ran out. */
  readonly draining: boolean
  /** Nothing more will be sent or heard. */
  readonly closed: boolean
  /** Bytes of frames received and made, DATA and their headers included. */
  readonly bytesReceived: number
  readonly bytesSent: number
  /** Sends the preface (client) and SETTINGS. Call once, before the first `receive`. */
  start(): void
  /**
   * Bytes [start, end) of a borrowed buffer, as `Conn.onData` brings them; a server's begin with the client preface. What
   * is to be sent in consequence is written once, before it returns.
   */
  receive(buffer: Uint8Array, start: number, end: number): void
  /**
   * The peer half-closed: streams it had not ended are reset, the others may still be answered. `unread`: it had nothing of
   * what was sent since the connection was idle, so that what is reset may be sent again.
   */
  receiveEnd(unread?: boolean): void
  /** `Conn.onWritable`. */
  onWritable(): void
  /** `Conn.onClose`: all streams are reset; `unread` as above. Idempotent. */
  connClosed(cause?: CastorError, unread?: boolean): void
  /** Client: a stream to send a request on; undefined when the peer allows no more, or `draining`. */
  openStream(handler: H2StreamHandler): H2Stream | undefined
  /** Asks the peer for a sign of life; see PING_TIMEOUT. One at a time: does nothing while one is under way. */
  ping(): void
  /**
   * Takes no new streams, finishes those there are, then half-closes (RFC 9113, 6.8: a server says GOAWAY with the
   * highest id first, and with the real one a round trip later). Idempotent.
   */
  drain(): void
  /** GOAWAY with NO_ERROR and half-close now; what streams there are are reset (`onReset` with CANCEL). Idempotent. */
  close(): void
  /** Ends the connection for a fault of the peer that the layer above has found: GOAWAY with `code`; `onFailure` follows. */
  fail(code: number, detail: string): void
  /**
   * Writes what has been made but not written. Calls from outside of the engine's own callbacks (an answer that came from
   * a target) leave frames in the buffer so that many go out in one write: the `H2Turn` given at construction is told,
   * and calls this at the end of the turn.
   */
  flush(): void
  /** Looks after everything that is timed. Call about once a second while the connection is open. */
  tick(nowMs: number): void
}

/** Where connections with frames to write wait for the end of a turn of the loop; see `flush-queue.ts`. */
export interface H2Turn {
  /** The connection has begun to make frames, and no one who flushes it is on the stack. */
  flushLater(connection: H2Connection): void
}
