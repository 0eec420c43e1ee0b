import fc from 'fast-check'
import t from 'tap'
import type { Endpoint } from '../../../src/core/conn.js'
import { crc32c } from '../../../src/net/crc32c.js'
import { PROXY_V1_MAX_BYTES, PROXY_V2_MAX_BYTES } from '../../../src/net/proxy-protocol.js'
import {
  PROXY_DONE,
  PROXY_INVALID,
  PROXY_NEED_MORE,
  ProxyProtocolReader,
} from '../../../src/net/proxy-protocol-reader.js'
import { writeProxyV1, writeProxyV2 } from '../../../src/net/proxy-protocol-writer.js'
import { SEED } from '../../random.js'

const v4 = (address: string, port: number): Endpoint => ({ family: 4, address, port })
const v6 = (address: string, port: number): Endpoint => ({ family: 6, address, port })
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'))

const SIGNATURE = '\r\n\r\n\0\r\nQUIT\n'
const ADDRESSES_V4 = '\x0a\0\0\x01\x0a\0\0\x02\x30\x39\0\x50'
/** A version 2 header; the length is counted unless given. */
const v2 = (versionCommand: number, family: number, body: string, length = body.length): Uint8Array =>
  bytes(SIGNATURE + String.fromCharCode(versionCommand, family, length >> 8, length & 255) + body)

interface Outcome {
  readonly result: number
  readonly headerLength: number
  readonly source: Endpoint | undefined
  readonly destination: Endpoint | undefined
  readonly uniqueId: number[] | undefined
}

/** Feeds the bytes with each given number of them there, as a caller that accumulates does. */
function read(input: Uint8Array, lengths: readonly number[] = [input.length], maxBytes?: number): Outcome {
  const reader = new ProxyProtocolReader(maxBytes)
  const padded = new Uint8Array(input.length + 3)
  padded.set(input, 3)
  let result = PROXY_NEED_MORE
  for (const length of lengths) {
    result = reader.feed(padded, 3, 3 + length)
    if (result !== PROXY_NEED_MORE) break
  }
  const { headerLength, source, destination, uniqueId } = reader
  return { result, headerLength, source, destination, uniqueId: uniqueId && [...uniqueId] }
}

const oneByOne = (input: Uint8Array): number[] => Array.from(input, (_, i) => i + 1)

t.test('version 1 lines are read', async (t) => {
  const cases: [string, Endpoint | undefined, Endpoint | undefined][] = [
    ['PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n', v4('192.0.2.1', 56324), v4('198.51.100.2', 443)],
    ['PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n', v4('0.0.0.0', 0), v4('255.255.255.255', 65535)],
    ['PROXY TCP6 2001:DB8::1 ::1 4124 443\r\n', v6('2001:db8::1', 4124), v6('::1', 443)],
    ['PROXY TCP6 ::ffff:192.0.2.1 ::ffff:a00:1 1 2\r\n', v4('192.0.2.1', 1), v4('10.0.0.1', 2)],
    ['PROXY UNKNOWN\r\n', undefined, undefined],
    ['PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n', undefined, undefined],
    ['PROXY UNKNOWN  any\rthing\nat all \r\n', undefined, undefined],
  ]
  for (const [line, source, destination] of cases) {
    const expected = { result: PROXY_DONE, headerLength: line.length, source, destination, uniqueId: undefined }
    t.same(read(bytes(line)), expected, JSON.stringify(line))
    t.same(read(bytes(`${line}GET / HTTP/1.1\r\n\r\n`)), expected, 'followed by data')
    t.same(read(bytes(line), oneByOne(bytes(line))), expected, 'byte by byte')
  }
})

