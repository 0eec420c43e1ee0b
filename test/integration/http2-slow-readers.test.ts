import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { FRAME } from '../../src/http/h2/frames.js'
import { END, frame, GET, headers, uint32 } from '../unit/http/h2/rig.js'
import { startTestCastor } from './support/castor.js'
import { Http2Target } from './support/http2-peers.js'
import { RawHttp2Client } from './support/http2-raw.js'
import { answer, RawTarget } from './support/raw-target.js'

t.jobs = 2
t.setTimeout(60_000)

const INITIAL_WINDOW_SIZE = 4
/** Within a stream's share, so that all of it is queued at once and nothing but the queue moves. */
const LENGTH = 15_000
/** So that all of it takes more than twice the idle time-out of a second. */
const GRANTED = 1_250
const EVERY_MS = 200

for (const protocol of ['http', 'h2c'] as const) {
  t.test(
    `an answer that its client takes slowly arrives whole, its target long finished: ${protocol}`,
    { buffered: true },
    async (t) => {
      const raw = await RawTarget.start({
        answer: (_, connection) =>
          connection.write(answer('200 OK', [`Content-Length: ${LENGTH}`], 'x'.repeat(LENGTH))),
      })
      t.teardown(() => raw.stop())
      const modern = await Http2Target.start(t, (stream) => {
        stream.respond({ ':status': 200 }, { waitForTrailers: true })
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
        stream.end(Buffer.alloc(LENGTH, 'x'))
      })
      const castor = await startTestCastor(t, [protocol === 'http' ? raw.address : modern.address], {
        listener: { http2: true, idleTimeout: '1s' },
        group: { protocol },
      })
      const client = await RawHttp2Client.open(t, castor.port, [INITIAL_WINDOW_SIZE, 0])
      client.send(headers(1, GET, END))
      await client.answered(1)
      const ended = (): boolean =>
        client.frames.some(
          ({ type, flags, id }) =>
            id === 1 && (type === FRAME.RST_STREAM || (flags & END) !== 0) && type !== FRAME.PING,
        )
      for (let granted = 0; granted < LENGTH + GRANTED && !ended(); granted += GRANTED) {
        client.send(frame(FRAME.WINDOW_UPDATE, 0, 1, uint32(GRANTED)))
        await pause(EVERY_MS)
      }
      await client.frame('the end', ended)
      const data = client.frames.filter(({ type, id }) => type === FRAME.DATA && id === 1)
      t.equal(
        data.reduce((sum, { payload }) => sum + payload.length, 0),
        LENGTH,
      )
      t.notOk(client.frames.some(({ type }) => type === FRAME.RST_STREAM))
      if (protocol === 'h2c')
        t.equal(
          client.frames.filter(({ type, id }) => type === FRAME.HEADERS && id === 1).length,
          2,
          'with its trailers',
        )
      client.socket.destroy()
      await once(client.socket, 'close')
    },
  )
}
