import fc from 'fast-check'
import t from 'tap'
import {
  CHUNK_DATA,
  CHUNK_END,
  CHUNK_ERROR,
  CHUNK_NEED_MORE,
  ChunkedDecoder,
} from '../../../src/http/chunked-decoder.js'
import {
  CHUNK_HEADER_MAX,
  CHUNK_TERMINATOR,
  LAST_CHUNK,
  LAST_CHUNK_BEFORE_TRAILERS,
  writeChunkHeader,
} from '../../../src/http/chunked-writer.js'
import { SEED } from '../../random.js'
import { bytes, cutPlaces, cutsOf, LIMITS, mutated, textOf } from './heads.js'

t.comment(`seed ${SEED}`)

interface Decoded {
  readonly outcome: 'end' | 'more' | 'error'
  readonly data: string
  readonly trailers: string
  /** Bytes taken; what was refused is not. */
  readonly consumed: number
  readonly detail: string
}

/** Decodes `input` given in the pieces that `cuts` make of it, each in a buffer of its own. */
function decode(input: Uint8Array, cuts: readonly number[] = [], decoder = new ChunkedDecoder(LIMITS)): Decoded {
  decoder.reset()
  const ends = [...cuts.filter((cut) => cut < input.length), input.length].sort((a, b) => a - b)
  let data = ''
  let from = 0
  let outcome: number = CHUNK_NEED_MORE
  for (const end of ends) {
    const offset = 2
    const buffer = new Uint8Array(offset + end - from + 3).fill(0x30)
    buffer.set(input.subarray(from, end), offset)
    const stop = offset + end - from
    let at = offset
    do {
      outcome = decoder.next(buffer, at, stop)
      if (outcome === CHUNK_DATA) {
        if (decoder.dataStart < at || decoder.dataEnd > stop || decoder.dataEnd <= decoder.dataStart)
          throw new Error('no such data')
        data += textOf(buffer, decoder.dataStart, decoder.dataEnd)
      }
      at = decoder.position
    } while (outcome === CHUNK_DATA)
    if (outcome === CHUNK_NEED_MORE && at !== stop) throw new Error('bytes left over')
    from += at - offset
    if (outcome !== CHUNK_NEED_MORE) break
  }
  return {
    outcome: outcome === CHUNK_END ? 'end' : outcome === CHUNK_ERROR ? 'error' : 'more',
    data,
    trailers: outcome === CHUNK_END ? textOf(decoder.trailers, 0, decoder.trailersLength) : '',
    consumed: outcome === CHUNK_ERROR ? -1 : from,
    detail: decoder.errorDetail,
  }
}

const decodeText = (text: string): Decoded => decode(bytes(text))

t.test('RFC 9112 7.1: chunked bodies that are accepted', async (t) => {
  for (const [body, data, trailers = ''] of [
    ['0\r\n\r\n', ''],
    ['5\r\nhello\r\n0\r\n\r\n', 'hello'],
    ['1\r\na\r\nA\r\n0123456789\r\n00\r\n\r\n', 'a0123456789'],
    ['0000000000000003\r\n\r\n\0\r\n0\r\n\r\n', '\r\n\0'],
    ['3;name\r\nabc\r\n0;last=1\r\n\r\n', 'abc'],
    ['3;a=b;c="d;\\"\r\\x"\r\nabc\r\n0\r\n\r\n'.replace('\r\\x', '\\x'), 'abc'],
    ['3 ; a = b\t;\tc\r\nabc\r\n0\r\n\r\n', 'abc'],
    ['0\r\nX-Sum: 1\r\n\r\n', '', 'X-Sum: 1\r\n'],
    ['1\r\na\r\n0\r\nx-a:1 \t\r\nETag:\t"e"\r\nX-Empty:\r\n\r\n', 'a', 'x-a: 1\r\nETag: "e"\r\nX-Empty: \r\n'],
  ] as const) {
    t.match(
      decodeText(body),
      { outcome: 'end', data, trailers, consumed: body.length, detail: '' },
      JSON.stringify(body),
    )
  }
})

t.test('bytes after the end are left alone', async (t) => {
  t.match(decodeText('0\r\n\r\nGET / HTTP/1.1\r\n'), { outcome: 'end', consumed: 5 })
  const decoder = new ChunkedDecoder(LIMITS)
  const input = bytes('0\r\n\r\nX')
  t.equal(decoder.next(input, 0, input.length), CHUNK_END)
  t.equal(decoder.next(input, decoder.position, input.length), CHUNK_END, 'and asking again says so again')
  t.equal(decoder.position, 5)
})