t.test('version 1 lines that differ from the grammar are refused', async (t) => {
  const lines = [
    'GET / HTTP/1.1\r\n',
    'proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n',
    'PROXY  TCP4 1.1.1.1 2.2.2.2 1 2\r\n',
    'PROXY TCP5 1.1.1.1 2.2.2.2 1 2\r\n',
    'PROXY UNKNOWNS\r\n',
    'PROXY \r\n',
    'PROXY TCP4\r\n',
    'PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n',
    'PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n',
    'PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n',
    'PROXY TCP4 1.1.1.1  2.2.2.2 1 2\r\n',
    'PROXY TCP4 1.1.1.1\t2.2.2.2 1 2\r\n',
    'PROXY TCP4 01.1.1.1 2.2.2.2 1 2\r\n',
    'PROXY TCP4 1.1.1.256 2.2.2.2 1 2\r\n',
    'PROXY TCP4 ::1 ::1 1 2\r\n',
    'PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n',
    'PROXY TCP6 ::1 fe80::1%lo 1 2\r\n',
    'PROXY TCP6 [::1] ::1 1 2\r\n',
    'PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n',
    'PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n',
    'PROXY TCP4 1.1.1.1 2.2.2.2 1 65536\r\n',
    'PROXY TCP4 1.1.1.1 2.2.2.2 1 -2\r\n',
    'PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n\r\n',
    `PROXY UNKNOWN ${'x'.repeat(PROXY_V1_MAX_BYTES)}\r\n`,
  ]
  for (const line of lines) {
    t.match(read(bytes(line)), { result: PROXY_INVALID, headerLength: 0 }, JSON.stringify(line))
    t.equal(read(bytes(line), oneByOne(bytes(line))).result, PROXY_INVALID, 'byte by byte')
  }
})

t.test('the longest version 1 line is 107 bytes, not one more', async (t) => {
  const filler = (length: number): Uint8Array => bytes(`${'PROXY UNKNOWN '.padEnd(length - 2, 'x')}\r\n`)
  t.match(read(filler(107)), { result: PROXY_DONE, headerLength: 107 })
  t.match(read(filler(108)), { result: PROXY_INVALID })
  t.match(read(filler(108).subarray(0, 106)), { result: PROXY_NEED_MORE })
})

t.test('bytes that cannot become a header are refused as soon as they are there', async (t) => {
  t.equal(read(bytes('G')).result, PROXY_INVALID)
  t.equal(read(bytes('PROXX')).result, PROXY_INVALID)
  t.equal(read(bytes('\r\n\r\nx')).result, PROXY_INVALID)
  t.equal(read(bytes(`${SIGNATURE}\x31`)).result, PROXY_INVALID, 'version 3')
  t.equal(read(bytes(`${SIGNATURE}\x22`)).result, PROXY_INVALID, 'command 2')
  t.equal(read(bytes(`${SIGNATURE}\x21\x41`)).result, PROXY_INVALID, 'family 4')
  t.equal(read(bytes(`${SIGNATURE}\x21\x13`)).result, PROXY_INVALID, 'protocol 3')
  t.equal(read(v2(0x21, 0x11, '', 11)).result, PROXY_INVALID, 'too short for the addresses')
  t.equal(read(v2(0x21, 0x21, '', 35)).result, PROXY_INVALID, 'too short for IPv6 addresses')
  t.equal(read(v2(0x21, 0x31, '', 215)).result, PROXY_INVALID, 'too short for Unix addresses')
  t.equal(read(v2(0x20, 0x00, '', 4081)).result, PROXY_INVALID, 'beyond the limit')
  t.equal(read(v2(0x20, 0x00, '', 4080)).result, PROXY_NEED_MORE, 'just within the limit')
  t.equal(read(v2(0x20, 0x00, '', 100), undefined, 64).result, PROXY_INVALID, 'beyond a limit that was set')
})

