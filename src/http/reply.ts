import { copyAll, copyBytes, latin1, writeDecimal } from './bytes.js'

/** An answer of Castor's own. */
export interface Reply {
  status: number
  /** Empty when there is no request to name. */
  requestId: Uint8Array
  /** The connection is closed after it. */
  close: boolean
  /** Seconds for Retry-After; none when left out. */
  retryAfterSeconds?: number
  /** It answers a HEAD request: the length is told, the body left out. */
  head: boolean
  /** Said behind the status in the body; ASCII. */
  detail?: string
  /** Further header lines, each with its CRLF; they are not in REPLY_BOUND. */
  lines?: Uint8Array | undefined
  /** The client's version: HTTP/1.0 clients are told that the connection stays open. */
  versionMinor: 0 | 1
}

/** Every reply fits in this beside its request id, which is written once. */
export const REPLY_BOUND = 512

const REASON_PHRASES: Readonly<Record<number, string>> = {
  301: 'Moved Permanently',
  302: 'Found',
  307: 'Temporary Redirect',
  308: 'Permanent Redirect',
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  413: 'Content Too Large',
  414: 'URI Too Long',
  417: 'Expectation Failed',
  421: 'Misdirected Request',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported',
}

export function reasonPhrase(status: number): string {
  return REASON_PHRASES[status] ?? 'Error'
}

interface Parts {
  readonly statusLine: Uint8Array
  readonly text: Uint8Array
}
const parts = new Map<number, Parts>()

/** Replies repeat under attack, when time is short: what depends on the status alone is made once. */
function partsOf(status: number): Parts {
  let known = parts.get(status)
  if (known === undefined) {
    const phrase = reasonPhrase(status)
    const allow = status === 405 ? 'allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH, TRACE\r\n' : ''
    known = {
      statusLine: latin1(`HTTP/1.1 ${status} ${phrase}\r\n${allow}date: `),
      text: latin1(`${status} ${phrase}`),
    }
    parts.set(status, known)
  }
  return known
}

let dateSecond = -1
let dateText = latin1('')

/** The time as an HTTP date (RFC 9110 5.6.7), made once a second. */
export function httpDate(): Uint8Array {
  const second = Math.floor(Date.now() / 1000)
  if (second !== dateSecond) {
    dateSecond = second
    dateText = latin1(new Date(second * 1000).toUTCString())
  }
  return dateText
}

const CONTENT = latin1('\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: ')
const RETRY_AFTER = latin1('\r\nretry-after: ')
const CLOSE = latin1('\r\nconnection: close')
const KEEP_ALIVE = latin1('\r\nconnection: keep-alive')
const LINE_END = latin1('\r\n')
const END = latin1('\r\n\r\n')
const REQUEST = latin1(' (request ')
const REQUEST_END = latin1(')')
const NEWLINE = latin1('\n')

/**
 * Writes a whole response at `at` of `out`: one line of plain text that names the status and the request. Returns where
 * it ends, or −1 when fewer than REPLY_BOUND bytes beside the request id are left.
 */
export function writeReply(out: Uint8Array, at: number, reply: Reply): number {
  const { requestId } = reply
  const { lines } = reply
  if (out.length - at < REPLY_BOUND + requestId.length + (lines === undefined ? 0 : lines.length)) return -1
  const { statusLine, text } = partsOf(reply.status)
  const named = requestId.length > 0
  const mention = named ? REQUEST.length + requestId.length + REQUEST_END.length : 0
  const detail = reply.detail === undefined ? undefined : latin1(`: ${reply.detail}`)
  at = copyAll(out, at, statusLine)
  at = copyAll(out, at, httpDate())
  at = copyAll(out, at, CONTENT)
  at = writeDecimal(out, at, text.length + (detail === undefined ? 0 : detail.length) + mention + NEWLINE.length)
  if (reply.retryAfterSeconds !== undefined) {
    at = copyAll(out, at, RETRY_AFTER)
    at = writeDecimal(out, at, reply.retryAfterSeconds)
  }
  if (reply.close) at = copyAll(out, at, CLOSE)
  else if (reply.versionMinor === 0) at = copyAll(out, at, KEEP_ALIVE)
  if (lines !== undefined) {
    at = copyAll(out, at, LINE_END)
    at = copyBytes(out, at, lines, 0, lines.length - LINE_END.length)
  }
  at = copyAll(out, at, END)
  if (reply.head) return at
  at = copyAll(out, at, text)
  if (detail !== undefined) at = copyAll(out, at, detail)
  if (named) {
    at = copyAll(out, at, REQUEST)
    at = copyAll(out, at, requestId)
    at = copyAll(out, at, REQUEST_END)
  }
  return copyAll(out, at, NEWLINE)
}
