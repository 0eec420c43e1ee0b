import t from 'tap'
import { castorBefore } from './support/castor.js'
import { get, RawClient, request } from './support/raw-client.js'
import { answer, ok } from './support/raw-target.js'
import { eventually, timed } from './support/waiting.js'

// Those that mostly wait do so together.
t.jobs = 3

t.test('one target connection serves the requests of many clients', async (t) => {
  const { target, port } = await castorBefore(t)
  for (let i = 0; i < 20; i++) t.equal((await request(port, get(`/${i}`))).text, `/${i}`)
  t.equal(target.connections.length, 1)
  t.equal(target.requests.length, 20)
})

t.test('one client connection carries many requests', async (t) => {
  const { castor, target, port } = await castorBefore(t)
  const client = await RawClient.connect(port)
  t.teardown(() => client.close())
  for (let i = 0; i < 50; i++) {
    const response = await client.exchange(get(`/${i}`))
    t.equal(response.text, `/${i}`)
    t.equal(response.header('connection'), undefined)
  }
  t.equal(target.connections.length, 1)
  t.equal((await castor.metrics()).get('castor_connections_total{listener="web"}'), 1)
})

t.test('a client that says close gets its answer with close, and the target connection stays', async (t) => {
  const { target, port } = await castorBefore(t)
  const client = await RawClient.connect(port)
  const response = await client.exchange(get('/', ['Connection: close']))
  t.equal(response.header('connection'), 'close')
  t.equal(await client.ending(), 'end')
  await request(port, get())
  t.equal(target.connections.length, 1)
})

t.test('a target that says close costs the client nothing', async (t) => {
  const { target, port } = await castorBefore(t, {
    answer: (_, connection) => connection.end(ok('bye', ['Connection: close'])),
  })
  const client = await RawClient.connect(port)
  t.teardown(() => client.close())
  for (let i = 0; i < 3; i++) {
    const response = await client.exchange(get())
    t.equal(response.text, 'bye')
    t.equal(response.header('connection'), undefined, 'what the target says of its connection is not the client’s')
  }
  t.equal(target.connections.length, 3)
})

t.test('pipelined requests are answered in order', async (t) => {
  // The first takes longest: answers that came as they were ready would come in the wrong order.
  const { target, port } = await castorBefore(t, {
    answer: (request, connection) => {
      const later = () => connection.write(ok(request.target))
      if (request.target === '/0') setImmediate(later)
      else later()
    },
  })
  const client = await RawClient.connect(port)
  t.teardown(() => client.close())
  for (let i = 0; i < 5; i++) client.send(get(`/${i}`))
  for (let i = 0; i < 5; i++) t.equal((await client.response()).text, `/${i}`)
  t.equal(target.requests.length, 5)
})

t.test('a hundred requests in one packet are answered in order', async (t) => {
  const { target, port } = await castorBefore(t)
  const client = await RawClient.connect(port)
  t.teardown(() => client.close())
  client.send(Array.from({ length: 100 }, (_, i) => get(`/${i}`)).join(''))
  for (let i = 0; i < 100; i++) t.equal((await client.response()).text, `/${i}`)
  t.equal(target.requests.length, 100)
})

t.test('pipelined requests with bodies keep them apart, whatever the framing', async (t) => {
  const { target, port } = await castorBefore(t, {
    answer: (request, connection) => connection.write(ok(`${request.target}:${request.text}`)),
  })
  const client = await RawClient.connect(port)
  t.teardown(() => client.close())
  const requests = Array.from({ length: 100 }, (_, i) => {
    const body = 'x'.repeat(i * 7)
    if (i % 3 === 0) return get(`/${i}`)
    if (i % 3 === 1) return get(`/${i}`, [`Content-Length: ${body.length}`], 'POST') + body
    const half = body.length >> 1
    const chunks = [body.slice(0, half), body.slice(half)].filter((part) => part !== '')
    return `${get(`/${i}`, ['Transfer-Encoding: chunked'], 'PUT')}${chunks
      .map((part) => `${part.length.toString(16)}\r\n${part}\r\n`)
      .join('')}0\r\n\r\n`
  })
  client.send(requests.join(''))
  for (let i = 0; i < 100; i++) {
    t.equal((await client.response()).text, `/${i}:${i % 3 === 0 ? '' : 'x'.repeat(i * 7)}`)
  }
  t.equal(target.requests.length, 100)
})