t.test('version 2 headers are read', async (t) => {
  const source = v4('10.0.0.1', 12345)
  const destination = v4('10.0.0.2', 80)
  const mapped = `${'\0'.repeat(10)}\xff\xff`
  const cases: [string, Uint8Array, Partial<Outcome>][] = [
    ['IPv4', v2(0x21, 0x11, ADDRESSES_V4), { source, destination }],
    [
      'IPv6',
      v2(0x21, 0x21, `${'\0'.repeat(15)}\x01${'\0'.repeat(15)}\x02\0\x07\0\x08`),
      { source: v6('::1', 7), destination: v6('::2', 8) },
    ],
    ['mapped', v2(0x21, 0x21, `${mapped}\x0a\0\0\x01${mapped}\x0a\0\0\x02\x30\x39\0\x50`), { source, destination }],
    ['LOCAL', v2(0x20, 0x00, ''), { source: undefined }],
    ['LOCAL with addresses', v2(0x20, 0x11, ADDRESSES_V4), { source: undefined, destination: undefined }],
    ['LOCAL with an unassigned family', v2(0x20, 0xff, 'abc'), { source: undefined }],
    ['UNSPEC', v2(0x21, 0x00, ''), { source: undefined }],
    ['UNSPEC with something behind', v2(0x21, 0x00, 'abc'), { source: undefined }],
    ['datagrams', v2(0x21, 0x12, ADDRESSES_V4), { source: undefined }],
    ['Unix', v2(0x21, 0x31, '\0'.repeat(216)), { source: undefined }],
    ['unknown TLVs', v2(0x21, 0x11, `${ADDRESSES_V4}\xea\0\x02hi\x04\0\0`), { source, uniqueId: undefined }],
    ['a unique id', v2(0x21, 0x11, `${ADDRESSES_V4}\x05\0\x03abc`), { source, uniqueId: [97, 98, 99] }],
  ]
  for (const [name, header, expected] of cases) {
    const outcome = { result: PROXY_DONE, headerLength: header.length, ...expected }
    t.match(read(header), outcome, name)
    t.match(read(Uint8Array.from([...header, 13, 10])), outcome, `${name}, followed by data`)
    t.match(read(header, oneByOne(header)), outcome, `${name}, byte by byte`)
  }
})

t.test('TLVs that reach too far or lie are refused', async (t) => {
  const cases: [string, string][] = [
    ['one byte left', '\x04'],
    ['two bytes left', '\x04\0'],
    ['a value beyond the header', '\x04\0\x01'],
    ['a value far beyond the header', '\x04\xff\xffabc'],
    ['a second TLV cut short', '\x04\0\0\x05\0'],
    ['an oversized unique id', `\x05\0\x81${'x'.repeat(129)}`],
    ['a wrong checksum', '\x03\0\x04abcd'],
    ['a checksum of three bytes', '\x03\0\x03abc'],
  ]
  for (const [name, tlvs] of cases) {
    t.match(read(v2(0x21, 0x11, ADDRESSES_V4 + tlvs)), { result: PROXY_INVALID, uniqueId: undefined }, name)
  }
})

t.test('a header whose checksum is right is accepted, and any changed bit of it is not', async (t) => {
  const out = new Uint8Array(PROXY_V2_MAX_BYTES)
  const options = { uniqueId: bytes('id'), checksum: true }
  const end = writeProxyV2(out, 0, v4('192.0.2.1', 1), v4('192.0.2.2', 2), options)
  t.match(read(out.subarray(0, end)), { result: PROXY_DONE, headerLength: end })
  for (let bit = 16 * 8; bit < end * 8; bit++) {
    const changed = out.slice(0, end)
    changed[bit >> 3]! ^= 1 << (bit & 7)
    // A TLV type that is no longer "checksum" leaves a header without one.
    if (bit >> 3 === end - 7) continue
    if (read(changed).result !== PROXY_INVALID) t.fail(`bit ${bit} was changed unnoticed`)
  }
})

t.test('the checksum is CRC-32C', async (t) => {
  // The vectors of RFC 3720 §B.4.
  t.equal(crc32c(new Uint8Array(32), 0, 32), 0x8a9136aa)
  t.equal(crc32c(new Uint8Array(32).fill(255), 0, 32), 0x62a8ab43)
  t.equal(
    crc32c(
      Uint8Array.from({ length: 32 }, (_, i) => i),
      0,
      32,
    ),
    0x46dd794e,
  )
  t.equal(crc32c(bytes('x123456789x'), 1, 10), 0xe3069283)
  t.equal(crc32c(bytes('abcdefgh'), 0, 8, 2), crc32c(bytes('ab\0\0\0\0gh'), 0, 8))
})

