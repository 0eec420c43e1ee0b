import t from 'tap'
import { castorBefore } from './support/castor.js'
import { ask, connectTo } from './support/http2-peers.js'
import { value, values } from './support/message.js'
import { get, RawClient, request } from './support/raw-client.js'
import { answer, ok } from './support/raw-target.js'

const chunks = (...parts: string[]): string =>
  `${parts.map((part) => `${part.length.toString(16)}\r\n${part}\r\n`).join('')}0\r\n\r\n`

t.test('request bodies reach the target in the framing they came in', async (t) => {
  const { target, port } = await castorBefore(t)
  const last = () => target.requests.at(-1)!

  await request(port, `${get('/', ['Content-Length: 5'], 'POST')}hello`)
  t.match(last(), { framing: 'length', text: 'hello' })

  await request(port, get('/', ['Content-Length: 0'], 'POST'))
  t.match(last(), { framing: 'length', text: '' })
  t.equal(last().header('content-length'), '0')

  await request(port, get('/'))
  t.match(last(), { framing: 'none' })

  await request(port, get('/', ['Transfer-Encoding: chunked'], 'POST') + chunks('hello', ' ', 'world'))
  t.match(last(), { framing: 'chunked', text: 'hello world' })
  t.equal(last().header('content-length'), undefined)

  await request(port, get('/', ['Transfer-Encoding: chunked'], 'POST') + chunks())
  t.match(last(), { framing: 'chunked', text: '', chunkLines: ['0'] })

  for (const method of ['GET', 'DELETE', 'PATCH', 'BREW']) {
    await request(port, `${get('/', ['Content-Length: 3'], method)}abc`)
    t.match(last(), { method, framing: 'length', text: 'abc' }, `a body on ${method} is framed like any other`)
  }
})

t.test('chunks are encoded anew: canonical sizes, no extensions, no forbidden trailers', async (t) => {
  const { target, port } = await castorBefore(t)
  const body = [
    '005;name=value;flag\r\nhello\r\n',
    '1 ; x="quoted \\" text"\r\n \r\n',
    'B\r\nhello again\r\n',
    '00;last\r\nX-Sum: 1\r\nContent-Length: 9\r\nHost: evil\r\n\r\n',
  ]
  await request(port, get('/', ['Transfer-Encoding: CHUNKED'], 'POST') + body.join(''))
  const received = target.requests[0]!
  t.equal(received.text, 'hello hello again')
  for (const line of received.chunkLines) t.match(line, /^(0|[1-9a-f][0-9a-f]*)$/, 'the size alone')
  t.same(received.trailers, [['X-Sum', '1']])
  t.same(values(received.fields, 'transfer-encoding'), ['chunked'])
})

t.test('a chunked body cut at every byte is the same body', async (t) => {
  const { target, port } = await castorBefore(t)
  const bytes = `${get('/', ['Transfer-Encoding: chunked'], 'POST')}3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nX-T: v\r\n\r\n`
  const bodyAt = bytes.indexOf('\r\n\r\n') + 4
  const client = await RawClient.connect(port)
  t.teardown(() => client.close())
  for (let at = bodyAt - 2; at < bytes.length; at++) {
    client.send(bytes.slice(0, at))
    await new Promise((resolve) => setImmediate(resolve))
    client.send(bytes.slice(at))
    await client.response('POST')
  }
  for (const { text, trailers } of target.requests) {
    t.equal(text, 'abcde')
    t.same(trailers, [['X-T', 'v']])
  }
  t.equal(target.requests.length, bytes.length - bodyAt + 2)
})

t.test('response bodies reach HTTP/1.1 clients whole, whatever their framing', async (t) => {
  const cases: [name: string, bytes: string, framing: string, body: string][] = [
    ['length', ok('hello'), 'length', 'hello'],
    ['length 0', ok(), 'length', ''],
    ['chunked', answer('200 OK', ['Transfer-Encoding: chunked'], chunks('hel', 'lo')), 'chunked', 'hello'],
    ['chunked, empty', answer('200 OK', ['Transfer-Encoding: chunked'], chunks()), 'chunked', ''],
    ['until close', answer('200 OK', [], 'until the end'), 'chunked', 'until the end'],
    ['until close, empty', answer('200 OK', [], ''), 'chunked', ''],
  ]
  const { port } = await castorBefore(t, {
    answer: (request, connection) => {
      const [name, bytes] = cases[Number(request.target.slice(1))]!
      if (name.startsWith('until')) connection.end(bytes)
      else connection.write(bytes)
    },
  })
  const client = await RawClient.connect(port)
  t.teardown(() => client.close())
  for (const [index, [name, , framing, body]] of cases.entries()) {
    const response = await client.exchange(get(`/${index}`))
    t.match(response, { status: 200, framing, text: body }, name)
    t.notOk(response.header('content-length') && response.header('transfer-encoding'), `${name}: one framing`)
    t.equal(response.header('connection'), undefined, `${name}: the connection stays`)
  }
})

