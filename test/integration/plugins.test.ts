import t from 'tap'
import { answerOf, connectTo } from './support/http2-peers.js'
import { pluginFolder, writePlugin } from './support/plugins.js'
import { get, RawClient, request } from './support/raw-client.js'
import { ok } from './support/raw-target.js'
import { startRouting } from './support/routing.js'
import { eventually } from './support/waiting.js'

t.test('a plug-in sees the request, edits it and its answer, and adds to the access log', async (t) => {
  const folder = pluginFolder(t)
  const module = writePlugin(
    folder,
    `{
    name: 'all',
    setup: ({ options, name, worker, node }) => ({ count: 0, name, worker, node }),
    onRequest(request, { state }) {
      state.count++
      request.setHeader('x-seen', [request.method, request.target, request.path, request.query, request.host, request.scheme,
        request.httpVersion, request.listener, request.client.address, request.header('X-ONE'), request.rule, request.targetGroup].join('|'))
    },
    onRoute(request) { request.setHeader('x-route', request.rule + '|' + request.targetGroup) },
    async onRequestHead(request, { state }) {
      request.addHeader('x-count', state.count)
      request.removeHeader('X-Two')
      request.setHeader('x-sent', request.sent.target + '|' + request.sent.host + '|' + request.header('x-route'))
    },
    onResponseHead(response, request) {
      response.setHeader('x-status', response.status)
      response.setHeader('x-of', request.method)
      response.removeHeader('server')
    },
    onLog: (entry, request) => ({ status: entry.status, group: entry.targetGroup, target: request.target, slow: entry.durationMs > 60_000 }),
  }`,
  )
  const { port, targets, balancer } = await startRouting(
    t,
    ['app', 'other'],
    [{ name: 'r', match: { path: '/r/*' }, forward: 'other', rewrite: { path: '/new/*' } }],
    { more: { plugins: [module] }, accessLog: true },
  )
  const plain = await request(port, get('/a?b=c', ['X-One: 1', 'x-two: 2', 'x-one: 3']))
  t.equal(plain.text, 'app')
  t.equal(plain.header('x-status'), '200')
  t.equal(plain.header('x-of'), 'GET')
  const [sent] = targets.get('app')!.requests
  t.equal(sent!.header('x-seen'), 'GET|/a?b=c|/a|b=c|test|http|HTTP/1.1|web|127.0.0.1|1, 3||')
  t.equal(sent!.header('x-route'), '|app')
  t.equal(sent!.header('x-count'), '1')
  t.equal(sent!.header('x-two'), undefined)
  t.equal(sent!.header('x-sent'), '/a?b=c|test||app')
  await request(port, get('/r/x'))
  const [ruled] = targets.get('other')!.requests
  t.equal(ruled!.header('x-route'), 'r|other')
  t.equal(ruled!.header('x-sent'), '/new/x|test|r|other')
  const [line] = await balancer.accessRecords(2)
  t.match(line, { status: 200, plugins: { all: { status: 200, group: 'app', target: '/a?b=c', slow: false } } })
  t.notMatch(line, { plugin: String })
  const metrics = await balancer.metrics()
  t.equal(metrics.sum('castor_plugin_calls_total', 'plugin="all"', 'phase="onRequest"'), 2)
  t.equal(metrics.sum('castor_plugin_failures_total'), 0)
})