t.test('RFC 9112 7.1: chunked bodies that are refused', async (t) => {
  for (const [body, detail] of [
    ['\r\n', 'no chunk size'],
    [' 5\r\nhello', 'no chunk size'],
    ['-1\r\n', 'no chunk size'],
    ['+1\r\n', 'no chunk size'],
    ['g\r\n', 'no chunk size'],
    [';a\r\n', 'no chunk size'],
    ['0x5\r\nhello', 'malformed chunk size'],
    ['5_\r\n', 'malformed chunk size'],
    ['5,\r\n', 'malformed chunk size'],
    ['5.\r\n', 'malformed chunk size'],
    ['5\0\r\n', 'malformed chunk size'],
    ['5 \r\nhello', 'malformed chunk extension'],
    ['5\nhello', 'malformed chunk size'],
    ['5\r\r\n', 'chunk size not ended by CRLF'],
    ['5\rhello', 'chunk size not ended by CRLF'],
    ['00000000000000005\r\n', 'chunk size too large'],
    ['20000000000000\r\n', 'chunk size too large'],
    ['ffffffffffffffff\r\n', 'chunk size too large'],
    ['5;\r\nhello', 'malformed chunk extension'],
    ['5;a\nhello', 'malformed chunk extension'],
    ['5;a\r\rhello', 'chunk size not ended by CRLF'],
    ['5;a=\r\n', 'malformed chunk extension'],
    ['5;a="b\r\n', 'malformed chunk extension'],
    ['5;a="b"c\r\n', 'malformed chunk extension'],
    ['5;a="\\\r"\r\n', 'malformed chunk extension'],
    ['5;a \r\n', 'malformed chunk extension'],
    ['5;a=b c\r\n', 'malformed chunk extension'],
    ['5;a=b \r\n', 'malformed chunk extension'],
    ['5;\x01\r\n', 'malformed chunk extension'],
    ['5;a="\x00"\r\n', 'malformed chunk extension'],
    ['1\r\nab', 'chunk data not ended by CRLF'],
    ['1\r\na\n', 'chunk data not ended by CRLF'],
    ['1\r\na\r\r', 'chunk data not ended by CRLF'],
    ['1\r\na0\r\n\r\n', 'chunk data not ended by CRLF'],
    ['0\r\n\n', 'malformed trailer name'],
    ['0\r\n\r\r', 'trailers not ended by CRLF'],
    ['0\r\nGET / HTTP/1.1\r\n', 'malformed trailer name'],
    ['0\r\nX-A\r\n', 'malformed trailer name'],
    ['0\r\nX-A : 1\r\n', 'malformed trailer name'],
    ['0\r\n: 1\r\n', 'malformed trailer name'],
    ['0\r\nX-A: 1\r\n 2\r\n', 'malformed trailer name'],
    ['0\r\nX-A: 1\n', 'malformed trailer value'],
    ['0\r\nX-A: \0', 'malformed trailer value'],
    ['0\r\nX-A: 1\rX', 'trailer not ended by CRLF'],
  ] as const) {
    t.match(decodeText(body), { outcome: 'error', detail }, JSON.stringify(body))
  }
})

t.test('RFC 9110 6.5.1: fields that may not be trailers are dropped', async (t) => {
  for (const name of [
    'Content-Length',
    'Transfer-Encoding',
    'Host',
    'Connection',
    'Keep-Alive',
    'TE',
    'Trailer',
    'Upgrade',
    'Expect',
    'Authorization',
    'Proxy-Authorization',
    'Proxy-Anything',
    'Cookie',
    'Set-Cookie',
    'Content-Type',
    'Content-Encoding',
    'Content-Anything',
    'Cache-Control',
    'Location',
    'Date',
    'Range',
    'If-Match',
    'If-Anything',
    'X-Forwarded-For',
    'X_Forwarded_For',
    'X-Forwarded-Anything',
    'Forwarded',
    'X-Request-Id',
    'Via',
    'Access-Control-Allow-Origin',
    'Sec-WebSocket-Key',
    'X-Original-URL',
    'content_length',
  ]) {
    const { trailers, outcome } = decodeText(`0\r\nX-First: 1\r\n${name}: 2\r\nX-Last: 3\r\n\r\n`)
    t.equal(outcome, 'end')
    t.equal(trailers, 'X-First: 1\r\nX-Last: 3\r\n', name)
  }
  for (const name of ['ETag', 'Server-Timing', 'grpc-status', 'Content-Digest', 'Digest', 'X-Checksum']) {
    t.equal(decodeText(`0\r\n${name}: 2\r\n\r\n`).trailers, `${name}: 2\r\n`)
  }
})