t.test('HTTP/1.0 clients get no chunks: length where there is one, else the end of the connection', async (t) => {
  const { port } = await castorBefore(t, {
    answer: (request, connection) => {
      if (request.target === '/length') connection.write(ok('hello'))
      else if (request.target === '/chunked')
        connection.write(answer('200 OK', ['Transfer-Encoding: chunked'], chunks('hel', 'lo')))
      else connection.end(answer('200 OK', [], 'hello'))
    },
  })
  for (const target of ['/length', '/chunked', '/close']) {
    for (const keepAlive of [false, true]) {
      const client = await RawClient.connect(port)
      const lines = keepAlive ? 'Host: test\r\nConnection: keep-alive\r\n' : 'Host: test\r\n'
      const response = await client.exchange(`GET ${target} HTTP/1.0\r\n${lines}\r\n`)
      const stays = keepAlive && target === '/length'
      t.equal(response.text, 'hello', target)
      t.equal(response.framing, target === '/length' ? 'length' : 'close', target)
      t.equal(response.header('transfer-encoding'), undefined, target)
      t.equal(response.header('connection'), stays ? 'keep-alive' : 'close', target)
      if (stays) {
        const again = await client.exchange(`GET ${target} HTTP/1.0\r\n${lines}\r\n`)
        t.equal(again.text, 'hello', 'a second request on the same connection')
        client.close()
      } else {
        t.equal(await client.ending(), 'end', target)
      }
    }
  }
})

t.test('an HTTP/1.0 client without Host is served, and the target is told the address it dialled', async (t) => {
  const { target, port } = await castorBefore(t)
  const response = await request(port, 'GET / HTTP/1.0\r\n\r\n')
  t.equal(response.status, 200)
  t.match(target.requests[0]!.header('host'), /^127\.0\.0\.1/)
  t.equal(target.requests[0]!.version, 'HTTP/1.1')
})

t.test('an HTTP/1.0 target is used once, or again where it says keep-alive', async (t) => {
  const { target, port } = await castorBefore(t, {
    answer: (request, connection) => {
      const keep = request.target === '/keep'
      const head = `HTTP/1.0 200 OK\r\n${keep ? 'Connection: keep-alive\r\n' : ''}Content-Length: 2\r\n\r\nok`
      if (keep) connection.write(head)
      else connection.end(head)
    },
  })
  const client = await RawClient.connect(port)
  t.teardown(() => client.close())
  for (const path of ['/keep', '/keep', '/once', '/keep']) {
    const response = await client.exchange(get(path))
    t.match(response, { version: 'HTTP/1.1', status: 200, text: 'ok' })
  }
  t.same(target.boundaries, [['GET /keep', 'GET /keep', 'GET /once'], ['GET /keep']])
})

t.test('an HTTP/1.0 response without length ends with the connection', async (t) => {
  const { port } = await castorBefore(t, {
    answer: (_, connection) => connection.end('HTTP/1.0 200 OK\r\nX-A: b\r\n\r\nold body'),
  })
  t.match(await request(port, get()), { version: 'HTTP/1.1', framing: 'chunked', text: 'old body' })
  t.match(await request(port, 'GET / HTTP/1.0\r\n\r\n'), { framing: 'close', text: 'old body' })
})

t.test('HEAD, 204 and 304 have no body, and the connections go on', async (t) => {
  const { target, port } = await castorBefore(t, {
    answer: (request, connection) => {
      switch (request.target) {
        case '/204':
          return connection.write(answer('204 No Content'))
        case '/304':
          return connection.write(answer('304 Not Modified', ['Content-Length: 1234', 'ETag: "a"']))
        case '/head-chunked':
          return connection.write(answer('200 OK', ['Transfer-Encoding: chunked']))
        case '/head-bare':
          return connection.write(answer('200 OK'))
        default:
          return connection.write(answer('200 OK', ['Content-Length: 4321']))
      }
    },
  })
  const client = await RawClient.connect(port)
  t.teardown(() => client.close())
  const none = await client.exchange(get('/204'))
  t.equal(none.status, 204)
  t.equal(none.header('content-length'), undefined)
  t.equal(none.header('transfer-encoding'), undefined)
  const unchanged = await client.exchange(get('/304'))
  t.equal(unchanged.status, 304)
  t.equal(unchanged.header('content-length'), '1234', 'what the length would be is kept')
  t.equal((await client.exchange(get('/head', [], 'HEAD'))).header('content-length'), '4321')
  t.equal((await client.exchange(get('/head-chunked', [], 'HEAD'))).status, 200)
  t.equal((await client.exchange(get('/head-bare', [], 'HEAD'))).status, 200)
  t.equal((await client.exchange(get('/204'))).status, 204)
  t.equal(client.reader.waiting, 0)
  t.equal(target.connections.length, 1, 'none of them needed a new connection')
})

