import fc from 'fast-check'
import t from 'tap'
import { FieldList } from '../../../../src/http/h2/field-list.js'
import {
  BLOCK_BOMB,
  BLOCK_MALFORMED,
  BLOCK_OK,
  BLOCK_TOO_LARGE,
  type BlockOutcome,
  HpackDecoder,
} from '../../../../src/http/h2/hpack-decoder.js'
import { HpackEncoder } from '../../../../src/http/h2/hpack-encoder.js'
import { huffmanDecode, huffmanEncode, huffmanLength, huffmanRoom } from '../../../../src/http/h2/hpack-huffman.js'
import { DynamicTable } from '../../../../src/http/h2/hpack-table.js'
import { SEED } from '../../../random.js'
import { encode, type Field, fieldList, fieldsOf } from './rig.js'

t.comment(`seed ${SEED}`)

const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex')

function decode(block: Uint8Array, decoder = new HpackDecoder(65_536, 262_144)): [BlockOutcome, Field[]] {
  const list = new FieldList(16, 1)
  const outcome = decoder.decode(block, 0, block.length, list)
  return [outcome, fieldsOf(list)]
}

const REQUEST: Field[] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'www.example.com'],
]
const REQUESTS: Field[][] = [
  REQUEST,
  [...REQUEST, ['cache-control', 'no-cache']],
  [
    [':method', 'GET'],
    [':scheme', 'https'],
    [':path', '/index.html'],
    [':authority', 'www.example.com'],
    ['custom-key', 'custom-value'],
  ],
]
const response = (status: string, second: string): Field[] => [
  [':status', status],
  ['cache-control', 'private'],
  ['date', `Mon, 21 Oct 2013 20:13:${second} GMT`],
  ['location', 'https://www.example.com'],
]
const RESPONSES: Field[][] = [
  response('302', '21'),
  response('307', '21'),
  [
    ...response('200', '22'),
    ['content-encoding', 'gzip'],
    ['set-cookie', 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'],
  ],
]

/** RFC 7541, appendix C. The tables of C.5 and C.6 have 256 bytes, which the first block says here. */
const EXAMPLES: readonly [name: string, blocks: readonly string[], expected: Field[][]][] = [
  ['C.2.1', ['400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572'], [[['custom-key', 'custom-header']]]],
  ['C.2.2', ['040c 2f73 616d 706c 652f 7061 7468'], [[[':path', '/sample/path']]]],
  ['C.2.3', ['1008 7061 7373 776f 7264 0673 6563 7265 74'], [[['password', 'secret']]]],
  ['C.2.4', ['82'], [[[':method', 'GET']]]],
  [
    'C.3',
    [
      '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
      '8286 84be 5808 6e6f 2d63 6163 6865',
      '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
    ],
    REQUESTS,
  ],
  [
    'C.4',
    [
      '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
      '8286 84be 5886 a8eb 1064 9cbf',
      '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
    ],
    REQUESTS,
  ],
  [
    'C.5',
    [
      '3fe101 4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
      '4803 3330 37c1 c0bf',
      '88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31',
    ],
    RESPONSES,
  ],
  [
    'C.6',
    [
      '3fe101 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3',
      '4883 640e ffc1 c0bf',
      '88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07',
    ],
    RESPONSES,
  ],
]

t.test('the examples of RFC 7541, appendix C, are decoded as it says', async (t) => {
  for (const [name, blocks, expected] of EXAMPLES) {
    const decoder = new HpackDecoder(65_536, 262_144)
    for (const [i, block] of blocks.entries()) {
      t.same(decode(bytes(block), decoder), [BLOCK_OK, expected[i]], `${name}.${i + 1}`)
    }
  }
})

const MALFORMED: readonly [why: string, block: string][] = [
  ['index 0', '80'],
  ['an index beyond an empty dynamic table', 'be'],
  ['an index far beyond', 'ff 80 80 01'],
  ['a name of an index that is not there', '7f 00 01 61'],
  ['an integer of too many bytes', 'ff 80 80 80 80 80 01'],
  ['an integer cut off', 'ff'],
  ['an integer cut off in its continuation', 'ff 80'],
  ['a name longer than the block', '40 05 61'],
  ['a value longer than the block', '40 01 61 05 61'],
  ['a literal without a value', '40 01 61'],
  ['a literal without anything', '40'],
  ['a length of many bytes and nothing else', '40 7f ff ff ff 7f'],
  ['a change of capacity above the limit', '3f e2 1f'],
  ['a change of capacity after a field', '82 20'],
  ['Huffman padding of eight bits', '40 01 61 82 1f ff'],
  ['Huffman padding that is not all ones', '40 01 61 81 18'],
  ['EOS within a string', '40 01 61 84 ff ff ff ff'],
]

t.test('what is not HPACK is refused', async (t) => {
  for (const [why, block] of MALFORMED) t.equal(decode(bytes(block))[0], BLOCK_MALFORMED, why)
})

t.test('a block cut anywhere but between fields is refused, and none reads beyond its end', async (t) => {
  const block = bytes(EXAMPLES[5]![1][0]!)
  const whole = new Set([1, 2, 3, block.length])
  for (let end = 1; end <= block.length; end++) {
    const longer = Buffer.concat([block.subarray(0, end), Buffer.alloc(8, 0x82)])
    const outcome = new HpackDecoder(1e5, 1e5).decode(longer, 0, end, new FieldList())
    t.equal(outcome, whole.has(end) ? BLOCK_OK : BLOCK_MALFORMED, `${end} bytes`)
  }
})

t.test('a limit below what the peer uses has to be answered at the start of the next block', async (t) => {
  const made = (): HpackDecoder => {
    const decoder = new HpackDecoder(1e5, 1e5)
    decode(bytes('4001 6101 62'), decoder)
    decoder.setLimit(100)
    return decoder
  }
  t.equal(decode(bytes('be'), made())[0], BLOCK_MALFORMED, 'not answered')
  t.equal(decode(bytes('3f 46 be'), made())[0], BLOCK_MALFORMED, 'answered with 101')
  t.same(decode(bytes('3f 45 be'), made()), [BLOCK_OK, [['a', 'b']]], 'answered with 100')
  t.equal(decode(bytes('20 be'), made())[0], BLOCK_MALFORMED, 'with 0, which empties the table')
  t.equal(decode(bytes('20 3f 45 be'), made())[0], BLOCK_MALFORMED, 'with 0 and 100, which empties it too')
  t.same(decode(bytes('20 3f 45 82'), made()), [BLOCK_OK, [[':method', 'GET']]], 'and goes on')
})

t.test('a block too large loses its fields and keeps the table in step', async (t) => {
  const decoder = new HpackDecoder(100, 1000)
  const large = encode([
    ['a', 'x'.repeat(100)],
    ['b', 'kept'],
  ])
  t.equal(decode(large, decoder)[0], BLOCK_TOO_LARGE)
  t.same(decode(bytes('be'), decoder), [BLOCK_OK, [['b', 'kept']]])
  t.equal(decode(bytes('bf'), decoder)[0], BLOCK_TOO_LARGE, 'the large one is in the table')
})

t.test('the size of a list is counted as RFC 9113 6.5.2 does', async (t) => {
  const block = encode([
    ['abc', 'defg'],
    ['h', ''],
  ])
  t.equal(decode(block, new HpackDecoder(32 + 7 + 32 + 1, 1000))[0], BLOCK_OK)
  t.equal(decode(block, new HpackDecoder(32 + 7 + 32, 1000))[0], BLOCK_TOO_LARGE)
})

t.test('a bomb of indices is given up long before it has gone off', async (t) => {
  const decoder = new HpackDecoder(16_384, 65_536)
  const list = new FieldList()
  const filler = encode([['a', 'x'.repeat(3000)]])
  t.equal(decoder.decode(filler, 0, filler.length, list), BLOCK_OK)
  const bomb = Buffer.alloc(100_000, 0xbe)
  list.clear()
  t.equal(decoder.decode(bomb, 0, bomb.length, list), BLOCK_BOMB)
  t.ok(list.bytes.length < 65_536, `${list.bytes.length} bytes were taken`)
})

const nameByte = fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz-0123456789')
const name = fc.oneof(
  fc.constantFrom(':status', ':path', 'content-length', 'cookie', 'authorization', 'set-cookie', 'x-a', 'date'),
  fc.string({ unit: nameByte, minLength: 1, maxLength: 40 }),
)
const anyByte = fc.integer({ min: 0, max: 255 }).map((byte) => String.fromCharCode(byte))
const value = fc.oneof(
  fc.constantFrom('', '200', '/', 'a', 'the same again'),
  fc.string({ unit: anyByte, maxLength: 60 }),
  fc.string({ unit: fc.constantFrom('0', 'e', ';', '~'), maxLength: 400 }),
)
const block = fc.array(fc.tuple(name, value), { maxLength: 12 })
const step = fc.oneof(
  { weight: 8, arbitrary: block },
  { weight: 1, arbitrary: fc.constantFrom(0, 32, 100, 256, 4096, 65_536) },
)

t.test('what is encoded is decoded, whatever the tables hold and however their limit changes', async () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), fc.constantFrom(0, 64, 4096), (steps, size) => {
      const encoder = new HpackEncoder(size)
      const decoder = new HpackDecoder(1e6, 1e6)
      for (const step of steps) {
        if (typeof step === 'number') {
          encoder.setPeerLimit(step)
          decoder.setLimit(step)
          continue
        }
        const list = fieldList(step)
        const out = Buffer.alloc(encoder.bound(list) + 1, 0x55)
        const end = encoder.encode(list, out, 0)
        if (end >= out.length || out[out.length - 1] !== 0x55) throw new Error('it wrote beyond its bound')
        const [outcome, fields] = decode(out.subarray(0, end), decoder)
        if (outcome !== BLOCK_OK) throw new Error(`outcome ${outcome}`)
        if (JSON.stringify(fields) !== JSON.stringify(step)) throw new Error(JSON.stringify(fields))
      }
    }),
    { seed: SEED, numRuns: 500 },
  )
})

