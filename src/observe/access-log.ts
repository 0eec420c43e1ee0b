// Hot path: workers write a line here for every request. No closures, no strings built, no allocation except in flush().
import { type Encoded, encode, putEncoded, RepeatedField } from './encoded-text.js'
import { putBytes, putInteger, putMs, putString, putThreeDigits, QUOTE } from './json-bytes.js'

/** A line's worst case; a record is begun only where this much room is left. */
export const MAX_LINE_BYTES = 16 * 1024
const BUFFER_BYTES = 64 * 1024
const FLUSH_AT_BYTES = BUFFER_BYTES - MAX_LINE_BYTES
const DEFAULT_MAX_OUTSTANDING_BYTES = 1024 * 1024

/** Bytes a value may fill between its quotes, escapes counted; the sum of all stays below MAX_LINE_BYTES. */
const MAX_URI = 8 * 1024
const MAX_HOST = 1024
const MAX_USER_AGENT = 2 * 1024
const MAX_NAME = 256
export const MAX_EXTRA_BYTES = 1024

/**
 * One request (one connection on tcp listeners), filled in by its owner and reused for the next. Text is `null` in the
 * line when empty; a number is `null` when negative, a status when 0. Bytes from the client stand as a range of a
 * borrowed buffer, read before `record` returns; with a string there the range is ignored.
 */
export class AccessEntry {
  /** Milliseconds since the epoch, when the request began. */
  timeMs = 0
  requestId: string | Uint8Array = ''
  listener = ''
  clientIp = ''
  clientPort = -1
  /** The address and port the client dialled. */
  vip = ''
  vport = -1
  target = ''
  targetGroup = ''
  rule = ''
  method = ''
  scheme = ''
  host: string | Uint8Array = ''
  hostStart = 0
  hostEnd = 0
  uri: string | Uint8Array = ''
  uriStart = 0
  uriEnd = 0
  protocol = ''
  status = 0
  targetStatus = 0
  requestBytes = 0
  sentBytes = 0
  /** Milliseconds, written with three decimals. */
  requestMs = -1
  connectMs = -1
  responseMs = -1
  userAgent: string | Uint8Array = ''
  userAgentStart = 0
  userAgentEnd = 0
  tlsVersion = ''
  tlsCipher = ''
  /** A code of `core/reasons.ts`, empty after an ordinary success. */
  reason = ''
  /** More of the line’s JSON, which begins with a comma; left out where it takes more than MAX_EXTRA_BYTES. */
  extra = ''

  /** Back to blank, for the next record. */
  reset(): void {
    this.timeMs = 0
    this.requestId = ''
    this.listener = ''
    this.clientIp = ''
    this.clientPort = -1
    this.vip = ''
    this.vport = -1
    this.target = ''
    this.targetGroup = ''
    this.rule = ''
    this.method = ''
    this.scheme = ''
    this.host = ''
    this.uri = ''
    this.protocol = ''
    this.status = 0
    this.targetStatus = 0
    this.requestBytes = 0
    this.sentBytes = 0
    this.requestMs = -1
    this.connectMs = -1
    this.responseMs = -1
    this.userAgent = ''
    this.tlsVersion = ''
    this.tlsCipher = ''
    this.reason = ''
    this.extra = ''
  }
}

export interface AccessLogOptions {
  /** Bytes handed to the sink and not yet acknowledged, from which on records are dropped. */
  readonly maxOutstandingBytes?: number
}

/**
 * Collects JSON lines and hands them on in chunks: when 48 KiB are full, and whenever the owner's timer calls `flush`.
 * The sink owns the chunk it is given, an exact copy whose memory it may transfer to another thread.
 */
export class AccessLog {
  /** Records not written because the sink was behind. */
  dropped = 0
  readonly #buffer = new Uint8Array(BUFFER_BYTES)
  readonly #view = new DataView(this.#buffer.buffer)
  readonly #sink: (chunk: Uint8Array<ArrayBuffer>) => void
  readonly #maxOutstanding: number
  readonly #listener = new RepeatedField(',"listener":', MAX_NAME)
  readonly #vip = new RepeatedField(',"vip":', MAX_NAME)
  readonly #target = new RepeatedField(',"target":', MAX_NAME)
  readonly #targetGroup = new RepeatedField(',"target_group":', MAX_NAME)
  readonly #rule = new RepeatedField(',"rule":', MAX_NAME)
  readonly #method = new RepeatedField(',"method":', MAX_NAME)
  readonly #scheme = new RepeatedField(',"scheme":', MAX_NAME)
  readonly #protocol = new RepeatedField(',"protocol":', MAX_NAME)
  readonly #tlsVersion = new RepeatedField(',"tls_version":', MAX_NAME)
  readonly #tlsCipher = new RepeatedField(',"tls_cipher":', MAX_NAME)
  readonly #reason = new RepeatedField(',"reason":', MAX_NAME)
  #used = 0
  #outstanding = 0
  #second = -1
  readonly #secondText = new Uint8Array('2000-01-01T00:00:00.'.length)

  constructor(sink: (chunk: Uint8Array<ArrayBuffer>) => void, options: AccessLogOptions = {}) {
    this.#sink = sink
    this.#maxOutstanding = options.maxOutstandingBytes ?? DEFAULT_MAX_OUTSTANDING_BYTES
  }

  /** True when nothing waits to be flushed. */
  get empty(): boolean {
    return this.#used === 0
  }

  /** The sink has dealt with so many bytes of what it was given. */
  acknowledge(bytes: number): void {
    this.#outstanding = Math.max(0, this.#outstanding - bytes)
  }

