import t from 'tap'
import { castorBefore } from './support/castor.js'
import { ask, connectTo } from './support/http2-peers.js'
import { values } from './support/message.js'
import { get, RawClient, request } from './support/raw-client.js'
import { answer, ok } from './support/raw-target.js'
import { never } from './support/waiting.js'

const INTERIMS = [
  answer('102 Processing'),
  answer('103 Early Hints', ['Link: </a.css>; rel=preload', 'Connection: close', 'Keep-Alive: timeout=1']),
  answer('199 Odd'),
]

t.test('interim responses are passed on to HTTP/1.1 clients, in order and before the final one', async (t) => {
  const { target, port } = await castorBefore(t, {
    answer: (_, connection) => connection.write(`${answer('100 Continue')}${INTERIMS.join('')}${ok('final')}`),
  })
  const client = await RawClient.connect(port)
  t.teardown(() => client.close())
  for (let i = 0; i < 2; i++) {
    const response = await client.exchange(get())
    t.same(
      response.interims.map(({ startLine }) => startLine),
      ['HTTP/1.1 100 Continue', 'HTTP/1.1 102 Processing', 'HTTP/1.1 103 Early Hints', 'HTTP/1.1 199 Odd'],
    )
    t.same(response.interims[2]!.fields, [['Link', '</a.css>; rel=preload']], 'hop-by-hop fields are dropped here too')
    t.match(response, { status: 200, text: 'final' })
  }
  t.equal(target.connections.length, 1)
})

t.test('an interim response does not wait for the final one', async (t) => {
  let finish = (): void => {}
  const { port } = await castorBefore(t, {
    answer: (_, connection) => {
      connection.write(INTERIMS[1]!)
      finish = () => connection.write(ok('final'))
    },
  })
  const client = await RawClient.connect(port)
  t.teardown(() => client.close())
  client.send(get())
  t.equal(await client.reader.line(), 'HTTP/1.1 103 Early Hints')
  while ((await client.reader.line()) !== '');
  finish()
  t.equal((await client.response()).text, 'final')
})

t.test('HTTP/1.0 clients are spared interim responses', async (t) => {
  const { port } = await castorBefore(t, {
    answer: (_, connection) => connection.write(`${INTERIMS.join('')}${ok('final')}`),
  })
  t.match(await request(port, 'GET / HTTP/1.0\r\n\r\n'), { status: 200, interims: [], text: 'final' })
})

t.test('many interim responses may come before the final one', async (t) => {
  const { port } = await castorBefore(t, {
    answer: (_, connection) => connection.write(answer('102 Processing').repeat(50) + ok('', [], '207 Multi-Status')),
  })
  const response = await request(port, get())
  t.equal(response.status, 207)
  t.equal(response.interims.length, 50)
})

t.test('interim responses restart the response time-out, for clients of every version', async (t) => {
  const { port } = await castorBefore(
    t,
    {
      answer: async (_, connection) => {
        for (let i = 0; i < 6; i++) {
          await new Promise((resolve) => setTimeout(resolve, 500))
          connection.write(answer('102 Processing'))
        }
        connection.write(ok('done'))
      },
    },
    { listener: { http2: true }, group: { timeouts: { response: '1500ms' } } },
  )
  const session = await connectTo(t, port)
  const [http11, http10, http2] = await Promise.all([
    request(port, get()),
    request(port, 'GET / HTTP/1.0\r\n\r\n'),
    ask(session),
  ])
  t.match(http11, { status: 200, text: 'done' })
  t.match(http10, { status: 200, text: 'done' })
  t.equal(http2.status, 200)
})

t.test('more interim responses than any target needs are nonsense: 502', async (t) => {
  const { castor, port } = await castorBefore(
    t,
    { answer: (_, connection) => connection.write(answer('102 Processing').repeat(1000) + ok()) },
    { accessLog: true },
  )
  const response = await request(port, get())
  t.equal(response.status, 502)
  t.ok(response.interims.length <= 100, `${response.interims.length} passed on`)
  t.match(await castor.accessRecords(1), [{ status: 502, reason: 'BAD_RESPONSE' }])
})

t.test('Expect: 100-continue with a target that accepts', async (t) => {
  const { target, port } = await castorBefore(t, {
    onHead: (head, connection) => {
      t.same(values(head.fields, 'expect'), ['100-continue'])
      connection.write(answer('100 Continue'))
    },
    answer: (request, connection) => connection.write(ok(`got ${request.text}`)),
  })
  const client = await RawClient.connect(port)
  t.teardown(() => client.close())
  for (let i = 0; i < 2; i++) {
    client.send(get('/', ['Expect: 100-continue', 'Content-Length: 5'], 'POST'))
    t.equal(await client.reader.line(), 'HTTP/1.1 100 Continue', 'the client waits for this before it sends its body')
    t.equal(await client.reader.line(), '')
    client.send('hello')
    const response = await client.response('POST')
    t.equal(response.text, 'got hello')
    t.same(response.interims, [], 'one is enough')
  }
  t.equal(target.connections.length, 1)
})

t.test('Expect: 100-continue with a target that refuses', async (t) => {
  const { target, port } = await castorBefore(t, {
    onHead: (_, connection) => {
      connection.write(ok('no', [], '417 Expectation Failed'))
      return false
    },
  })
  const client = await RawClient.connect(port)
  const response = await client.exchange(get('/', ['Expect: 100-continue', 'Content-Length: 5'], 'POST'))
  t.match(response, { status: 417, text: 'no', interims: [] })
  t.equal(response.header('connection'), 'close', 'a client may send the body all the same: it could not be told apart')
  t.equal(await client.ending(), 'end')
  await target.connections[0]!.ending()
})

t.test('Expect: 100-continue waits for the target, and the target for nothing', async (t) => {
  const { target, port } = await castorBefore(t)
  const client = await RawClient.connect(port)
  t.teardown(() => client.close())
  client.send(get('/', ['Expect: 100-continue', 'Content-Length: 2'], 'POST'))
  await target.connected(1)
  await never('a 100 of the balancer’s own', () => client.reader.total > 0, 100)
  client.send('hi')
  t.equal((await client.response('POST')).status, 200, 'a client that tires of waiting sends its body')
})

t.test('an expectation that nobody knows is refused', async (t) => {
  const { target, port } = await castorBefore(t)
  const response = await request(port, get('/', ['Expect: 200-ok', 'Content-Length: 2'], 'POST'))
  t.equal(response.status, 417)
  t.equal(target.requests.length, 0)
})