t.test('a 204 or 304 with Transfer-Encoding is passed on without it, and its connection serves no other', async (t) => {
  const paths = ['/204', '/304', '/204/stray', '/304/stray']
  const { target, port } = await castorBefore(
    t,
    {
      answer: (request, connection) => {
        const [, status, stray] = request.target.split('/')
        const lines = ['Transfer-Encoding: chunked']
        connection.write(answer(`${status} No Body`, lines, stray === undefined ? '' : '0\r\n\r\n'))
      },
    },
    { listener: { http2: true } },
  )
  const client = await RawClient.connect(port)
  t.teardown(() => client.close())
  const session = await connectTo(t, port)
  for (const path of paths) {
    const response = await client.exchange(get(path))
    t.equal(response.status, Number(path.slice(1, 4)), path)
    t.equal(response.header('transfer-encoding'), undefined)
    const modern = await ask(session, { ':path': path })
    t.same([modern.status, modern.body.length], [response.status, 0], `${path} by HTTP/2`)
  }
  t.equal(client.reader.waiting, 0)
  t.equal(target.connections.length, 2 * paths.length)
})

t.test('white space behind chunked is none of the value, in requests and answers', async (t) => {
  const lines = (coding: string): string[] => [`Transfer-Encoding: ${coding}`]
  const { target, port } = await castorBefore(t, {
    answer: (request, connection) =>
      connection.write(answer('200 OK', lines(decodeURI(request.target.slice(1))), chunks('hello'))),
  })
  for (const coding of ['chunked ', 'chunked\t', 'chunked \t ']) {
    const response = await request(
      port,
      `${get(`/${encodeURI(coding)}`, lines(coding), 'POST')}${chunks('body')}`,
      'POST',
    )
    t.match(response, { status: 200, framing: 'chunked', text: 'hello' }, JSON.stringify(coding))
    t.match(target.requests.at(-1), { framing: 'chunked', text: 'body' })
  }
})

t.test('trailers travel both ways', async (t) => {
  const { target, port } = await castorBefore(t, {
    answer: (_, connection) =>
      connection.write(
        answer(
          '200 OK',
          ['Transfer-Encoding: chunked', 'Trailer: X-Sum'],
          '2\r\nok\r\n0\r\nX-Sum: 7\r\nX-End:  spaced \r\n\r\n',
        ),
      ),
  })
  const response = await request(
    port,
    `${get('/', ['Transfer-Encoding: chunked', 'TE: trailers', 'Connection: TE', 'Trailer: X-Req'], 'POST')}1\r\na\r\n0\r\nX-Req: 1\r\n\r\n`,
  )
  t.same(target.requests[0]!.trailers, [['X-Req', '1']])
  t.equal(target.requests[0]!.header('te'), 'trailers')
  t.same(response.trailers, [
    ['X-Sum', '7'],
    ['X-End', 'spaced'],
  ])
})

t.test('trailers of a response are dropped for an HTTP/1.0 client', async (t) => {
  const { port } = await castorBefore(t, {
    answer: (_, connection) =>
      connection.write(answer('200 OK', ['Transfer-Encoding: chunked'], '2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n')),
  })
  t.match(await request(port, 'GET / HTTP/1.0\r\n\r\n'), { text: 'ok', framing: 'close' })
})

t.test('absolute form, asterisk form and unusual targets reach the target as meant', async (t) => {
  const { target, port } = await castorBefore(t)
  const cases: [line: string, targetSeen: string, host: string][] = [
    ['GET http://other.example:81/a?b HTTP/1.1', '/a?b', 'other.example:81'],
    ['GET HTTP://other.example HTTP/1.1', '/', 'other.example'],
    ['OPTIONS * HTTP/1.1', '*', 'test'],
    ['OPTIONS http://other.example HTTP/1.1', '*', 'other.example'],
    ['GET //a/../b/./%7e?x=%zz HTTP/1.1', '//a/../b/./%7e?x=%zz', 'test'],
    ['GET /?http://x HTTP/1.1', '/?http://x', 'test'],
  ]
  for (const [line, targetSeen, host] of cases) {
    const response = await request(port, `${line}\r\nHost: test\r\n\r\n`)
    t.equal(response.status, 200, line)
    const seen = target.requests.at(-1)!
    t.equal(seen.target, targetSeen, line)
    t.same(values(seen.fields, 'host'), [host], line)
  }
})

t.test('a response whose head comes in pieces, its body in others, is put together', async (t) => {
  const bytes = answer('200 Fine with me', ['X-One:1', 'X-Two:  2  ', 'Transfer-Encoding: chunked'], chunks('abc', 'd'))
  const { port } = await castorBefore(t, {
    answer: async (_, connection) => {
      for (const byte of bytes) {
        connection.write(byte)
        await new Promise((resolve) => setImmediate(resolve))
      }
    },
  })
  const response = await request(port, get())
  t.match(response, { status: 200, reason: 'Fine with me', text: 'abcd' })
  t.equal(value(response.fields, 'x-one'), '1')
  t.equal(value(response.fields, 'x-two'), '2')
})
