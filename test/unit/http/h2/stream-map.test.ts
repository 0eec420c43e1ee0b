import { deepStrictEqual as deepEqual } from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import type { Http2Stream } from '../../../../src/http/h2/stream.js'
import { StreamMap } from '../../../../src/http/h2/stream-map.js'
import { SEED } from '../../../random.js'

t.comment(`seed ${SEED}`)

/** Only its id is of interest. */
const streamOf = (id: number): Http2Stream => ({ id }) as unknown as Http2Stream

t.test('it holds what a Map would, whatever comes and goes, and however ids collide', async () => {
  const id = fc.oneof(
    fc.integer({ min: 0, max: 60 }).map((n) => n * 2 + 1),
    // All of one slot, as a hostile client might choose them.
    fc.integer({ min: 0, max: 40 }).map((n) => n * 1024 + 5),
    fc.integer({ min: 2 ** 30, max: 2 ** 30 + 40 }).map((n) => n * 2 - 1),
  )
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), id), { maxLength: 300 }), (steps) => {
      const map = new StreamMap()
      const model = new Map<number, Http2Stream>()
      for (const [adds, id] of steps) {
        if (!adds) {
          map.delete(id)
          model.delete(id)
        } else if (!model.has(id)) {
          const stream = streamOf(id)
          map.add(stream)
          model.set(id, stream)
        }
        deepEqual([map.size, map.get(id) === model.get(id), map.has(id)], [model.size, true, model.has(id)])
      }
      deepEqual(
        map.values().map((stream) => stream.id),
        [...model.keys()].sort((a, b) => a - b),
      )
      for (const [id, stream] of model) deepEqual(map.get(id) === stream, true)
    }),
    { seed: SEED, numRuns: 300 },
  )
})

t.test('after many streams at once it is as good as new', async (t) => {
  const map = new StreamMap()
  for (let round = 0; round < 3; round++) {
    for (let id = 1; id < 4000; id += 2) map.add(streamOf(id))
    t.equal(map.size, 2000)
    for (let id = 1; id < 4000; id += 2) map.delete(id)
    t.equal(map.size, 0)
    t.equal(map.get(1), undefined)
  }
})
