import fc from 'fast-check'
import t from 'tap'
import { Sealer } from '../../../src/mesh/seal.js'

const SECRET = 'a secret of this test'

t.test('what one holder of the secret seals, another opens', async (t) => {
  const a = new Sealer(SECRET)
  const b = new Sealer(SECRET)
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2000 }), (payload) => {
      const frame = a.seal(payload)
      t.same(b.open(frame)?.payload, Buffer.from(payload))
      t.ok(a.isOwn(frame))
      t.notOk(b.isOwn(frame))
    }),
  )
})

t.test('a frame of another secret is forged', async (t) => {
  const reader = new Sealer(SECRET)
  t.equal(reader.open(new Sealer('another secret').seal(Buffer.from('x'))), undefined)
  t.equal(reader.fault, 'forged')
})

t.test('a frame with any byte changed, or cut anywhere, gives nothing', async (t) => {
  const frame = new Sealer(SECRET).seal(Buffer.from('payload'))
  const reader = new Sealer(SECRET)
  for (let i = 0; i < frame.length; i++) {
    const changed = Buffer.from(frame)
    changed[i]! ^= 0x40
    t.equal(reader.open(changed), undefined, `byte ${i} changed`)
    t.equal(reader.open(frame.subarray(0, i)), undefined, `cut to ${i} bytes`)
  }
  t.ok(reader.open(frame), 'and whole it opens')
})

t.test('another version says so', async (t) => {
  const frame = new Sealer(SECRET).seal(Buffer.from('x'))
  frame[0] = 2
  const reader = new Sealer(SECRET)
  t.equal(reader.open(frame), undefined)
  t.equal(reader.fault, 'version')
})

t.test('nothing of the payload can be read, and equal payloads look different', async (t) => {
  const sealer = new Sealer(SECRET)
  const payload = Buffer.from('10.0.0.1 goes to target one')
  const first = sealer.seal(payload)
  const second = sealer.seal(payload)
  t.equal(first.includes('target'), false)
  t.not(first.subarray(23).toString('hex'), second.subarray(23).toString('hex'))
})
