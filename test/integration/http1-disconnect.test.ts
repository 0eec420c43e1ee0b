import t from 'tap'
import { castorBefore } from './support/castor.js'
import { get, RawClient, request } from './support/raw-client.js'
import { answer, ok, type TargetConnection } from './support/raw-target.js'
import { eventually, never } from './support/waiting.js'

const CUT = { message: /^cut short/ }

t.test('a client that ends its side behind its request still gets the whole response', async (t) => {
  let finish = (): void => {}
  const { target, port } = await castorBefore(t, {
    answer: (request, connection) => {
      finish = () => connection.write(ok(request.target.repeat(10_000)))
      if (request.target === '/now') finish()
    },
  })
  for (const [path, version] of [
    ['/now', '1.1'],
    ['/now', '1.0'],
    ['/later', '1.1'],
    ['/later', '1.0'],
  ]) {
    const before = target.requests.length
    const client = await RawClient.connect(port)
    client.send(`GET ${path} HTTP/${version}\r\nHost: test\r\n\r\n`)
    client.half()
    if (path === '/later') {
      await target.received(before + 1)
      await never('the target is let go of', () => target.connections.some(({ ended }) => ended !== undefined), 60)
      finish()
    }
    const response = await client.response()
    t.equal(response.text, path!.repeat(10_000), `${path} over HTTP/${version}`)
    t.equal(await client.ending(), 'end')
  }
})

t.test('pipelined requests before a half-close are all answered', async (t) => {
  const { port } = await castorBefore(t)
  const client = await RawClient.connect(port)
  client.send(`${get('/1')}${get('/2', ['Content-Length: 2'], 'POST')}hi${get('/3')}`)
  client.half()
  for (const path of ['/1', '/2', '/3']) t.equal((await client.response()).text, path)
  t.equal(await client.ending(), 'end')
})

t.test('a client that goes while the target thinks: the target’s exchange is cancelled', async (t) => {
  for (const how of ['close', 'reset'] as const) {
    const { castor, target, port } = await castorBefore(t, { answer: () => {} }, { accessLog: true })
    const client = await RawClient.connect(port)
    client.send(get())
    await target.received(1)
    client[how]()
    await target.connections[0]!.ending(1_000)
    const [record] = await castor.accessRecords(1)
    t.match(record, { status: 499, reason: how === 'reset' ? 'CLIENT_RESET' : /^CLIENT_/, target: target.address }, how)
    t.equal((await castor.metrics()).get('castor_connections_active{listener="web"}'), 0)
  }
})

t.test('a client that goes while its second pipelined request is at the target', async (t) => {
  const { target, port } = await castorBefore(t, {
    answer: (request, connection) => {
      if (request.target === '/1') connection.write(ok())
    },
  })
  const client = await RawClient.connect(port)
  client.send(get('/1') + get('/2'))
  await client.response()
  await target.received(2)
  client.close()
  await target.connections.at(-1)!.ending(1_000)
})

t.test('a client that goes in the middle of a download', async (t) => {
  let sending: TargetConnection | undefined
  const { target, port } = await castorBefore(t, {
    answer: (_, connection) => {
      sending = connection
      connection.write(answer('200 OK', [`Content-Length: ${1024 ** 3}`]))
      const more = (): void => {
        while (connection.ended === undefined && !connection.socket.destroyed) {
          if (!connection.write(Buffer.alloc(65_536))) {
            connection.socket.once('drain', more)
            return
          }
        }
      }
      more()
    },
  })
  for (const how of ['close', 'reset'] as const) {
    const client = await RawClient.connect(port)
    client.send(get())
    await eventually('the download has begun', () => client.reader.total > 1_000_000)
    client[how]()
    await sending!.ending(1_000)
  }
  target.script = {}
  t.equal((await request(port, get('/after'))).text, '/after')
})