t.test('each phase may answer, at once or later, and the connection goes on', async (t) => {
  const folder = pluginFolder(t)
  const answer = `({ status: 418, headers: { 'x-by': [request.header('x-phase'), 'plug-in'] }, body: 'tea' })`
  const act = (phase: string) => `(request) => {
    if (request.header('x-phase') !== '${phase}') return
    return request.header('x-later') === '1' ? new Promise((resolve) => setImmediate(resolve, ${answer})) : ${answer}
  }`
  const module = writePlugin(
    folder,
    `{
    name: 'tea',
    onRequest: ${act('onRequest')},
    onRoute: ${act('onRoute')},
    onRequestHead: ${act('onRequestHead')},
    onResponseHead: (response, request) => (${act('onResponseHead')})(request),
  }`,
  )
  const { port, balancer, targets } = await startRouting(t, ['app'], [], {
    more: { plugins: [module] },
    accessLog: true,
    listener: { http2: true },
  })
  targets.get('app')!.script = {
    answer: (_asked, connection) => connection.write(ok('app')),
    onHead({ startLine }, connection) {
      if (!startLine.startsWith('POST')) return true
      connection.write(ok('early'))
      return false
    },
  }
  const client = await RawClient.connect(port)
  const session = await connectTo(t, port)
  let count = 0
  for (const phase of ['onRequest', 'onRoute', 'onRequestHead', 'onResponseHead']) {
    for (const later of ['0', '1']) {
      const lines = [`x-phase: ${phase}`, `x-later: ${later}`]
      const what = `${phase} ${later}`
      const answer = await client.exchange(get('/', lines))
      t.equal(answer.status, 418, what)
      t.equal(answer.text, 'tea', what)
      t.equal(answer.header('content-type'), 'text/plain; charset=utf-8')
      t.equal(answer.header('content-length'), '3')
      const bare = await client.exchange(get('/', lines, 'HEAD'))
      t.equal(bare.status, 418, `HEAD ${what}`)
      t.equal((await client.exchange(get('/'))).text, 'app', `after ${what}`)
      // A body that is never sent whole, behind an answer that does not wait for it.
      const upload = await RawClient.connect(port)
      upload.send(`POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n${lines.join('\r\n')}\r\n\r\nhalf`)
      const early = await upload.response('POST')
      t.equal(early.status, 418, `upload ${what}`)
      t.equal(early.header('connection'), 'close')
      upload.close()
      const stream = session.request({ ':path': '/', 'x-phase': phase, 'x-later': later })
      stream.end()
      const streamed = await answerOf(stream)
      t.equal(streamed.status, 418, `h2 ${what}`)
      t.equal(streamed.body.toString(), 'tea', `h2 ${what}`)
      t.equal(streamed.headers['x-by'], `${phase}, plug-in`)
      const posted = session.request({ ':path': '/', ':method': 'POST', 'x-phase': phase, 'x-later': later })
      posted.write('half')
      t.equal((await answerOf(posted)).status, 418, `h2 upload ${what}`)
      const socket = await RawClient.connect(port)
      socket.send(
        get('/', [
          ...lines,
          'Connection: upgrade',
          'Upgrade: websocket',
          'Sec-WebSocket-Version: 13',
          'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
        ]),
      )
      t.equal((await socket.response()).status, 418, `upgrade ${what}`)
      socket.close()
      count += 7
    }
  }
  const lines = await balancer.accessRecords(count)
  t.equal(lines.filter((line) => line.plugin === 'tea').length, 6 * 8)
  const answered = lines.find((line) => line.plugin === 'tea')
  t.match(answered, { status: 418, reason: null })
  client.close()
  session.destroy()
})

t.test('a body is sent on whole behind a plug-in that took its time, however it comes', async (t) => {
  const folder = pluginFolder(t)
  const module = writePlugin(
    folder,
    `{ name: 'slow', async onRequest(request) { await new Promise((r) => setTimeout(r, Number(request.header('x-wait')))) } }`,
  )
  const { port, targets } = await startRouting(t, ['app'], [], {
    more: { plugins: [module] },
    listener: { http2: true },
  })
  const body = 'x'.repeat(200_000)
  const client = await RawClient.connect(port)
  const head = (wait: number, framing: string) => `POST /p HTTP/1.1\r\nHost: h\r\nx-wait: ${wait}\r\n${framing}\r\n\r\n`
  t.equal((await client.exchange(head(20, `Content-Length: ${body.length}`) + body)).text, 'app')
  client.send(head(30, `Content-Length: ${body.length}`))
  client.send(body.slice(0, 10))
  setTimeout(() => client.send(body.slice(10)), 60)
  t.equal((await client.response('POST')).text, 'app')
  t.equal((await client.exchange(`${head(20, 'Transfer-Encoding: chunked')}5\r\nhello\r\n0\r\n\r\n`)).text, 'app')
  // The next request is there before this one has begun.
  client.send(get('/one', ['x-wait: 20']) + get('/two', ['x-wait: 1']) + get('/three', ['x-wait: 0']))
  for (const _ of [1, 2, 3]) t.equal((await client.response()).text, 'app')
  const session = await connectTo(t, port)
  const stream = session.request({ ':path': '/h2', ':method': 'POST', 'x-wait': '20' })
  stream.write(body)
  stream.end(body)
  t.equal((await answerOf(stream)).body.toString(), 'app')
  const { requests } = targets.get('app')!
  t.same(
    requests.map(({ target, body }) => [target, body.length]),
    [
      ['/p', 200_000],
      ['/p', 200_000],
      ['/p', 5],
      ['/one', 0],
      ['/two', 0],
      ['/three', 0],
      ['/h2', 400_000],
    ],
  )
  client.close()
})