t.test('the writer writes version 1 as the specification shows it', async (t) => {
  const cases: [Endpoint, Endpoint, string][] = [
    [v4('192.0.2.1', 56324), v4('198.51.100.2', 443), 'PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n'],
    [v6('2001:db8::1', 1), v6('::1', 2), 'PROXY TCP6 2001:db8::1 ::1 1 2\r\n'],
    [v4('192.0.2.1', 1), v6('2001:db8::1', 2), 'PROXY TCP6 ::ffff:c000:201 2001:db8::1 1 2\r\n'],
    [v6('fe80::1%eth0', 1), v4('192.0.2.1', 2), 'PROXY TCP6 fe80::1 ::ffff:c000:201 1 2\r\n'],
    [v4('', 1), v4('192.0.2.1', 2), 'PROXY UNKNOWN\r\n'],
    [v4('192.0.2.1', 1), v4('somewhere', 2), 'PROXY UNKNOWN\r\n'],
  ]
  for (const [source, destination, line] of cases) {
    const out = new Uint8Array(PROXY_V1_MAX_BYTES + 5)
    const end = writeProxyV1(out, 5, source, destination)
    t.equal(Buffer.from(out.subarray(5, end)).toString('latin1'), line)
  }
  const long = v6('ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 65535)
  t.ok(writeProxyV1(new Uint8Array(PROXY_V1_MAX_BYTES), 0, long, long) <= PROXY_V1_MAX_BYTES)
})

t.test('the writer refuses to write where there is no room', async (t) => {
  const at = v4('192.0.2.1', 1)
  t.throws(() => writeProxyV1(new Uint8Array(PROXY_V1_MAX_BYTES), 1, at, at), RangeError)
  t.throws(() => writeProxyV2(new Uint8Array(PROXY_V2_MAX_BYTES), 1, at, at), RangeError)
  t.throws(() => writeProxyV2(new Uint8Array(300), 0, at, at, { uniqueId: new Uint8Array(129) }), RangeError)
})

t.test('an address that cannot be written makes a version 2 header that keeps the peer', async (t) => {
  const out = new Uint8Array(PROXY_V2_MAX_BYTES)
  const end = writeProxyV2(out, 0, v4('', 1), v4('192.0.2.1', 2), { uniqueId: bytes('id'), checksum: true })
  t.match(read(out.subarray(0, end)), { result: PROXY_DONE, headerLength: 16, source: undefined })
})

const ipv4 = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255)).map((parts) => parts.join('.'))
const ipv6 = fc
  .array(fc.integer({ min: 1, max: 0xffff }), { minLength: 7, maxLength: 7 })
  .map((groups) => groups.map((group) => group.toString(16)).join(':'))
  .map((groups) => `2001:${groups}`)
const endpoint = fc.oneof(
  fc.record({ family: fc.constant(4 as const), address: ipv4, port: fc.nat(65535) }),
  fc.record({ family: fc.constant(6 as const), address: ipv6, port: fc.nat(65535) }),
)
const written = fc
  .record({
    source: endpoint,
    destination: endpoint,
    version: fc.constantFrom(1, 2),
    id: fc.option(fc.uint8Array({ maxLength: 128 })),
    checksum: fc.boolean(),
  })
  .map(({ source, destination, version, id, checksum }) => {
    const out = new Uint8Array(PROXY_V2_MAX_BYTES)
    const options = { uniqueId: id ?? undefined, checksum }
    const end =
      version === 1 ? writeProxyV1(out, 0, source, destination) : writeProxyV2(out, 0, source, destination, options)
    const uniqueId = version === 2 && id ? [...id] : undefined
    return {
      header: out.subarray(0, end),
      expected: { result: PROXY_DONE, headerLength: end, source, destination, uniqueId },
    }
  })

t.test('what the writer writes the reader reads, at any split', async (t) => {
  t.comment(`seed ${SEED}`)
  fc.assert(
    fc.property(written, fc.array(fc.nat(250), { maxLength: 6 }), ({ header, expected }, splits) => {
      const lengths = splits.filter((at) => at < header.length).sort((a, b) => a - b)
      const outcome = read(header, [...lengths, header.length])
      return JSON.stringify(outcome) === JSON.stringify(expected)
    }),
    { seed: SEED, numRuns: 2_000 },
  )
})

t.test('damaged headers give the same outcome whole and in pieces, and never reach beyond their end', async (t) => {
  t.comment(`seed ${SEED}`)
  const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 })
  fc.assert(
    fc.property(written, damage, fc.uint8Array({ maxLength: 40 }), ({ header }, changes, tail) => {
      const input = Uint8Array.from([...header, ...tail])
      for (const [at, byte] of changes) input[at % input.length] = byte
      const whole = read(input)
      const pieces = read(input, oneByOne(input))
      return JSON.stringify(whole) === JSON.stringify(pieces) && whole.headerLength <= input.length
    }),
    { seed: SEED, numRuns: 3_000 },
  )
})
