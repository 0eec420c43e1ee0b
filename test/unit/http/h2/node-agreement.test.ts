import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import http2, { type ClientHttp2Session, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import t from 'tap'
import type { H2Connection, H2Handler, H2Stream, H2StreamHandler } from '../../../../src/http/h2/engine.js'
import type { FieldList } from '../../../../src/http/h2/field-list.js'
import { SEED, seededRandom } from '../../../random.js'
import { type Field, fieldList, fieldsOf, GET, Recorder } from './rig.js'
import { Sockets } from './sockets.js'

t.comment(`seed ${SEED}`)

const NOTHING = new Uint8Array(0)

/** Answers each request with its own fields and body, and trailers when it is asked for them. */
class Echo implements H2Handler, H2StreamHandler {
  readonly failures: string[] = []
  onStream(stream: H2Stream): void {
    stream.handler = this
  }
  onSettings(): void {}
  onStreamsFree(): void {}
  onIdle(): void {}
  onGoAway(): void {}
  onFailure(_connection: H2Connection, { reason, detail }: { reason: string; detail: string }): void {
    this.failures.push(`${reason} ${detail}`)
  }
  onFields(stream: H2Stream, fields: FieldList): void {
    const received = fieldsOf(fields)
    if (!received.some(([name]) => name === ':method')) return
    stream.context = received
    const answer: Field[] = [[':status', '200']]
    for (const [name, value] of received) answer.push([name.startsWith(':') ? `x-${name.slice(1)}` : name, value])
    stream.sendFields(fieldList(answer), false)
  }
  onFieldsTooLarge(stream: H2Stream): void {
    stream.sendFields(fieldList([[':status', '431']]), true)
    stream.abandonInput()
  }
  onData(stream: H2Stream, buffer: Uint8Array, start: number, end: number): void {
    if (stream.sendData(buffer, start, end, false)) stream.consume(end - start)
  }
  onEnd(stream: H2Stream): void {
    const wantsTrailers = (stream.context as Field[]).some(([name]) => name === 'te')
    if (wantsTrailers) stream.sendFields(fieldList([['grpc-status', '0']]), true)
    else stream.sendData(NOTHING, 0, 0, true)
  }
  onWritable(stream: H2Stream): void {
    stream.consume(2 ** 30)
  }
  onReset(): void {}
}

interface Answer {
  readonly fields: IncomingHttpHeaders
  readonly body: Buffer
  readonly trailers: IncomingHttpHeaders | undefined
}

async function ask(session: ClientHttp2Session, fields: OutgoingHttpHeaders, body?: Buffer): Promise<Answer> {
  const request = session.request(fields, { endStream: body === undefined })
  let trailers: IncomingHttpHeaders | undefined
  request.on('trailers', (received: IncomingHttpHeaders) => {
    trailers = received
  })
  if (body !== undefined) request.end(body)
  const [[received], all] = (await Promise.all([once(request, 'response'), buffer(request)])) as [
    [IncomingHttpHeaders],
    Buffer,
  ]
  return { fields: received, body: all, trailers }
}

const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

t.test('as a server towards node:http2', async (t) => {
  const sockets = new Sockets()
  const echo = new Echo()
  const port = await sockets.listen(echo, { settings: { maxHeaderListBytes: 16_384 } })
  const session = http2.connect(`http://127.0.0.1:${port}`)
  t.teardown(() => {
    session.destroy()
    sockets.close()
  })

  t.test('answers a request', async (t) => {
    const { fields, body } = await ask(session, { ':path': '/path?query', 'x-own': 'value' })
    t.equal(fields[':status'], 200)
    t.equal(fields['x-path'], '/path?query')
    t.equal(fields['x-own'], 'value')
    t.equal(body.length, 0)
  })

  t.test('echoes bodies of every size, with trailers', async (t) => {
    for (const size of [1, 100, 16_383, 16_384, 16_385, 65_535, 65_536, 1_000_000]) {
      const sent = randomBytes(size)
      const { body, trailers } = await ask(session, { ':method': 'POST', te: 'trailers' }, sent)
      t.equal(sha(body), sha(sent), `${size} bytes`)
      t.equal(trailers?.['grpc-status'], '0')
    }
  })

  t.test('serves 300 requests at once over its limit of 100 streams', async (t) => {
    const sent = Array.from({ length: 300 }, (_, i) => randomBytes(i * 211))
    const answers = await Promise.all(sent.map((body) => ask(session, { ':method': 'POST' }, body)))
    t.same(
      answers.map(({ body }) => sha(body)),
      sent.map(sha),
    )
  })

  t.test('agrees on fields of every kind, through tables that fill and wrap', async (t) => {
    const random = seededRandom(SEED)
    const pick = (values: readonly string[]): string => values[Math.floor(random() * values.length)]!
    const names = ['x-a', 'x-b', 'cookie', 'authorization', 'user-agent', 'accept', 'x-long-name-of-a-field', 'etag']
    for (let i = 0; i < 300; i++) {
      const fields: OutgoingHttpHeaders = { ':path': `/${i}` }
      for (let n = 0; n < 6; n++) {
        const length = Math.floor(random() ** 3 * 1500)
        const own = Array.from({ length }, () => String.fromCharCode(32 + Math.floor(random() * 94))).join('')
        fields[pick(names)] = pick(['always the same', own.trim(), `é${i}`])
      }
      const { fields: received } = await ask(session, fields)
      for (const [name, value] of Object.entries(fields)) {
        t.equal(received[name.replace(':', 'x-')], value, `${i}: ${name}`)
      }
    }
  })

  t.test('says 431 and lives when fields are too large', async (t) => {
    const { fields } = await ask(session, { 'x-large': 'x'.repeat(20_000) })
    t.equal(fields[':status'], 431)
    t.equal((await ask(session, {})).fields[':status'], 200)
  })

  t.test('a stream that nobody reads holds up no other', async (t) => {
    const stuck = session.request({ ':method': 'POST' })
    await once(stuck, 'response')
    stuck.write(randomBytes(1_000_000))
    for (let i = 0; i < 5; i++) {
      const sent = randomBytes(200_000)
      t.equal(sha((await ask(session, { ':method': 'POST' }, sent)).body), sha(sent))
    }
    stuck.close(http2.constants.NGHTTP2_CANCEL)
    await once(stuck, 'close')
  })

  t.test('takes changed settings and answers pings', async (t) => {
    session.settings({ initialWindowSize: 10, headerTableSize: 0 })
    await once(session, 'localSettings')
    const sent = randomBytes(3000)
    t.equal(sha((await ask(session, { ':method': 'POST' }, sent)).body), sha(sent))
    session.settings({ initialWindowSize: 1_000_000, headerTableSize: 65_536 })
    await once(session, 'localSettings')
    t.equal(sha((await ask(session, { ':method': 'POST' }, sent)).body), sha(sent))
    await new Promise<void>((resolve, reject) => session.ping((error) => (error ? reject(error) : resolve())))
  })

  t.test('drains: what is under way is finished, then it closes', async (t) => {
    const request = session.request({ ':method': 'POST' })
    await once(request, 'response')
    const goaways: number[] = []
    session.on('goaway', (code: number) => goaways.push(code))
    for (const connection of sockets.connections) connection.drain()
    for (const connection of sockets.connections) connection.flush()
    await once(session, 'goaway')
    request.end('last words')
    t.equal((await buffer(request)).toString(), 'last words')
    await once(session, 'close')
    t.ok(goaways.every((code) => code === 0))
  })
  t.test('nothing was held against the peer', async (t) => t.same(echo.failures, []))
})

/** Asks as the engine's client and collects the answer. */
class Asker implements H2StreamHandler {
  readonly heads: Field[][] = []
  readonly #chunks: Buffer[] = []
  readonly done: Promise<void>
  #resolve!: () => void
  #reject!: (error: Error) => void
  #unsent: Buffer
  constructor(stream: H2Stream, fields: readonly Field[], body: Buffer) {
    stream.handler = this
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.#unsent = body
    stream.sendFields(fieldList(fields), body.length === 0)
    if (body.length > 0) this.#send(stream)
  }
  get body(): Buffer {
    return Buffer.concat(this.#chunks)
  }
  #send(stream: H2Stream): void {
    let free = true
    while (free && this.#unsent.length > 0) {
      const piece = this.#unsent.subarray(0, 10_000)
      this.#unsent = this.#unsent.subarray(10_000)
      free = stream.sendData(piece, 0, piece.length, this.#unsent.length === 0)
    }
  }
  onFields(_stream: H2Stream, fields: FieldList): void {
    this.heads.push(fieldsOf(fields))
  }
  onFieldsTooLarge(): void {
    this.#reject(new Error('too large'))
  }
  onData(stream: H2Stream, buffer: Uint8Array, start: number, end: number): void {
    this.#chunks.push(Buffer.from(buffer.subarray(start, end)))
    stream.consume(end - start)
  }
  onEnd(): void {
    this.#resolve()
  }
  onWritable(stream: H2Stream): void {
    this.#send(stream)
  }
  onReset(_stream: H2Stream, code: number, retryable: boolean): void {
    this.#reject(new Error(`reset ${code}${retryable ? ' retryable' : ''}`))
  }
}

const POST: Field[] = [[':method', 'POST'], ...GET.slice(1)]

t.test('as a client of node:http2', async (t) => {
  const server = http2.createServer({ settings: { maxConcurrentStreams: 20 } })
  server.on('stream', (stream, fields) => {
    const path = String(fields[':path'])
    stream.on('error', () => {})
    if (path === '/cancel') stream.close(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM)
    else if (path === '/refuse') stream.close(http2.constants.NGHTTP2_REFUSED_STREAM)
    else {
      if (path === '/hints') stream.additionalHeaders({ ':status': 103, link: '</a.css>' })
      stream.respond({ ':status': 200, 'x-path': path }, { waitForTrailers: path === '/trailers' })
      if (path === '/trailers') stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '1' }))
      stream.pipe(stream)
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const sockets = new Sockets()
  const told = new Recorder()
  const connection = sockets.dial((server.address() as AddressInfo).port, told)
  t.teardown(() => {
    sockets.close()
    server.close()
  })
  const asked = async (path: string, body: Buffer): Promise<Asker> => {
    let stream = connection.openStream(told)
    while (stream === undefined) {
      await new Promise(setImmediate)
      stream = connection.openStream(told)
    }
    const asker = new Asker(stream, [...POST.slice(0, -1), [':path', path]], body)
    await asker.done
    return asker
  }

  t.test('sends bodies and reads answers', async (t) => {
    for (const size of [0, 1, 16_384, 65_536, 1_000_000]) {
      const sent = randomBytes(size)
      const { heads, body } = await asked('/', sent)
      t.equal(sha(body), sha(sent), `${size} bytes`)
      t.same(heads[0]![0], [':status', '200'])
    }
    t.ok(connection.ready)
    t.equal(connection.peerMaxStreams, 20)
  })
  t.test('tells interim responses, heads and trailers apart', async (t) => {
    t.same(
      (await asked('/hints', Buffer.from('a'))).heads.map((head) => head[0]),
      [
        [':status', '103'],
        [':status', '200'],
      ],
    )
    t.same((await asked('/trailers', Buffer.from('a'))).heads[1], [['x-sum', '1']])
  })
  t.test('keeps to the streams it is allowed', async (t) => {
    const sent = Array.from({ length: 100 }, (_, i) => randomBytes(i * 997))
    const answers = await Promise.all(sent.map((body) => asked('/', body)))
    t.same(
      answers.map(({ body }) => sha(body)),
      sent.map(sha),
    )
  })
  t.test('hears of resets, and which of them may be tried again', async (t) => {
    await t.rejects(asked('/cancel', Buffer.alloc(0)), { message: 'reset 11' })
    await t.rejects(asked('/refuse', Buffer.alloc(0)), { message: 'reset 7 retryable' })
  })
  t.test('closes in good order', async (t) => {
    connection.drain()
    connection.flush()
    t.ok(connection.closed)
    t.notOk(connection.canOpen)
    t.match(told.events.join(), /idle/)
    t.equal(told.failure, undefined)
  })
})

t.test('both ends are ours', async (t) => {
  const sockets = new Sockets()
  const echo = new Echo()
  const told = new Recorder()
  const port = await sockets.listen(echo, { settings: { streamWindowBytes: 70_000, headerTableBytes: 200 } })
  const connection = sockets.dial(port, told, { settings: { streamWindowBytes: 1000, headerTableBytes: 100_000 } })
  t.teardown(() => sockets.close())
  const sent = Array.from({ length: 50 }, (_, i) => randomBytes(i * 2500))
  const askers = sent.map((body) => new Asker(connection.openStream(told)!, POST, body))
  await Promise.all(askers.map(({ done }) => done))
  t.same(
    askers.map(({ body }) => sha(body)),
    sent.map(sha),
  )
  t.same(echo.failures, [])
})
