import t from 'tap'
import { copyAll, copyBytes, equalsIgnoringCase, latin1, writeDecimal } from '../../../src/http/bytes.js'
import { bytes, textOf } from './heads.js'

t.test('copies of every length land where they should and nowhere else', async (t) => {
  const source = Uint8Array.from({ length: 300 }, (_, index) => index & 255)
  for (let length = 0; length <= 200; length++) {
    const out = new Uint8Array(210).fill(0xee)
    t.equal(copyBytes(out, 4, source.subarray(2), 5, 5 + length), 4 + length)
    t.same(out.subarray(4, 4 + length), source.subarray(7, 7 + length))
    t.ok(out.subarray(0, 4).every((byte) => byte === 0xee) && out.subarray(4 + length).every((byte) => byte === 0xee))
    const all = new Uint8Array(210)
    t.equal(copyAll(all, 4, source.subarray(7, 7 + length)), 4 + length)
    t.same(all.subarray(4, 4 + length), source.subarray(7, 7 + length))
  }
})

t.test('copies between more buffers than views are kept of, large and small, land where they should', async (t) => {
  const buffers = Array.from({ length: 40 }, (_, index) => {
    const memory = new ArrayBuffer(index % 10 === 0 ? 300_000 : 400)
    return new Uint8Array(memory, index % 7, 390).fill(index)
  })
  for (let round = 0; round < 200; round++) {
    const from = buffers[(round * 7) % 40]!
    const to = buffers[(round * 11 + 3) % 40]!
    if (from === to) continue
    for (let i = 0; i < from.length; i++) from[i] = (round + i * 3) & 255
    const expected = to.slice()
    expected.set(from.subarray(9, 69), 5)
    copyBytes(to, 5, from, 9, 69)
    t.ok(Buffer.compare(to, expected) === 0, `round ${round}`)
  }
})

t.test('numbers are written in decimal', async (t) => {
  const out = new Uint8Array(20)
  for (const value of [0, 1, 9, 10, 99, 100, 65_535, 2 ** 31, 2 ** 32, 10 ** 15, Number.MAX_SAFE_INTEGER]) {
    t.equal(textOf(out, 2, writeDecimal(out, 2, value)), String(value))
  }
})

t.test('letters are compared without case, everything else to the bit', async (t) => {
  const word = latin1('keep-alive')
  for (const [text, equal] of [
    ['keep-alive', true],
    ['KEEP-Alive', true],
    ['keep_alive', false],
    ['keep-aliv', false],
    ['keep-alive ', false],
    ['keep\x0dalive', false],
  ] as const) {
    t.equal(equalsIgnoringCase(bytes(text), 0, text.length, word), equal, text)
  }
})
