import t from 'tap'
import { DEFAULT_H2_LIMITS } from '../../../../src/http/h2/engine.js'
import { FLAG, FRAME } from '../../../../src/http/h2/frames.js'
import { END, fieldList, fieldsOf, frame, GET, headers, OK, Rig, settings, uint32 } from './rig.js'

t.test('going away', async (t) => {
  t.test('a server excludes nothing first, and after a round trip what came since', async (t) => {
    const rig = new Rig()
    rig.give(headers(1, GET, END))
    rig.connection.drain()
    rig.connection.drain()
    const [first, ping] = rig.sent()
    t.equal(first!.payload.readUInt32BE(0), 2 ** 31 - 1)
    rig.give(headers(3, GET, END), frame(FRAME.PING, FLAG.ACK, 0, ping!.payload))
    t.same(rig.said(), ['GOAWAY 3 NO_ERROR'])
    rig.give(headers(5, GET, END))
    t.same(
      rig.told.streams.map(({ id }) => id),
      [1, 3],
      'what comes now is ignored',
    )
    for (const stream of rig.told.streams) stream.sendFields(fieldList(OK), true)
    t.same(rig.said(), ['HEADERS 1 200 end', 'HEADERS 3 200 end', 'GOAWAY 3 NO_ERROR'])
    t.ok(rig.conn.ended && rig.connection.closed)
  })
  t.test('without an answer, time is enough', async (t) => {
    const rig = new Rig()
    rig.connection.drain()
    rig.sent()
    rig.clock.advance(DEFAULT_H2_LIMITS.lingerMs)
    rig.connection.tick(rig.clock.nowMs)
    t.match(rig.said(), ['GOAWAY 0 NO_ERROR'])
    t.ok(rig.conn.ended)
  })
  t.test('a client hears which of its requests were not acted on', async (t) => {
    const rig = new Rig({ role: 'client' })
    for (let n = 0; n < 3; n++) rig.request()
    const unsent = rig.connection.openStream(rig.told)!
    rig.flush()
    rig.give(frame(FRAME.GOAWAY, 0, 0, uint32(1, 0)))
    t.same(rig.told.events, [
      'reset 3 REFUSED_STREAM retryable',
      'reset 5 REFUSED_STREAM retryable',
      'reset 0 REFUSED_STREAM retryable',
      'goaway NO_ERROR',
    ])
    t.ok(unsent.closed)
    t.notOk(rig.connection.canOpen)
    t.equal(rig.connection.openStream(rig.told), undefined)
    rig.give(headers(1, OK, END))
    t.match(rig.told.events.slice(4), ['fields 1 end', 'end 1', 'idle'])
    t.ok(rig.conn.ended, 'and closes after the last answer')
  })
  t.test('a lost connection resets every stream once', async (t) => {
    const rig = new Rig({ role: 'client' })
    rig.request()
    rig.connection.openStream(rig.told)
    rig.connection.connClosed()
    rig.connection.connClosed()
    t.same(rig.told.events, ['reset 1 CANCEL', 'reset 0 CANCEL retryable'])
    t.notOk(rig.connection.canOpen)
  })
  t.test('a peer that half-closes still gets the answers it asked for', async (t) => {
    const rig = new Rig()
    rig.give(headers(1, GET, END), headers(3, GET))
    rig.connection.receiveEnd()
    t.same(rig.told.events.slice(-1), ['reset 3 CANCEL'])
    t.match(rig.said(), [/^PING/], 'one that is gone would answer this with a reset')
    rig.told.streams[0]!.sendFields(fieldList(OK), true)
    t.same(rig.said(), ['HEADERS 1 200 end', 'GOAWAY 3 NO_ERROR'])
    t.ok(rig.conn.ended)
  })
})

t.test('a client', async (t) => {
  t.test('opens no more streams than it may, and hears when there is one free', async (t) => {
    const rig = new Rig({ role: 'client' })
    rig.give(settings([3, 2]))
    rig.told.events.length = 0
    const first = rig.request()
    rig.request()
    t.notOk(rig.connection.canOpen)
    t.equal(rig.connection.openStream(rig.told), undefined)
    first.reset(8)
    t.same(rig.told.events, ['streams free'])
    rig.request()
    t.equal(rig.connection.openStream(rig.told), undefined)
    rig.give(settings([3, 3]))
    t.same(rig.told.events.slice(1), ['settings', 'streams free'])
  })
  t.test('numbers streams as they send, not as they were opened', async (t) => {
    const rig = new Rig({ role: 'client' })
    const [early, late] = [rig.connection.openStream(rig.told)!, rig.connection.openStream(rig.told)!]
    late.sendFields(fieldList(GET), true)
    early.sendFields(fieldList(GET), true)
    t.same([late.id, early.id], [1, 3])
    rig.connection.openStream(rig.told)!.reset(8)
    t.same(rig.said(), ['HEADERS 1 end', 'HEADERS 3 end'], 'a stream that has sent nothing just goes')
  })
  t.test('cuts a long head into CONTINUATION frames', async (t) => {
    const rig = new Rig({ role: 'client' })
    const long = [...GET, ['x-long', 'x'.repeat(60_000)] as const]
    rig.request(long)
    const sent = rig.sent()
    t.ok(sent.length > 2 && sent.slice(1).every(({ type, id }) => type === FRAME.CONTINUATION && id === 1))
    const other = new Rig({ settings: { maxHeaderListBytes: 100_000 } })
    other.give(...sent.map(({ type, flags, id, payload }) => frame(type, flags, id, payload)))
    t.same(other.told.fields[0], fieldsOf(fieldList(long)))
  })
})
