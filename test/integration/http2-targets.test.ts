import { once } from 'node:events'
import { constants } from 'node:http2'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import t from 'tap'
import { H2_ERROR } from '../../src/http/h2/engine.js'
import { FRAME } from '../../src/http/h2/frames.js'
import { END, type Field, frame, GET, headers, PREFACE, SETTINGS_ACK, settings, uint32 } from '../unit/http/h2/rig.js'
import { startTestCastor, type Test, type TestCastor } from './support/castor.js'
import { type Answer, answerOf, ask, connectTo, type Handler, Http2Target, sayHello } from './support/http2-peers.js'
import { RawHttp2Client, wholeFrames } from './support/http2-raw.js'
import { get, request } from './support/raw-client.js'
import { TcpTarget } from './support/tcp-peers.js'
import { until } from './support/until.js'

// Nearly all of their time is waiting: they wait together.
t.jobs = 3
t.setTimeout(120_000)

const { NGHTTP2_REFUSED_STREAM, NGHTTP2_INTERNAL_ERROR } = constants
const H2C = { listener: { http2: true }, group: { protocol: 'h2c' }, accessLog: true } as const
const POST: readonly Field[] = GET.map(([name, value]) => [name, name === ':method' ? 'POST' : value] as const)

async function before(
  t: Test,
  handler: Handler,
  group: object = {},
): Promise<{ castor: TestCastor; target: Http2Target }> {
  const target = await Http2Target.start(t, handler)
  const castor = await startTestCastor(t, [target.address], { ...H2C, group: { protocol: 'h2c', ...group } })
  return { castor, target }
}

/** Answers with what it gets, and pings at every DATA frame, as gRPC servers do to measure the line. */
const pinging: Handler = (stream) => {
  stream.respond({ ':status': 200 })
  stream.on('data', (data: Buffer) => {
    stream.session?.ping(() => {})
    stream.write(data)
  })
  stream.on('end', () => stream.end())
}

t.test(
  'a target that pings at every DATA frame, as gRPC servers do, loses no request',
  { buffered: true },
  async (t) => {
    const { castor, target } = await before(t, pinging)
    const session = await connectTo(t, castor.port)
    const statuses = new Set<string>()
    for (let n = 0; n < 30; n++) {
      const answers = await Promise.all(Array.from({ length: 20 }, () => ask(session, { ':method': 'POST' }, 'ping')))
      for (const { status, code, body } of answers) statuses.add(`${status} ${code} ${body}`)
    }
    t.same([...statuses], ['200 0 ping'])
    t.equal(target.sessions.length, 1, 'on one connection')
  },
)

t.test('limits towards targets can be set, and PINGs are set against DATA', { buffered: true }, async (t) => {
  const { castor, target } = await before(t, pinging, { http2: { maxPings: 20 } })
  const session = await connectTo(t, castor.port)
  for (let n = 0; n < 30; n++) t.equal((await ask(session, { ':method': 'POST' }, 'ping')).status, 200)
  t.equal(target.sessions.length, 1)
  const idle = target.sessions[0]!
  await until('the end of a connection that only pings', () => {
    if (!idle.destroyed) idle.ping(() => {})
    return idle.destroyed || idle.closed
  })
  await until('its line in the log', () => castor.log.some((line) => line.includes('PING_FLOOD')))
})

t.test(
  'a client that pings at every DATA frame keeps its connection, with however low a limit',
  { buffered: true },
  async (t) => {
    const target = await Http2Target.start(t, pinging)
    const castor = await startTestCastor(t, [target.address], {
      listener: { http2: { maxPings: 20 } },
      group: { protocol: 'h2c' },
    })
    const client = await RawHttp2Client.open(t, castor.port)
    client.send(headers(1, POST))
    for (let n = 0; n < 100; n++)
      client.send(frame(FRAME.DATA, 0, 1, Buffer.from('x')), frame(FRAME.PING, 0, 0, Buffer.alloc(8)))
    await client.caughtUp()
    t.notOk(client.frames.some(({ type }) => type === FRAME.GOAWAY))
  },
)

t.test(
  'a request that a target turns away unread goes to another one, whatever its method, with its body',
  async (t) => {
    const refusing = await Http2Target.start(t, (stream) => stream.close(NGHTTP2_REFUSED_STREAM))
    for (const [what, address] of [
      ['REFUSED_STREAM', refusing.address],
      ['GOAWAY of no stream', await sayingGoAway(t)],
    ] as const) {
      const good = await Http2Target.start(t, (stream) => {
        const parts: Buffer[] = []
        stream.on('data', (part: Buffer) => parts.push(part))
        stream.on('end', () => {
          stream.respond({ ':status': 200 })
          stream.end(`${Buffer.concat(parts).length}`)
        })
      })
      const castor = await startTestCastor(t, [address, good.address], {
        ...H2C,
        group: { protocol: 'h2c', retries: { budgetPercent: 100 } },
      })
      const session = await connectTo(t, castor.port)
      for (const method of ['POST', 'PUT', 'GET', 'PATCH']) {
        for (const length of method === 'GET' ? [0] : [9_000, 15_000]) {
          for (let n = 0; n < 2; n++) {
            const body = length === 0 ? undefined : Buffer.alloc(length, 'b')
            const answer = await ask(session, { ':method': method }, body)
            t.same([answer.status, String(answer.body)], [200, String(length)], `${what}: ${method} of ${length} bytes`)
          }
        }
      }
    }
  },
)