t.test('a client that goes in the middle of an upload', async (t) => {
  let received = Promise.resolve()
  const { castor, target, port } = await castorBefore(
    t,
    {
      onHead: (_, { reader }) => {
        received = reader.bytes(10).then(() => {})
        return false
      },
    },
    { accessLog: true },
  )
  let count = 0
  for (const how of ['close', 'half', 'reset'] as const) {
    for (const framing of ['Content-Length: 1000', 'Transfer-Encoding: chunked']) {
      const what = `${how}, ${framing}`
      const client = await RawClient.connect(port)
      client.send(`${get('/', [framing], 'POST')}${framing.startsWith('T') ? '3e8\r\n' : ''}half of it`)
      await target.connected(++count)
      await received
      client[how]()
      await target.connections[count - 1]!.ending(1_000)
      if (how === 'half') t.equal(await client.ending(), 'reset', `${what}: half a request is not answered`)
      const record = (await castor.accessRecords(count)).at(-1)
      t.match(record, { status: 499, reason: how === 'half' ? 'CLIENT_CLOSED' : /^CLIENT_/ }, what)
    }
  }
})

t.test('a response cut by its target is an error for the client, whatever its framing', async (t) => {
  const bodies: readonly [name: string, bytes: string, cuts: readonly ('end' | 'reset')[]][] = [
    ['length', answer('200 OK', ['Content-Length: 100'], 'half of it'), ['end', 'reset']],
    ['within a chunk', answer('200 OK', ['Transfer-Encoding: chunked'], '64\r\nhalf of it'), ['end', 'reset']],
    ['between chunks', answer('200 OK', ['Transfer-Encoding: chunked'], 'a\r\nhalf of it\r\n'), ['end', 'reset']],
    [
      'within the last chunk',
      answer('200 OK', ['Transfer-Encoding: chunked'], 'a\r\nhalf of it\r\n0\r\n'),
      ['end', 'reset'],
    ],
    // That the target ends it in order is the end of such a body.
    ['until close', answer('200 OK', [], 'half of it'), ['reset']],
  ]
  let sending: TargetConnection | undefined
  const { castor, port } = await castorBefore(
    t,
    {
      answer: (request, connection) => {
        sending = connection
        connection.write(bodies[Number(request.target.slice(1))]?.[1] ?? ok('fine'))
      },
    },
    { accessLog: true },
  )
  let count = 0
  for (const [index, [name, , cuts]] of bodies.entries()) {
    for (const how of cuts) {
      for (const version of ['1.1', '1.0']) {
        const client = await RawClient.connect(port)
        client.send(`GET /${index} HTTP/${version}\r\nHost: test\r\n\r\n`)
        // A Node.js client cannot see a reset that comes together with data.
        await eventually('half of it is here', () => client.reader.has('half of it'))
        sending![how]()
        await t.rejects(client.response(), CUT, `${name}, target ${how}, HTTP/${version}`)
        client.close()
        t.match((await castor.accessRecords(++count)).at(-1), { status: 200, reason: 'TARGET_CUT' })
      }
    }
  }
  t.equal((await request(port, get('/fine'))).text, 'fine')
})

t.test('a target killed in the middle of responses cuts those and no other', async (t) => {
  const waiting: TargetConnection[] = []
  const { target, port } = await castorBefore(t, {
    answer: (request, connection) => {
      connection.write(answer('200 OK', ['Content-Length: 10'], 'first'))
      if (request.target !== '/cut') waiting.push(connection)
      else connection.reset()
    },
  })
  const others = await Promise.all(Array.from({ length: 20 }, () => RawClient.connect(port)))
  for (const other of others) other.send(get('/other'))
  await target.received(20)
  const cut = await RawClient.connect(port)
  cut.send(get('/cut'))
  await t.rejects(cut.response(), CUT)
  for (const connection of waiting) connection.write('other')
  const responses = await Promise.all(others.map((other) => other.response()))
  for (const { text } of responses) t.equal(text, 'firstother')
  for (const other of others) other.close()
})

t.test('an answer that comes before the request is whole ends both connections', async (t) => {
  const { target, port } = await castorBefore(t, {
    onHead: (_, connection) => {
      connection.write(ok('too large', [], '413 Content Too Large'))
      return false
    },
  })
  const client = await RawClient.connect(port)
  const response = await client.exchange(`${get('/', ['Content-Length: 100000'], 'POST')}some of it`)
  t.match(response, { status: 413, text: 'too large' })
  t.equal(response.header('connection'), 'close')
  client.send('and more of it')
  t.equal(await client.ending(), 'end')
  client.close()
  await target.connections[0]!.ending()
})
