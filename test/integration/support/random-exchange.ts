/** A valid exchange made at random: what a client sends, what its target answers, and where the bytes are cut. */
export interface RandomExchange {
  readonly method: string
  readonly version: '1.0' | '1.1'
  /** Request and response as they go over the wire, in the pieces in which they are written. */
  readonly request: readonly Buffer[]
  readonly response: readonly Buffer[]
  /** The response ends with the connection. */
  readonly untilClose: boolean
}

type Random = () => number

const METHODS = ['GET', 'GET', 'GET', 'HEAD', 'POST', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'X-Odd~!']
const STATUSES = [
  '200 OK',
  '200 ',
  '201 Made of \t spaces',
  '204 No Content',
  '206 Part',
  '301 Away',
  '304 Not Modified',
]
const MORE_STATUSES = ['400 Bad', '404 Not Found', '418 Teapot', '500 Oh', '503 Later', '599 Last']
const NAMES = [
  'Accept',
  'X-A',
  'x-b',
  'X-C_D',
  "X-!#$%&'*+.^`|~",
  'Cookie',
  'Cache-Control',
  'ETag',
  'X-Long-Name-Of-A-Field',
]
const VALUES = ['', 'a', 'two words', 'a=b; c="d, e"', '\xe4\xff', 'tab\there', '*/*;q=0.5', 'x'.repeat(500)]
const PATHS = [
  '/',
  '/a',
  '/a/b/../c',
  '//x',
  '/%7e%C3%A4',
  '/a;b=c',
  '/?',
  '/q?a=b&c=%',
  '/?/?',
  `/${'long/'.repeat(60)}`,
]
const SPACES = ['', ' ', '  ', '\t ']

const pick = <T>(random: Random, from: readonly T[]): T => from[Math.floor(random() * from.length)]!
const below = (random: Random, limit: number): number => Math.floor(random() * limit)
const chance = (random: Random, of: number): boolean => random() < of

function fields(random: Random): string[] {
  return Array.from({ length: below(random, 8) }, () => {
    const value = pick(random, VALUES)
    return `${pick(random, NAMES)}:${pick(random, SPACES)}${value}${pick(random, SPACES)}`
  })
}

function bytes(random: Random): Buffer {
  const length = chance(random, 0.1) ? below(random, 300_000) : below(random, 3_000)
  const data = Buffer.allocUnsafe(length)
  for (let i = 0; i < length; i++) data[i] = (i * 31 + (i >> 8) + length) & 255
  return data
}

/** The body in chunks of any size, with extensions, leading zeros and trailers now and then. */
function chunked(random: Random, body: Buffer, trailers: boolean): Buffer {
  const parts: Buffer[] = []
  const extension = (): string => (chance(random, 0.2) ? pick(random, [';a', ';a=b', ' ; a="q \\" q"', ';a;b=c']) : '')
  for (let at = 0; at < body.length; ) {
    const size = Math.min(body.length - at, 1 + below(random, chance(random, 0.5) ? 20 : 5_000))
    const digits = chance(random, 0.1) ? `00${size.toString(16).toUpperCase()}` : size.toString(16)
    parts.push(Buffer.from(`${digits}${extension()}\r\n`), body.subarray(at, at + size), Buffer.from('\r\n'))
    at += size
  }
  const lines = trailers ? Array.from({ length: below(random, 3) }, (_, i) => `X-Trailer-${i}: ${i}\r\n`) : []
  parts.push(Buffer.from(`0${extension()}\r\n${lines.join('')}\r\n`))
  return Buffer.concat(parts)
}

function pieces(random: Random, whole: Buffer): Buffer[] {
  const count = chance(random, 0.4) ? 1 : 2 + below(random, 6)
  // Half of the cuts fall near the beginning, where the head is.
  const cuts = Array.from({ length: count - 1 }, () => below(random, chance(random, 0.5) ? 200 : whole.length))
  const at = [0, ...cuts.filter((cut) => cut < whole.length).sort((a, b) => a - b), whole.length]
  return at.slice(1).map((end, index) => whole.subarray(at[index], end))
}

/** `index` is sent along as X-Case, so that the target knows which response belongs to it. */
export function randomExchange(random: Random, index: number): RandomExchange {
  const method = pick(random, METHODS)
  const version = chance(random, 0.15) ? '1.0' : '1.1'
  const asked = request(random, method, version, index)
  const { whole, untilClose } = response(random, method)
  return { method, version, request: pieces(random, asked), response: pieces(random, whole), untilClose }
}

function request(random: Random, method: string, version: string, index: number): Buffer {
  const lines = [
    `${method} ${pick(random, PATHS)} HTTP/${version}`,
    'Host: test',
    `X-Case: ${index}`,
    ...fields(random),
  ]
  const body = bytes(random)
  switch (below(random, version === '1.1' ? 3 : 2)) {
    case 0:
      return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
    case 1:
      return Buffer.concat([
        Buffer.from(`${lines.join('\r\n')}\r\nContent-Length: ${body.length}\r\n\r\n`, 'latin1'),
        body,
      ])
    default:
      return Buffer.concat([
        Buffer.from(`${lines.join('\r\n')}\r\nTransfer-Encoding: chunked\r\n\r\n`, 'latin1'),
        chunked(random, body, true),
      ])
  }
}

function response(random: Random, method: string): { whole: Buffer; untilClose: boolean } {
  const status = pick(random, chance(random, 0.5) ? STATUSES : MORE_STATUSES)
  const interims = chance(random, 0.1)
    ? 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n'
    : ''
  const head = `${interims}HTTP/1.1 ${[status, ...fields(random)].join('\r\n')}\r\n`
  const none = method === 'HEAD' || status.startsWith('204') || status.startsWith('304')
  const body = bytes(random)
  const kind = below(random, 3)
  if (none) {
    const length = kind === 1 && !status.startsWith('204') ? `Content-Length: ${body.length}\r\n` : ''
    return { whole: Buffer.from(`${head}${length}\r\n`, 'latin1'), untilClose: false }
  }
  const framing = ['', `Content-Length: ${body.length}\r\n`, 'Transfer-Encoding: chunked\r\n'][kind]!
  const framed = kind === 2 ? chunked(random, body, true) : body
  return { whole: Buffer.concat([Buffer.from(`${head}${framing}\r\n`, 'latin1'), framed]), untilClose: kind === 0 }
}