t.test('a request that comes a byte at a time is understood', async (t) => {
  const { target, port } = await castorBefore(t, {
    answer: (request, connection) => connection.write(ok(request.text)),
  })
  const client = await RawClient.connect(port)
  t.teardown(() => client.close())
  const bytes = `${get('/slow', ['Content-Length: 5'], 'POST')}hello`
  for (const byte of bytes) {
    client.send(byte)
    await new Promise((resolve) => setImmediate(resolve))
  }
  t.equal((await client.response()).text, 'hello')
  t.equal(target.requests.length, 1)
})

t.test(
  'a keep-alive connection on which nothing happens is closed after idleTimeout',
  { buffered: true },
  async (t) => {
    const { port } = await castorBefore(t, {}, { listener: { idleTimeout: '1s' } })
    const silent = await RawClient.connect(port)
    const used = await RawClient.connect(port)
    await used.exchange(get())
    const endings = await timed(Promise.all([silent.ending(), used.ending()]))
    t.same(endings.value, ['end', 'end'])
    t.ok(endings.ms > 700 && endings.ms < 2_000, `after ${Math.round(endings.ms)} ms`)
  },
)

t.test('a connection in use is not idle', { buffered: true }, async (t) => {
  let release = (): void => {}
  const { port } = await castorBefore(
    t,
    {
      answer: (request, connection) => {
        if (request.target === '/long') release = () => connection.write(ok('done'))
        else connection.write(ok())
      },
    },
    { listener: { idleTimeout: '1s' } },
  )
  const idle = await RawClient.connect(port)
  const busy = await RawClient.connect(port)
  t.teardown(() => busy.close())
  busy.send(get('/long'))
  await idle.exchange(get())
  await idle.ending()
  release()
  t.equal((await busy.response()).text, 'done', 'waiting for the target is timed by timeouts.response')
})

t.test(
  'a target’s Keep-Alive timeout is honoured: its connection is not used near its end',
  { buffered: true },
  async (t) => {
    const { target, port } = await castorBefore(t, {
      answer: (request, connection) => {
        connection.write(ok('', [`Keep-Alive: timeout=${request.target.slice(1)}`, 'Connection: keep-alive']))
      },
    })
    await request(port, get('/1'))
    t.equal(await target.connections[0]!.ending(), 'end', 'a second is too near to its end: closed at once')
    await request(port, get('/2'))
    const kept = await timed(target.connections[1]!.ending())
    t.ok(kept.ms > 600 && kept.ms < 1_800, `kept for all but a second of two: ${Math.round(kept.ms)} ms`)
    await request(port, get('/60'))
    await request(port, get('/60'))
    t.equal(target.connections.length, 3)
  },
)

t.test('bytes that nobody asked for on an idle target connection are the end of it', async (t) => {
  const { castor, target, port } = await castorBefore(t)
  await request(port, get('/a'))
  const [first] = target.connections
  first!.write(ok('forged'))
  await first!.ending()
  t.equal((await request(port, get('/b'))).text, '/b')
  t.equal(target.connections.length, 2)
  await eventually(
    'only the second is counted as open',
    async () => (await castor.metrics()).get(targetConnections(target.address)) === 1,
  )
})

t.test('bytes behind a complete response poison that connection, not the next client', async (t) => {
  const cases: [string, string][] = [
    ['behind a length', `${ok('right')}${ok('wrong')}`],
    ['behind chunks', `${answer('200 OK', ['Transfer-Encoding: chunked'], '5\r\nright\r\n0\r\n\r\n')}${ok('wrong')}`],
    ['behind an empty body', `${answer('204 No Content')}${ok('wrong')}`],
    ['a body for HEAD', ok('right')],
  ]
  const { target, port } = await castorBefore(t, {
    answer: (request, connection) => connection.write(cases[Number(request.target.slice(1))]?.[1] ?? ok('clean')),
  })
  for (const [index, [name]] of cases.entries()) {
    const client = await RawClient.connect(port)
    const first = await client.exchange(get(`/${index}`, [], name.includes('HEAD') ? 'HEAD' : 'GET'))
    t.notOk(first.text.includes('wrong'), name)
    t.equal((await request(port, get('/next'))).text, 'clean', `${name}: another client`)
    t.equal((await client.exchange(get('/next'))).text, 'clean', `${name}: the same client`)
    t.equal(client.reader.waiting, 0, `${name}: nothing more for the client`)
    client.close()
    await target.connections[index]!.ending()
  }
  t.same(
    target.connections.map(({ requests }) => requests.length),
    [1, 3, 3, 3, 2],
    'each poisoned connection carried nothing after its poison',
  )
})

const targetConnections = (id: string): string => `castor_target_connections_active{target_group="app",target="${id}"}`
