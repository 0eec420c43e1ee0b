import fc from 'fast-check'
import t from 'tap'
import { FLAG, FRAME } from '../../../../src/http/h2/frames.js'
import { SEED } from '../../../random.js'
import { END, fieldList, frame, GET, headers, OK, PREFACE, Rig, SETTINGS_ACK, settings, uint32 } from './rig.js'

t.comment(`seed ${SEED}`)

/** A busy conversation, for cutting up. */
function conversation(): Buffer {
  const padded = Buffer.concat([Buffer.from([3]), Buffer.from('padded'), Buffer.alloc(3)])
  const block = headers(7, [...GET, ['a', 'b']]).subarray(9)
  return Buffer.concat([
    PREFACE,
    settings([4, 1000], [3, 5]),
    SETTINGS_ACK,
    headers(1, GET, END),
    headers(3, GET),
    frame(FRAME.PING, 0, 0, Buffer.from('12345678')),
    frame(FRAME.DATA, 0, 3, Buffer.from('some data')),
    frame(0xbe, 0, 0, Buffer.from('unknown')),
    frame(FRAME.DATA, FLAG.PADDED, 3, padded),
    frame(FRAME.DATA, 0, 3),
    headers(3, [['x-sum', '1']], END),
    headers(5, GET),
    frame(FRAME.DATA, END, 5),
    frame(FRAME.HEADERS, END, 7, block.subarray(0, 3)),
    frame(FRAME.CONTINUATION, 0, 7, block.subarray(3, 4)),
    frame(FRAME.CONTINUATION, FLAG.END_HEADERS, 7, block.subarray(4)),
    frame(FRAME.RST_STREAM, 0, 5, uint32(8)),
    frame(FRAME.GOAWAY, 0, 0, Buffer.concat([uint32(0, 0), Buffer.from('bye')])),
  ])
}

/** What came of it: events, with data that arrived in pieces put together. */
function outcome(pieces: readonly Buffer[]): string[] {
  const rig = new Rig({ raw: true })
  rig.told.onRequest = (stream, endStream) => {
    if (endStream) stream.sendFields(fieldList(OK), true)
  }
  for (const piece of pieces) rig.give(piece)
  const events: string[] = []
  for (const event of rig.told.events) {
    const [kind, id, bytes] = event.split(' ')
    const last = events.at(-1)?.split(' ')
    if (kind === 'data' && last?.[0] === 'data' && last[1] === id) {
      events[events.length - 1] = `data ${id} ${Number(last[2]) + Number(bytes)}`
    } else {
      events.push(event)
    }
  }
  return [...events, rig.told.data.toString(), ...rig.told.fields.map((fields) => fields.join()), ...rig.said()]
}

t.test('it does not matter where the bytes are cut', async (t) => {
  const bytes = conversation()
  const whole = outcome([bytes])
  t.match(whole.join('\n'), /data 3 15\nfields 3 end\nend 3\n/)
  t.match(whole.join('\n'), /goaway NO_ERROR/)
  for (let cut = 1; cut < bytes.length; cut++) {
    const found = outcome([bytes.subarray(0, cut), bytes.subarray(cut)])
    if (found.join('\n') !== whole.join('\n')) t.same(found, whole, `cut at ${cut}`)
  }
  t.same(outcome(Array.from(bytes, (byte) => Buffer.from([byte]))), whole, 'byte by byte')
  fc.assert(
    fc.property(fc.array(fc.nat(bytes.length), { maxLength: 20 }), (cuts) => {
      const places = [0, ...cuts.sort((a, b) => a - b), bytes.length]
      const pieces = places.slice(1).map((place, i) => bytes.subarray(places[i], place))
      if (outcome(pieces).join('\n') !== whole.join('\n')) throw new Error('another outcome')
    }),
    { seed: SEED, numRuns: 300 },
  )
})
