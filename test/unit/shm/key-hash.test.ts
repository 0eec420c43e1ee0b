import fc from 'fast-check'
import t from 'tap'
import { KeyHash, keySeed, SEED_BYTES } from '../../../src/shm/key-hash.js'
import { SEED, seededRandom } from '../../random.js'

const counting = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i & 0xff)

/** The result in SipHash's own order: each word's bytes from the lowest on. */
const text = (key: Int32Array): string => Buffer.from(key.buffer).toString('hex')

t.test('is SipHash-2-4-128 over the group’s four bytes and the client’s', async (t) => {
  // Seed 00 01 … 0f, message 00 01 … of the given length; computed with OpenSSL's SIPHASH, size 16.
  const vectors: [number, string][] = [
    [4, 'f88164c12d9c8faf7d0f6e7c7bcd5579'],
    [5, '1368875980776f8854527a07690e9627'],
    [7, 'a1f1ebbed8dbc153c0b84aa61ff08239'],
    [8, '3b62a9ba6258f5610f83e264f31497b4'],
    [11, '0151c568386b6677a2b4dc6f81e5dc18'],
    [12, 'd626b266905ef35882634df68532c125'],
    [13, '9869e247e9c08b10d029934fc4b952f7'],
    [15, '5493e99933b0a8117e08ec0f97cfc3d9'],
    [16, '6ee2a4ca67b054bbfd3315bf85230577'],
    [20, '9e25fc833f2290733e9344a5e83839eb'],
    [63, '5150d1772f50834a503e069a973fbd7c'],
    [260, '083b2d1d6cf8ca6cbd1d530fa0cc2a67'],
  ]
  const hash = new KeyHash(counting(SEED_BYTES))
  for (const [length, expected] of vectors) {
    const message = counting(length)
    t.equal(text(hash.of(0x03020100, message, 4, length)), expected, `${length} bytes`)
  }
})

t.test('depends on the bytes, wherever in a buffer they lie and whatever lies around them', async (t) => {
  t.comment(`seed ${SEED}`)
  const bytes = fc.uint8Array({ maxLength: 40 })
  fc.assert(
    fc.property(bytes, bytes, bytes, fc.integer(), (before, message, after, group) => {
      const hash = new KeyHash(counting(SEED_BYTES))
      const alone = text(hash.of(group, message, 0, message.length))
      const within = Uint8Array.from([...before, ...message, ...after])
      return text(hash.of(group, within, before.length, before.length + message.length)) === alone
    }),
    { seed: SEED, numRuns: 2_000 },
  )
})

t.test('another group, seed, byte or length is another key', async (t) => {
  const hash = new KeyHash(counting(SEED_BYTES))
  const message = counting(16)
  const seen = new Set([text(hash.of(1, message, 0, 16))])
  for (let bit = 0; bit < 32; bit++) seen.add(text(hash.of(1 ^ (1 << bit), message, 0, 16)))
  for (let bit = 0; bit < 128; bit++) {
    const other = counting(16)
    other[bit >> 3]! ^= 1 << (bit & 7)
    seen.add(text(hash.of(1, other, 0, 16)))
    seen.add(text(new KeyHash(other).of(1, message, 0, 16)))
  }
  for (let end = 0; end < 16; end++) seen.add(text(hash.of(1, message, 0, end)))
  t.equal(seen.size, 1 + 32 + 256 + 16)
  t.not(text(hash.of(1, new Uint8Array(8), 0, 3)), text(hash.of(1, new Uint8Array(8), 0, 4)), 'zeros at the end count')
})

t.test('one bit of an address changes half the key’s bits', async (t) => {
  const random = seededRandom(SEED)
  t.comment(`seed ${SEED}`)
  const hash = new KeyHash(counting(SEED_BYTES))
  const changed = new Float64Array(128)
  const rounds = 4_000
  for (let round = 0; round < rounds; round++) {
    const address = Uint8Array.from({ length: 4 }, () => random() * 256)
    const before = Int32Array.from(hash.of(1, address, 0, 4))
    address[round & 3]! ^= 1 << ((round >> 2) & 7)
    const after = hash.of(1, address, 0, 4)
    for (let bit = 0; bit < 128; bit++) changed[bit]! += ((before[bit >> 5]! ^ after[bit >> 5]!) >>> (bit & 31)) & 1
  }
  // Five standard deviations around a half, for 128 bits.
  const bound = 5 * Math.sqrt(rounds / 4)
  for (const [bit, count] of changed.entries()) {
    if (Math.abs(count - rounds / 2) > bound) t.fail(`bit ${bit} changed ${count} times of ${rounds}`)
  }
})

t.test('seeds come from the secret, alike on every host, or from chance', async (t) => {
  t.same(keySeed('a secret'), keySeed('a secret'))
  t.notSame(keySeed('a secret'), keySeed('another'))
  t.notSame(keySeed(undefined), keySeed(undefined))
  t.notSame(keySeed(''), keySeed(''), 'an empty secret is none')
  for (const secret of ['x', '', undefined]) t.equal(keySeed(secret).length, SEED_BYTES)
  for (const length of [0, 15, 17, 32]) t.throws(() => new KeyHash(new Uint8Array(length)), RangeError)
})
