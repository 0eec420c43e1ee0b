import { requestCorpus, responseCorpus } from './corpus.js'

type Random = () => number

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')
const pick = <T>(random: Random, of: readonly T[]): T => of[Math.floor(random() * of.length)]!
const times = (random: Random, most: number): number => Math.floor(random() * (most + 1))

const METHODS = ['GET', 'POST', 'PUT', 'HEAD', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE', 'CONNECT', 'get', 'PRI', 'X']
const TARGETS = [
  '/',
  '/a/b?c=d',
  '*',
  'http://h/',
  'http://other:8080/x?y',
  'http://h',
  'https://h/a',
  '//x/y',
  '/%2e%2e/%2f',
  '/a;b=c',
  '/a?b?c#d',
  '/\\',
  'h:80',
  '/a[0]|^`{}',
  '/%',
]
const VERSIONS = ['HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0', 'HTTP/1.2', 'HTTP/2.0', 'http/1.1', 'HTTP/1.1 ']
const HOSTS = ['h', 'h:80', 'a.example', '[::1]:8080', '', 'h, g', 'h@g', 'h:', 'a,b;c=d', '127.0.0.1']

/** Field lines on which framing, routing or the life of a connection turn. */
const FIELDS = [
  'Content-Length: 5',
  'Content-Length: 0',
  'Content-Length: 05',
  'Content-Length: 5, 5',
  'Content-Length: +5',
  'content-length:5',
  'Content_Length: 5',
  'Transfer-Encoding: chunked',
  'transfer-encoding:\tchunked ',
  'Transfer-Encoding: Chunked',
  'Transfer-Encoding: identity',
  'Transfer-Encoding: gzip, chunked',
  'Transfer-Encoding: chunked, ',
  'Transfer_Encoding: chunked',
  'Connection: close',
  'Connection: keep-alive',
  'Connection: keep-alive, Content-Length',
  'Connection: Transfer-Encoding, x-hop',
  'Connection: Upgrade',
  'Proxy-Connection: close',
  'Keep-Alive: timeout=1',
  'Upgrade: websocket',
  'Upgrade: h2c',
  'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA',
  'Expect: 100-continue',
  'TE: trailers',
  'Trailer: x-sum',
  'X-Hop: 1',
  'X-Forwarded-For: 198.51.100.9',
  'X-Forwarded-Client-Port: 1',
  'X-Request-Id: abc',
  'Cookie: a=b; c=d',
  'X-Long: \xe9\xff\t"quoted, list"',
  'X-Empty:',
  'Host: g',
  ' folded',
]
const BODIES = [
  '',
  '',
  'hello',
  '5\r\nhello\r\n0\r\n\r\n',
  '5;a=b\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n',
  '0\r\n\r\n',
  '05\r\nhello\r\n00\r\n\r\n',
  '2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n',
  'GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n',
]
const TROUBLE = [...'\r\n\t\0 :;,/?#%*@[]"\\_-0129+abcxH.', '\x0b', '\x0c', '\x7f', '\x80', '\x85', '\xa0', '\xff']
const SNIPPETS = [
  '\r\n',
  '\n',
  '\r',
  '\r\n\r\n',
  '\n\n',
  ' ',
  '\t',
  '\0',
  ': ',
  ' :',
  '\r\n ',
  ';',
  '0\r\n\r\n',
  'chunked',
  '1',
]

/** A request, most of the time a right one. */
function request(random: Random): string {
  const wild = random() < 0.15
  const method = pick(random, wild ? METHODS : METHODS.slice(0, 7))
  const target = method === 'OPTIONS' && random() < 0.5 ? '*' : pick(random, wild ? TARGETS : ['/', '/a/b?c=d', '/x'])
  const version = wild ? pick(random, VERSIONS) : 'HTTP/1.1'
  const lines = [`Host: ${wild ? pick(random, HOSTS) : 'h'}`]
  for (let more = times(random, 3); more > 0; more--) lines.push(pick(random, FIELDS))
  let body = ''
  const framing = random()
  if (framing < 0.3) {
    body = pick(random, BODIES)
    lines.push(`Content-Length: ${body.length}`)
  } else if (framing < 0.55) {
    body = pick(random, BODIES.slice(3, 8))
    lines.push('Transfer-Encoding: chunked')
  } else if (wild) {
    body = pick(random, BODIES)
  }
  if (random() < 0.2) lines.reverse()
  return `${method} ${target} ${version}\r\n${lines.join('\r\n')}\r\n\r\n${body}`
}

/** One change, of bytes or of lines. */
function mutate(random: Random, text: string, others: readonly string[]): string {
  const at = Math.floor(random() * text.length)
  const lineStart = text.lastIndexOf('\n', at) + 1
  const lineEnd = text.indexOf('\n', at) + 1 || text.length
  switch (Math.floor(random() * 14)) {
    case 0:
      return text.slice(0, at) + pick(random, TROUBLE) + text.slice(at + 1)
    case 1:
      return text.slice(0, at) + pick(random, TROUBLE) + text.slice(at)
    case 2:
      return text.slice(0, at) + text.slice(at + 1)
    case 3:
      return text.slice(0, at) + pick(random, SNIPPETS) + text.slice(at)
    case 4:
      return text.slice(0, lineEnd) + text.slice(lineStart)
    case 5:
      return text.slice(0, lineStart) + text.slice(lineEnd)
    case 6:
      return `${text.slice(0, lineStart)}${pick(random, FIELDS)}\r\n${text.slice(lineStart)}`
    case 7: {
      // A number a little off.
      const [digits] = /\d+/.exec(text.slice(at)) ?? []
      if (digits === undefined) return text
      const place = text.indexOf(digits, at)
      const next = String(Math.max(0, Number(digits) + pick(random, [-1, 1, 16])))
      return text.slice(0, place) + next + text.slice(place + digits.length)
    }
    case 8: {
      const other = pick(random, others)
      return text.slice(0, at) + other.slice(Math.floor(random() * other.length))
    }
    case 9: {
      const byte = text.charCodeAt(at) || 0
      return text.slice(0, at) + String.fromCharCode(byte ^ (1 << Math.floor(random() * 8))) + text.slice(at + 1)
    }
    case 10: {
      const end = text.indexOf('\r\n', at)
      return end < 0
        ? text
        : text.slice(0, end) + pick(random, ['\n', '\r', '\r\r\n', ' \r\n', '\t\r\n']) + text.slice(end + 2)
    }
    case 11: {
      // White space and letter case, which should change nothing.
      const colon = text.indexOf(':', at)
      if (colon < 0) return text
      const name = text.slice(lineStart, colon)
      const spaced = pick(random, [':', ': \t', ':  ', ':\t'])
      return (
        text.slice(0, lineStart) +
        (random() < 0.5 ? name.toUpperCase() : name) +
        spaced +
        text.slice(colon + 1).trimStart()
      )
    }
    case 12: {
      const end = text.indexOf('\r\n', at)
      return end < 0
        ? text
        : text.slice(0, end) + pick(random, [' ', '\t', '  ', ';a', ';a=b', ' ;a="b"', '0']) + text.slice(end)
    }
    default: {
      const colon = text.indexOf(':', at)
      return colon < 0
        ? text
        : text.slice(0, colon) + pick(random, [' :', ':\t', '\t:', '::', ';', ':\x0b']) + text.slice(colon + 1)
    }
  }
}

const MOST_BYTES = 3_000

const texts = (entries: readonly { readonly bytes: Buffer }[]): string[] =>
  entries.filter(({ bytes }) => bytes.length < MOST_BYTES).map(({ bytes }) => bytes.toString('latin1'))

/** Read from the files once, by whoever needs them first. */
let seeds: { readonly requests: readonly string[]; readonly responses: readonly string[] } | undefined

/** Makes inputs out of the corpus and a grammar; the same ones for the same `random`. */
export class Generator {
  readonly #random: Random
  readonly #requests: readonly string[]
  readonly #responses: readonly string[]

  constructor(random: Random) {
    this.#random = random
    seeds ??= { requests: texts(requestCorpus()), responses: texts(responseCorpus()) }
    this.#requests = seeds.requests
    this.#responses = seeds.responses
  }

  /** What a client might send: one request or several, mostly with a few changes. */
  requests(): Buffer {
    const random = this.#random
    let text = random() < 0.3 ? pick(random, this.#requests) : request(random)
    for (let changes = random() < 0.4 ? 0 : 1 + times(random, 1); changes > 0; changes--) {
      text = mutate(random, text, this.#requests)
    }
    while (random() < 0.3) text += request(random)
    return latin1(text.slice(0, MOST_BYTES * 2))
  }

  /** What a target might answer. */
  response(): Buffer {
    const random = this.#random
    let text = pick(random, this.#responses)
    for (let changes = random() < 0.2 ? 0 : 1 + times(random, 2); changes > 0; changes--) {
      text = mutate(random, text, this.#responses)
    }
    return latin1(text.slice(0, MOST_BYTES * 2))
  }

  /** Where to cut an input into reads; mostly nowhere. */
  cuts(length: number): number[] {
    const random = this.#random
    if (random() < 0.5) return []
    return Array.from({ length: times(random, 5) }, () => Math.floor(random() * length))
  }

  chance(share: number): boolean {
    return this.#random() < share
  }

  pick<T>(of: readonly T[]): T {
    return pick(this.#random, of)
  }
}