t.test('no bytes make the decoder throw, and what it gives is within its bounds', async () => {
  const decoder = new HpackDecoder(2000, 5000)
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (input) => {
      const list = new FieldList(16, 1)
      const outcome = decoder.decode(input, 0, input.length, list)
      if (outcome === BLOCK_OK && list.end + 32 * list.count > 2000) throw new Error('too much')
    }),
    { seed: SEED, numRuns: 3000 },
  )
})

t.test('Huffman code of any bytes decodes to them, and has the length foretold', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (input) => {
      const length = huffmanLength(input, 0, input.length)
      const coded = Buffer.alloc(length + 1, 0x55)
      if (huffmanEncode(coded, 0, input, 0, input.length) !== length || coded[length] !== 0x55)
        throw new Error('length')
      const out = Buffer.alloc(huffmanRoom(length) + 1, 0x55)
      const end = huffmanDecode(out, 0, coded, 0, length)
      if (!out.subarray(0, end).equals(input)) throw new Error(out.subarray(0, end).toString('hex'))
      if (out[out.length - 1] !== 0x55) throw new Error('it wrote beyond its room')
    }),
    { seed: SEED, numRuns: 1000 },
  )
})

t.test('the encoder', async (t) => {
  const blocks = (fields: readonly Field[], times: number): Buffer[] => {
    const encoder = new HpackEncoder(4096)
    return Array.from({ length: times }, () => encode(fields, encoder))
  }
  t.test('says a field it has said before with one byte', async (t) => {
    const [first, second] = blocks([['x-name', 'value']], 2)
    t.ok(first!.length > 8)
    t.equal(second!.toString('hex'), 'be')
  })
  t.test('takes a known name with a new value into its table only when it comes again', async (t) => {
    const [first, second, third] = blocks([['server', 'castor']], 3)
    t.equal(first![0]! & 0xf0, 0x00, 'without indexing')
    t.equal(second![0]! & 0xc0, 0x40, 'with indexing')
    t.equal(third!.toString('hex'), 'be')
  })
  t.test('never indexes secrets, and says so to those who come after', async (t) => {
    const secrets: Field[] = [
      ['authorization', 'Basic QTpC'],
      ['proxy-authorization', 'Basic QTpC'],
      ['set-cookie', 'a=1234567890; Path=/'],
      ['cookie', 'short=1'],
    ]
    for (const secret of secrets) {
      for (const block of blocks([secret], 3)) t.equal(block[0]! & 0xf0, 0x10, secret[0])
    }
    const last = blocks([['cookie', 'session=12345678901234567890']], 3)[2]
    t.equal(last!.length, 1, 'a long cookie is indexed')
  })
  t.test('keeps what differs each time out of its table', async (t) => {
    const encoder = new HpackEncoder(4096)
    const stable: Field = ['x-stable', 'the same']
    encode([stable, ['x-request-id', '0']], encoder)
    let last: Buffer = Buffer.alloc(0)
    for (let i = 1; i < 500; i++) last = encode([stable, ['x-request-id', String(i).repeat(10)]], encoder)
    t.equal(last[0], 0xbf, 'the stable one is where it was')
  })
})

t.test('the dynamic table stays within twice its capacity and finds its entries', async () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 300 })), { maxLength: 200 }),
      (sizes) => {
        const table = new DynamicTable(500)
        const model: string[] = []
        for (const [i, [nameLength, valueLength]] of sizes.entries()) {
          const field = Buffer.alloc(nameLength + valueLength, i)
          table.insert(field, 0, nameLength, field, nameLength, valueLength)
          model.push(field.toString('latin1'))
          if (table.bytes.length > 1000 || table.size > 500) throw new Error(`${table.bytes.length} bytes`)
          if (nameLength + valueLength + 32 > 500 !== (table.count === 0)) throw new Error('count')
          // Numbers are given to what went in only.
          const kept = model.slice(model.length - table.count)
          for (const [back, text] of kept.reverse().entries()) {
            const number = table.inserted - 1 - back
            const start = table.nameStart(number)
            const found = table.bytes.subarray(start, start + table.nameLength(number) + table.valueLength(number))
            if (Buffer.from(found).toString('latin1') !== text) throw new Error(`entry ${number}`)
          }
        }
      },
    ),
    { seed: SEED, numRuns: 200 },
  )
})
