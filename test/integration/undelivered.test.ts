import t from 'tap'
import { FRAME } from '../../src/http/h2/frames.js'
import { nativeAddon } from '../../src/native/addon.js'
import { END, frame, GET, headers, uint32 } from '../unit/http/h2/rig.js'
import { startTestCastor, type Test, type TestCastor } from './support/castor.js'
import { RawHttp2Client } from './support/http2-raw.js'
import { get, RawClient } from './support/raw-client.js'
import { answer, RawTarget } from './support/raw-target.js'

/* An answer that its target has given in full, and that waits in the client's connection. */

const INITIAL_WINDOW_SIZE = 4
const LENGTH = 40_000
/** The rest is no more than the balancer holds for a stream. */
const WINDOW = 30_000

interface Scene {
  readonly castor: TestCastor
  readonly target: RawTarget
  /** Of the answers to come. */
  length: number
}

async function sceneWith(t: Test, listener: object = {}): Promise<Scene> {
  const target = await RawTarget.start({
    // Its end tells that the balancer has all of it.
    answer: (_, connection) => {
      const lines = [`Content-Length: ${scene.length}`, 'Connection: close']
      connection.write(answer('200 OK', lines, 'x'.repeat(scene.length)))
    },
  })
  t.teardown(() => target.stop())
  const castor = await startTestCastor(t, [target.address], { listener, accessLog: true })
  const scene: Scene = { castor, target, length: LENGTH }
  return scene
}

t.test('what an HTTP/2 client did not take of an answer is logged as such, and why', async (t) => {
  const cases: readonly [what: string, reason: string | null, leave: (client: RawHttp2Client) => unknown][] = [
    ['it resets the stream', 'CLIENT_RESET', (client) => client.send(frame(FRAME.RST_STREAM, 0, 1, uint32(8)))],
    ['it is gone', 'CLIENT_RESET', (client) => client.socket.destroy()],
    ['it takes nothing for as long as it may', 'IDLE_TIMEOUT', () => {}],
    ['it takes the rest', null, (client) => client.send(frame(FRAME.WINDOW_UPDATE, 0, 1, uint32(LENGTH)))],
  ]
  const { castor, target } = await sceneWith(t, { http2: true, idleTimeout: '3s' })
  for (const [at, [what, reason, leave]] of cases.entries()) {
    const client = await RawHttp2Client.open(t, castor.port, [INITIAL_WINDOW_SIZE, WINDOW])
    client.send(headers(1, GET, END))
    await client.answered(1)
    await target.connected(at + 1)
    await target.connections[at]!.ending()
    leave(client)
    const record = (await castor.accessRecords(at + 1))[at]!
    t.match(record, { status: 200, target_status: 200, reason }, what)
    const sent = Number(record.sent_bytes)
    if (reason === null) t.ok(sent > LENGTH, `${what}: ${sent} bytes`)
    else t.ok(sent >= WINDOW && sent < WINDOW + 1_000, `${what}: ${sent} bytes of what its window took`)
    client.socket.destroy()
  }
})

t.test(
  'what an HTTP/1.1 client did not take of an answer is logged as such',
  { skip: nativeAddon() === undefined },
  async (t) => {
    // How much the systems on both sides hold is theirs to say: an answer is made longer until it does not fit.
    const scene = await sceneWith(t)
    const { castor, target } = scene
    let short = 0
    for (let at = 0; short < 2 && scene.length < 30_000_000; at++) {
      scene.length = short > 0 ? scene.length + 40_000 : Math.trunc(1_000_000 * 1.5 ** at)
      const client = await RawClient.connect(castor.port)
      client.socket.pause()
      client.send(get('/', at % 2 === 0 ? [] : ['Connection: close']))
      await target.connected(at + 1)
      await target.connections[at]!.ending(500).catch(() => {})
      client.reset()
      const record = (await castor.accessRecords(at + 1))[at]!
      const sent = Number(record.sent_bytes)
      if (record.reason === null) {
        t.ok(sent >= scene.length, `all of ${scene.length} is with the system`)
        continue
      }
      short++
      t.match(record, { status: 200, reason: 'CLIENT_RESET' })
      t.ok(sent < scene.length, `${sent} of ${scene.length}`)
    }
    t.ok(short > 0)
  },
)

t.test('an answer of its own that an HTTP/2 client did not take is logged as such', async (t) => {
  const answers = [
    { what: 'a refusal', listener: {}, status: 431, reason: 'HEADER_TOO_LARGE' },
    { what: 'a redirect', listener: { redirectToHttps: true, targetGroup: undefined }, status: 301, reason: null },
  ]
  const target = await RawTarget.start({})
  t.teardown(() => target.stop())
  for (const { what, listener, status, reason } of answers) {
    const castor = await startTestCastor(t, [target.address], {
      listener: { http2: true, ...listener },
      protection: { maxHeaderBytes: '2KiB' },
      accessLog: true,
    })
    const client = await RawHttp2Client.open(t, castor.port, [INITIAL_WINDOW_SIZE, 0])
    const request = status === 431 ? [...GET, ['x-large', 'x'.repeat(8_000)] as const] : GET
    for (const id of [1, 3]) {
      client.send(headers(id, request, END))
      await client.answered(id)
    }
    client.send(frame(FRAME.WINDOW_UPDATE, 0, 3, uint32(LENGTH)))
    const taken = (await castor.accessRecords(1))[0]!
    t.match(taken, { status, reason }, `${what}: the one that was taken comes first`)
    client.send(frame(FRAME.RST_STREAM, 0, 1, uint32(8)))
    const [, lost, ...more] = await castor.accessRecords(2)
    t.match(lost, { status, reason: reason ?? 'CLIENT_RESET' }, `${what}: and then the one that was not`)
    t.ok(Number(lost!.sent_bytes) < Number(taken.sent_bytes), `${lost!.sent_bytes} of ${taken.sent_bytes} bytes`)
    t.same(more, [])
  }
})