t.test('a plug-in that fails answers 500 or is passed over, by its policy, and is counted', async (t) => {
  const folder = pluginFolder(t)
  const source = (name: string) => `{
    name: '${name}',
    deadlineMs: 30,
    onRequest(request) {
      switch (request.header('x-fail')) {
        case 'throw': throw new Error('thrown on purpose')
        case 'reject': return Promise.reject(new Error('rejected on purpose'))
        case 'hang': return new Promise(() => {})
        case 'answer': return { status: 99 }
        case 'split': return { status: 200, headers: { 'x-a': 'b\\r\\nset-cookie: c' } }
        case 'frame': return { status: 200, headers: { 'Content-Length': '5' } }
        case 'smuggle': request.setHeader('transfer-encoding', 'chunked'); return
        case 'hop': request.setHeader('Connection', 'x'); return
        case 'look-alike': request.setHeader('content_length', '7'); return
        case 'nul': request.setHeader('x-a', 'a\\0b'); return
        case 'name': request.setHeader('x a', 'b'); return
        case 'wide': request.setHeader('x-a', '\\u0100'); return
        case 'group': request.chooseTargetGroup('nowhere'); return
        case 'huge': for (let i = 0; i < 10; i++) request.addHeader('x-a', 'a'.repeat(8000)); return
      }
    },
    onResponseHead(response, request) {
      switch (request.header('x-fail')) {
        case 'response-throw': throw new Error('thrown on purpose')
        case 'response-hang': return new Promise(() => {})
        case 'response-frame': response.setHeader('Content-Length', '1'); return
        case 'response-split': response.setHeader('x-b', 'a\\nb'); return
      }
    },
  }`
  const closed = writePlugin(folder, source('shut'), '', 'closed.mjs')
  const open = writePlugin(folder, source('wide'), '', 'open.mjs')
  const kinds: readonly (readonly [string, string])[] = [
    ['throw', 'threw'],
    ['reject', 'threw'],
    ['hang', 'timeout'],
    ['answer', 'invalid'],
    ['split', 'invalid'],
    ['frame', 'invalid'],
    ['smuggle', 'threw'],
    ['hop', 'threw'],
    ['look-alike', 'threw'],
    ['nul', 'threw'],
    ['name', 'threw'],
    ['wide', 'threw'],
    ['group', 'invalid'],
    ['huge', 'threw'],
    ['response-throw', 'threw'],
    ['response-hang', 'timeout'],
    ['response-frame', 'threw'],
    ['response-split', 'threw'],
  ]
  for (const [module, policy] of [
    [closed, 'closed'],
    [open, 'open'],
  ] as const) {
    const { port, balancer } = await startRouting(t, ['app'], [], {
      more: { plugins: [{ module, failurePolicy: policy }] },
      accessLog: true,
      listener: { http2: true },
    })
    const session = await connectTo(t, port)
    for (const [how] of kinds) {
      const client = await RawClient.connect(port)
      const answer = await client.exchange(get('/', [`x-fail: ${how}`]))
      t.equal(answer.status, policy === 'closed' ? 500 : 200, `${policy} ${how}`)
      t.equal((await client.exchange(get('/'))).text, 'app', `the connection goes on after ${how}`)
      client.close()
      const stream = session.request({ ':path': '/', 'x-fail': how })
      stream.end()
      t.equal((await answerOf(stream)).status, policy === 'closed' ? 500 : 200, `h2 ${policy} ${how}`)
    }
    const grpc = session.request({
      ':path': '/s/m',
      ':method': 'POST',
      'content-type': 'application/grpc',
      te: 'trailers',
      'x-fail': 'throw',
    })
    grpc.end()
    if (policy === 'closed') t.match((await answerOf(grpc)).headers, { ':status': 200, 'grpc-status': '2' })
    const lines = await balancer.accessRecords(kinds.length * 3)
    const failed = lines.filter(({ reason }) => reason === 'PLUGIN_FAILED')
    if (policy === 'closed') t.ok(failed.length >= kinds.length * 2)
    else t.equal(failed.length, 0)
    if (policy === 'closed') t.match(failed[0], { status: 500, plugin: 'shut' })
    const metrics = await balancer.metrics()
    for (const kind of ['threw', 'timeout', 'invalid']) {
      const wanted = kinds.filter(([, each]) => each === kind).length * 2 + (kind === 'threw' ? 1 : 0)
      t.equal(metrics.sum('castor_plugin_failures_total', `kind="${kind}"`), wanted, `${policy} ${kind}`)
    }
    t.ok(balancer.log.some((line) => line.includes('a plug-in failed') && line.includes('thrown on purpose')))
    session.destroy()
  }
})