t.test('extensions and trailers are bounded', async (t) => {
  const chunk = (extension: number): string => `1;${'a'.repeat(extension - 1)}\r\nx\r\n`
  t.match(decodeText(`${chunk(1024)}0\r\n\r\n`), { outcome: 'end' })
  t.match(decodeText(chunk(1025)), { outcome: 'error', detail: 'chunk extensions too large' })
  t.match(decodeText(`${chunk(1024).repeat(16)}0\r\n\r\n`), { outcome: 'end' })
  t.match(decodeText(`${chunk(1024).repeat(16)}0;\r\n`), { outcome: 'error', detail: 'chunk extensions too large' })
  const small = (): ChunkedDecoder => new ChunkedDecoder({ maxHeaderBytes: 20, maxHeaders: 2 })
  t.match(decode(bytes(`0\r\nx: ${'1'.repeat(13)}\r\n\r\n`), [], small()), { outcome: 'end' })
  t.match(decode(bytes(`0\r\nx: ${'1'.repeat(14)}\r\n\r\n`), [], small()), { detail: 'trailers too large' })
  t.match(decode(bytes('0\r\na: 1\r\nb: 1\r\n\r\n'), [], small()), { outcome: 'end' })
  t.match(decode(bytes('0\r\na:\r\nb:\r\nc:\r\n\r\n'), [], small()), { detail: 'too many trailers' })
  const long = `x: ${'y'.repeat(2000)}\r\n`
  t.equal(decodeText(`0\r\n${long}\r\n`).trailers, long, 'the room for trailers grows')
})

t.test('a decoder is as new after reset', async (t) => {
  const decoder = new ChunkedDecoder(LIMITS)
  for (const spoiled of ['1;ext\r\n', '5\r\nab', '0\r\nX: y\r\n', 'g', '0\r\nX: 1\r\n\r\n']) {
    decode(bytes(spoiled), [], decoder)
    const again = decode(bytes('2\r\nok\r\n0\r\nT: u\r\n\r\n'), [], decoder)
    t.match(again, { outcome: 'end', data: 'ok', trailers: 'T: u\r\n' }, spoiled)
  }
})

const BODIES = [
  '5\r\nhello\r\n0\r\n\r\n',
  'a;x="y z";q\r\n0123456789\r\n1\r\n!\r\n0\r\nX-Sum: abc\r\nHost: x\r\n\r\n',
  '0003 ; a = b\r\n\r\n\r\r\n000\r\n\r\n',
]

t.test('a body reads the same however it is cut', async () => {
  fc.assert(
    fc.property(mutated(BODIES, 3), cutPlaces, (input, places) => {
      const whole = decode(input)
      t.same(decode(input, cutsOf(places, input.length)), whole)
      t.same(
        decode(
          input,
          Array.from(input, (_, index) => index),
        ),
        whole,
      )
    }),
    { seed: SEED, numRuns: 1000 },
  )
})

t.test('RFC 9112 7.1: what the writer makes of data the decoder reads back', async () => {
  const chunk = fc.uint8Array({ minLength: 1, maxLength: 300 })
  fc.assert(
    fc.property(fc.array(chunk, { maxLength: 6 }), fc.boolean(), cutPlaces, (chunks, withTrailers, places) => {
      const parts: Uint8Array[] = []
      for (const data of chunks) {
        const header = new Uint8Array(CHUNK_HEADER_MAX)
        parts.push(header.subarray(0, writeChunkHeader(header, 0, data.length)), data, CHUNK_TERMINATOR)
      }
      parts.push(...(withTrailers ? [LAST_CHUNK_BEFORE_TRAILERS, bytes('T: u\r\n'), CHUNK_TERMINATOR] : [LAST_CHUNK]))
      const body = new Uint8Array(Buffer.concat(parts))
      const decoded = decode(body, cutsOf(places, body.length))
      return (
        decoded.outcome === 'end' &&
        decoded.data === textOf(new Uint8Array(Buffer.concat(chunks))) &&
        decoded.trailers === (withTrailers ? 'T: u\r\n' : '')
      )
    }),
    { seed: SEED, numRuns: 500 },
  )
})

t.test('chunk sizes are written in hex without leading zeros', async (t) => {
  const out = new Uint8Array(CHUNK_HEADER_MAX + 1)
  for (const size of [1, 9, 10, 15, 16, 255, 256, 65_535, 2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
    t.equal(textOf(out, 1, writeChunkHeader(out, 1, size)), `${size.toString(16)}\r\n`)
  }
})
