import { randomBytes } from 'node:crypto'
import t from 'tap'
import { SpareBlocks } from '../../../src/net/spare-blocks.js'

const KIB = 1024

t.test('a copy holds exactly what was asked for, whatever its length', async (t) => {
  const blocks = new SpareBlocks()
  const bytes = randomBytes(300 * KIB)
  for (const length of [1, 2, 4_096, 4_097, 8_192, 8_193, 16 * KIB, 100_000, 128 * KIB, 128 * KIB + 1, 300 * KIB]) {
    for (let round = 0; round < 3; round++) {
      const start = Math.min(round * 7, bytes.length - length)
      const copy = blocks.copy(bytes, start, start + length)
      t.ok(Buffer.compare(copy, bytes.subarray(start, start + length)) === 0, `${length} bytes from ${start}`)
      blocks.giveBack(copy)
    }
  }
})

t.test('memory given back is used again, for lengths of its size', async (t) => {
  const blocks = new SpareBlocks()
  const bytes = new Uint8Array(128 * KIB)
  const first = blocks.copy(bytes, 0, 100_000)
  const second = blocks.copy(bytes, 0, 100_000)
  t.not(first.buffer, second.buffer, 'not while it is in use')
  blocks.giveBack(first)
  const third = blocks.copy(bytes, 0, 70_000)
  t.equal(third.buffer, first.buffer)
  t.not(blocks.copy(bytes, 0, 20_000).buffer, first.buffer)
})

t.test('no more than a few of each size are kept', async (t) => {
  const blocks = new SpareBlocks()
  const bytes = new Uint8Array(128 * KIB)
  const copies = Array.from({ length: 100 }, () => blocks.copy(bytes, 0, bytes.length))
  const memory = new Set(copies.map(({ buffer }) => buffer))
  t.equal(memory.size, 100)
  for (const copy of copies) blocks.giveBack(copy)
  const again = Array.from({ length: 100 }, () => blocks.copy(bytes, 0, bytes.length))
  t.equal(again.filter(({ buffer }) => memory.has(buffer)).length, 8)
})