t.test('a client that leaves while a plug-in is waited for cancels it', async (t) => {
  const folder = pluginFolder(t)
  const module = writePlugin(
    folder,
    `{
    name: 'waits',
    setup: () => ({ aborted: 0 }),
    deadlineMs: 60_000,
    onRequest(request, { state }) {
      if (request.path === '/aborted') return { status: 200, body: String(state.aborted) }
      return new Promise((resolve) => request.signal.addEventListener('abort', () => { state.aborted++; resolve() }))
    },
  }`,
  )
  const { port, targets, balancer } = await startRouting(t, ['app'], [], {
    more: { plugins: [module] },
    accessLog: true,
    listener: { http2: true },
  })
  const aborted = async (): Promise<number> => Number((await request(port, get('/aborted'))).text)
  const reset = await RawClient.connect(port)
  reset.send(get('/reset'))
  const uploading = await RawClient.connect(port)
  uploading.send('POST /half HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n')
  const session = await connectTo(t, port)
  const stream = session.request({ ':path': '/h2' })
  stream.end()
  await eventually('three requests wait', async () => {
    const metrics = await balancer.metrics()
    return metrics.sum('castor_plugin_calls_total', 'phase="onRequest"') >= 3
  })
  reset.reset()
  uploading.half()
  stream.close(8)
  await eventually('all are cancelled', async () => (await aborted()) === 3)
  t.equal(targets.get('app')!.requests.length, 0)
  const left = (await balancer.accessRecords(4)).filter(({ status }) => status === 499)
  t.equal(left.length, 3)
  uploading.close()
  session.destroy()
})

t.test('two hundred requests that wait go on in the order in which their plug-ins let them', async (t) => {
  const folder = pluginFolder(t)
  const module = writePlugin(
    folder,
    `{
    name: 'shuffle',
    setup: () => ({ waiting: [] }),
    deadlineMs: 30_000,
    onRequest(request, { state }) {
      return new Promise((resolve) => {
        state.waiting.push(resolve)
        if (state.waiting.length < 200) return
        const all = state.waiting.splice(0)
        for (let i = all.length - 1; i > 0; i--) {
          const j = (i * 7919 + 13) % (i + 1)
          ;[all[i], all[j]] = [all[j], all[i]]
        }
        for (const go of all) go()
      })
    },
  }`,
  )
  const { port, targets } = await startRouting(t, ['app'], [], {
    more: { plugins: [module] },
    listener: { http2: true },
  })
  targets.get('app')!.script = {
    answer: (asked, connection) =>
      connection.write(`HTTP/1.1 200 OK\r\ncontent-length: ${asked.target.length}\r\n\r\n${asked.target}`),
  }
  const session = await connectTo(t, port)
  const streams = Array.from({ length: 100 }, (_, index) => {
    const stream = session.request({ ':path': `/s${index}` })
    stream.end()
    return answerOf(stream)
  })
  const clients = await Promise.all(Array.from({ length: 100 }, () => RawClient.connect(port)))
  const answers = clients.map((client, index) => client.exchange(get(`/c${index}`)))
  t.same(
    (await Promise.all(answers)).map(({ text }) => text),
    clients.map((_, index) => `/c${index}`),
  )
  t.same(
    (await Promise.all(streams)).map(({ body }) => body.toString()),
    streams.map((_, index) => `/s${index}`),
  )
  for (const client of clients) client.close()
  session.destroy()
})