  flush(): void {
    if (this.#used === 0) return
    const chunk = this.#buffer.slice(0, this.#used)
    this.#outstanding += this.#used
    this.#used = 0
    this.#sink(chunk)
  }

  record(entry: AccessEntry): void {
    if (this.#outstanding >= this.#maxOutstanding) {
      this.dropped++
      return
    }
    const b = this.#buffer
    const v = this.#view
    let at = putEncoded(v, this.#used, KEY_TIME)
    at = this.#putTime(b, at, entry.timeMs)
    at = putEncoded(v, at, KEY_REQUEST_ID)
    const id = entry.requestId
    at = typeof id === 'string' ? putString(b, at, id, MAX_NAME) : putBytes(b, at, id, 0, id.length, MAX_NAME)
    at = this.#listener.put(v, at, entry.listener)
    at = putEncoded(v, at, KEY_CLIENT_IP)
    at = putString(b, at, entry.clientIp, MAX_NAME)
    at = putEncoded(v, at, KEY_CLIENT_PORT)
    at = putInteger(b, at, entry.clientPort)
    at = this.#vip.put(v, at, entry.vip)
    at = putEncoded(v, at, KEY_VPORT)
    at = putInteger(b, at, entry.vport)
    at = this.#target.put(v, at, entry.target)
    at = this.#targetGroup.put(v, at, entry.targetGroup)
    at = this.#rule.put(v, at, entry.rule)
    at = this.#method.put(v, at, entry.method)
    at = this.#scheme.put(v, at, entry.scheme)
    at = putEncoded(v, at, KEY_HOST)
    const host = entry.host
    at =
      typeof host === 'string'
        ? putString(b, at, host, MAX_HOST)
        : putBytes(b, at, host, entry.hostStart, entry.hostEnd, MAX_HOST)
    at = putEncoded(v, at, KEY_URI)
    const uri = entry.uri
    at =
      typeof uri === 'string'
        ? putString(b, at, uri, MAX_URI)
        : putBytes(b, at, uri, entry.uriStart, entry.uriEnd, MAX_URI)
    at = this.#protocol.put(v, at, entry.protocol)
    at = putEncoded(v, at, KEY_STATUS)
    at = putInteger(b, at, entry.status || -1)
    at = putEncoded(v, at, KEY_TARGET_STATUS)
    at = putInteger(b, at, entry.targetStatus || -1)
    at = putEncoded(v, at, KEY_REQUEST_BYTES)
    at = putInteger(b, at, entry.requestBytes)
    at = putEncoded(v, at, KEY_SENT_BYTES)
    at = putInteger(b, at, entry.sentBytes)
    at = putEncoded(v, at, KEY_REQUEST_MS)
    at = putMs(b, at, entry.requestMs)
    at = putEncoded(v, at, KEY_CONNECT_MS)
    at = putMs(b, at, entry.connectMs)
    at = putEncoded(v, at, KEY_RESPONSE_MS)
    at = putMs(b, at, entry.responseMs)
    at = putEncoded(v, at, KEY_USER_AGENT)
    const agent = entry.userAgent
    at =
      typeof agent === 'string'
        ? putString(b, at, agent, MAX_USER_AGENT)
        : putBytes(b, at, agent, entry.userAgentStart, entry.userAgentEnd, MAX_USER_AGENT)
    at = this.#tlsVersion.put(v, at, entry.tlsVersion)
    at = this.#tlsCipher.put(v, at, entry.tlsCipher)
    at = this.#reason.put(v, at, entry.reason)
    if (entry.extra !== '') at = putExtra(b, at, entry.extra)
    this.#used = putEncoded(v, at, LINE_END)
    if (this.#used > FLUSH_AT_BYTES) this.flush()
  }

  /** ISO 8601 in UTC with milliseconds; the text up to the second is kept, since thousands of records share it. */
  #putTime(b: Uint8Array, from: number, timeMs: number): number {
    const ms = timeMs >= 0 && timeMs <= LAST_TIME_MS ? Math.floor(timeMs) : 0
    const second = Math.floor(ms / 1000)
    const text = this.#secondText
    if (second !== this.#second) {
      this.#second = second
      const iso = new Date(second * 1000).toISOString()
      for (let i = 0; i < text.length; i++) text[i] = iso.charCodeAt(i)
    }
    let at = from
    for (let i = 0; i < text.length; i++) b[at++] = text[i]!
    at = putThreeDigits(b, at, ms - second * 1000)
    b[at] = 0x5a
    b[at + 1] = QUOTE
    return at + 2
  }
}

/** The end of the year 9999: from then on the text is longer. */
const LAST_TIME_MS = 253_402_300_799_999

const UTF8 = new TextEncoder()

function putExtra(b: Uint8Array, at: number, extra: string): number {
  const { read, written } = UTF8.encodeInto(extra, b.subarray(at, at + MAX_EXTRA_BYTES))
  return read === extra.length ? at + written : at
}

const key = (name: string): Encoded => encode(`,"${name}":`)
const KEY_TIME = encode('{"time":"')
const LINE_END = encode('}\n')
const KEY_REQUEST_ID = key('request_id')
const KEY_CLIENT_IP = key('client_ip')
const KEY_CLIENT_PORT = key('client_port')
const KEY_VPORT = key('vport')
const KEY_HOST = key('host')
const KEY_URI = key('uri')
const KEY_STATUS = key('status')
const KEY_TARGET_STATUS = key('target_status')
const KEY_REQUEST_BYTES = key('request_bytes')
const KEY_SENT_BYTES = key('sent_bytes')
const KEY_REQUEST_MS = key('request_ms')
const KEY_CONNECT_MS = key('connect_ms')
const KEY_RESPONSE_MS = key('response_ms')
const KEY_USER_AGENT = key('user_agent')