/** The address of a target that has processed nothing, whatever it is asked. */
async function sayingGoAway(t: Test): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.write(Buffer.concat([settings(), SETTINGS_ACK]))
    let received = Buffer.alloc(0)
    socket.on('data', (data: Buffer) => {
      received = Buffer.concat([received, data])
      const asked = wholeFrames(received.subarray(PREFACE.length)).some(({ type }) => type === FRAME.HEADERS)
      if (asked) socket.end(frame(FRAME.GOAWAY, 0, 0, uint32(0, 0)))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A way to a target that stops forwarding on the connections there are, and serves new ones. */
async function relay(t: Test, address: string): Promise<{ address: string; freeze(): void; open(): number }> {
  const port = Number(address.split(':')[1])
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1')
    near.pipe(far)
    far.pipe(near)
    for (const socket of [near, far]) socket.on('error', () => {})
    near.on('close', () => {
      sockets.delete(near)
      far.destroy()
    })
    sockets.add(near)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    freeze() {
      for (const socket of sockets) {
        socket.unpipe()
        socket.on('data', () => {})
        socket.resume()
      }
    },
    open: () => sockets.size,
  }
}

t.test(
  'a connection to a target that is dead is given no further request, and closed',
  { buffered: true },
  async (t) => {
    const target = await Http2Target.start(t, sayHello)
    const way = await relay(t, target.address)
    const castor = await startTestCastor(t, [way.address], {
      ...H2C,
      group: { protocol: 'h2c', timeouts: { response: '500ms' }, http2: { pingTimeout: '1s' }, retries: 'off' },
    })
    const session = await connectTo(t, castor.port)
    t.equal((await ask(session)).status, 200)
    way.freeze()
    t.equal((await ask(session)).status, 504)
    for (let n = 0; n < 3; n++) t.equal((await ask(session)).status, 200, 'the next ones take another connection')
    await until('the end of the dead one', () => way.open() === 1, 15_000)
    await until('its line in the log', () => castor.log.some((line) => line.includes('PING_TIMEOUT')))
  },
)

t.test(
  'a connection to a target that is silent with a request under way is pinged, and closed where it is dead',
  async (t) => {
    const target = await Http2Target.start(t, (stream) => {
      stream.respond({ ':status': 200 })
      stream.write('an event')
    })
    const way = await relay(t, target.address)
    const castor = await startTestCastor(t, [way.address], {
      ...H2C,
      group: { protocol: 'h2c', http2: { pingAfter: '1s', pingTimeout: '1s' } },
    })
    const session = await connectTo(t, castor.port)
    const stream = session.request({ ':path': '/events' })
    const end = answerOf(stream, 15_000)
    await once(stream, 'data')
    way.freeze()
    t.equal((await end).code, NGHTTP2_INTERNAL_ERROR, 'the client is told')
    t.match(await castor.accessRecords(1), [{ status: 200, reason: 'TARGET_CUT' }])
  },
)

t.test(
  'an answer that is whole is delivered, however its target ends the stream then',
  { buffered: true },
  async (t) => {
    for (const code of [0, H2_ERROR.CANCEL, H2_ERROR.INTERNAL_ERROR]) {
      const { castor } = await before(t, (stream) => {
        stream.respond({ ':status': 200 }, { waitForTrailers: true })
        stream.on('wantTrailers', () => {
          stream.sendTrailers({ 'grpc-status': '0' })
          setImmediate(() => stream.close(code))
        })
        stream.end(Buffer.alloc(9_000, 'x'))
      })
      // The request goes on, and the window is shut until the target has said all it will.
      const session = await connectTo(t, castor.port, { settings: { initialWindowSize: 0 } })
      const stream = session.request({ ':path': '/', ':method': 'POST' }, { endStream: false })
      stream.write('a part')
      const end = answerOf(stream)
      await once(stream, 'response')
      await until('the end at the target', async () => (await castor.metrics()).size > 0)
      session.settings({ initialWindowSize: 65_535 })
      const { status, body, trailers } = await end
      t.same([status, body.length, trailers?.['grpc-status']], [200, 9_000, '0'], `RST_STREAM ${code}`)
    }
  },
)

t.test('trailers beside a Content-Length pass from HTTP/2 to HTTP/2, both ways', { buffered: true }, async (t) => {
  const seen: string[] = []
  const { castor } = await before(t, (stream) => {
    let length = 0
    stream.on('data', (data: Buffer) => {
      length += data.length
    })
    stream.on('trailers', (fields) => seen.push(`${length} ${fields['x-sum']} ${fields['content-length']}`))
    stream.on('end', () => {
      stream.respond({ ':status': 200, 'content-length': '5' }, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': 'back' }))
      stream.end('hello')
    })
  })
  const session = await connectTo(t, castor.port)
  for (let n = 0; n < 3; n++) {
    const stream = session.request(
      { ':method': 'POST', ':path': '/', 'content-length': '3' },
      { endStream: false, waitForTrailers: true },
    )
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': 'there' }))
    const end: Promise<Answer> = answerOf(stream)
    stream.end('abc')
    const { status, headers: head, body, trailers } = await end
    t.same([status, head['content-length'], String(body), trailers?.['x-sum']], [200, '5', 'hello', 'back'])
  }
  // The first waited for its connection to the target.
  t.same(seen, ['3 there undefined', '3 there undefined', '3 there undefined'])
})

t.test(
  'content that comes where none, or no more, was promised spoils a request before its target has it whole',
  async (t) => {
    const whole: string[] = []
    const { castor } = await before(t, (stream, fields) => {
      stream.on('data', () => {})
      stream.on('end', () => {
        // The end of one that is reset looks the same.
        if (stream.aborted || stream.destroyed) return
        whole.push(String(fields[':path']))
        stream.respond({ ':status': 200 }, { endStream: true })
      })
    })
    const at = (path: string, length: string): Field[] => [
      ...POST.map(([name, value]): Field => [name, name === ':path' ? path : value]),
      ['content-length', length],
    ]
    const client = await RawHttp2Client.open(t, castor.port)
    // What is in front of one that its target has answered would be there, too.
    const passed = async (id: number): Promise<void> => {
      client.send(headers(id, at('/passes', '0'), END))
      await client.answered(id)
    }
    await passed(1)
    client.send(
      headers(3, at('/none', '0')),
      headers(5, at('/three', '3')),
      frame(FRAME.DATA, 0, 5, Buffer.from('abc')),
    )
    await passed(7)
    client.send(frame(FRAME.DATA, END, 3, Buffer.from('late')), frame(FRAME.DATA, END, 5, Buffer.from('late')))
    t.equal(await client.resetOf(3), H2_ERROR.PROTOCOL_ERROR)
    t.equal(await client.resetOf(5), H2_ERROR.PROTOCOL_ERROR)
    client.send(headers(9, at('/empty', '0')))
    await client.caughtUp()
    client.send(frame(FRAME.DATA, END, 9))
    await client.answered(9)
    t.same(
      whole.filter((path) => path !== '/passes'),
      ['/empty'],
    )
  },
)

t.test(
  'a request that its target refuses while all others are full is answered at once',
  { buffered: true },
  async (t) => {
    const refusing = await Http2Target.start(t, (stream) => stream.close(NGHTTP2_REFUSED_STREAM))
    let held = 0
    const busy = await Http2Target.start(t, () => {
      held++
    })
    const castor = await startTestCastor(t, [refusing.address, busy.address], {
      ...H2C,
      group: { protocol: 'h2c', maxConnectionsPerTarget: 1, queue: { size: 0, timeout: '5s' } },
    })
    const session = await connectTo(t, castor.port)
    session.request({ ':path': '/held' }).on('error', () => {})
    await until('a target that is full', () => held === 1)
    for (const method of ['GET', 'DELETE']) {
      const { status } = await answerOf(
        session.request({ ':path': '/', ':method': method }, { endStream: true }),
        5_000,
      )
      t.equal(status, 502, method)
    }
  },
)

t.test(
  'a target that begins with anything except SETTINGS, and keeps the connection, is given up at once',
  { buffered: true },
  async (t) => {
    const beginnings = {
      nonsense: Buffer.from('what?\r\n\r\n'),
      'an answer in HTTP/1.1': Buffer.from('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n'),
      'a PING': frame(FRAME.PING, 0, 0, Buffer.alloc(8)),
    }
    for (const [what, bytes] of Object.entries(beginnings)) {
      const target = await TcpTarget.start(t, (socket) => socket.resume().write(bytes))
      const castor = await startTestCastor(t, [target.address], {
        group: { protocol: 'h2c', retries: 'off', timeouts: { connect: '1m' } },
      })
      // The second begins while the first's connection may not be gone yet.
      for (let n = 0; n < 2; n++) t.equal((await request(castor.port, get())).status, 502, what)
      await until('the ends of its connections', () => target.sockets.every(({ readableEnded }) => readableEnded))
    }
  },
)