t.test('a plug-in that rules name is asked for their requests alone, and may choose a group', async (t) => {
  const folder = pluginFolder(t)
  const module = writePlugin(
    folder,
    `{ name: 'ab', onRoute(request) { if (request.header('x-side') === 'b') request.chooseTargetGroup('b') }, onResponseHead(response) { response.setHeader('x-ab', '1') } }`,
  )
  const early = writePlugin(
    folder,
    `{ name: 'early', onRequest(request) { if (request.header('x-early')) request.chooseTargetGroup('c') } }`,
    '',
    'early.mjs',
  )
  const { port } = await startRouting(
    t,
    ['a', 'b', 'c'],
    [
      {
        name: 'lab',
        match: { path: '/lab/*' },
        forward: 'a',
        plugins: ['ab'],
        responseHeaders: { set: { 'x-rule': '${rule} ${target_group}' } },
      },
      { name: 'away', match: { path: '/away' }, redirect: { host: 'elsewhere' }, plugins: ['ab'] },
    ],
    {
      more: {
        plugins: [
          { module, targetGroups: ['b'] },
          { module: early, targetGroups: ['c'] },
        ],
      },
    },
  )
  const lab = await request(port, get('/lab/x', ['x-side: b']))
  t.equal(lab.text, 'b')
  t.equal(lab.header('x-rule'), 'lab b')
  t.equal(lab.header('x-ab'), '1')
  t.equal((await request(port, get('/lab/x'))).text, 'a')
  const other = await request(port, get('/other', ['x-side: b']))
  t.equal(other.text, 'a')
  t.equal(other.header('x-ab'), undefined)
  t.equal((await request(port, get('/away'))).status, 302)
  t.equal((await request(port, get('/away', ['x-side: b']))).text, 'b', 'in place of the redirect')
  t.equal((await request(port, get('/lab/x', ['x-early: 1']))).text, 'c')
})

t.test('what a plug-in leaves behind and throws later ends no thread', async (t) => {
  const folder = pluginFolder(t)
  const module = writePlugin(
    folder,
    `{
    name: 'messy',
    onRequest(request) {
      if (request.path === '/timer') setTimeout(() => { throw new Error('from a timer') }, 1)
      if (request.path === '/promise') void Promise.reject(new Error('from a promise'))
      if (request.path === '/emitter') setTimeout(() => import('node:net').then((net) => net.connect(1, '127.0.0.1')), 1)
    },
  }`,
  )
  const { port, balancer } = await startRouting(t, ['app'], [], { more: { plugins: [module] } })
  const open = await RawClient.connect(port)
  t.equal((await open.exchange(get('/'))).text, 'app')
  for (const path of ['/timer', '/promise', '/emitter']) t.equal((await request(port, get(path))).text, 'app')
  await eventually('they are counted', async () => {
    const metrics = await balancer.metrics()
    return metrics.sum('castor_plugin_failures_total', 'plugin="messy"', 'phase="none"', 'kind="uncaught"') === 3
  })
  t.equal((await open.exchange(get('/'))).text, 'app', 'on the connection from before')
  t.notOk(balancer.log.some((line) => line.includes('died')))
  open.close()
})
