import t from 'tap'
import { castorBefore, startTestCastor } from './support/castor.js'
import { get, RawClient, request } from './support/raw-client.js'
import { ok, RawTarget, type TargetConnection } from './support/raw-target.js'
import { refusingAddress, silentAddress } from './support/tcp-peers.js'
import { timed } from './support/waiting.js'

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'BREW']

t.test('a pooled connection that the target closes as a GET comes is replaced, and nobody notices', async (t) => {
  for (const how of ['end', 'reset'] as const) {
    let served = 0
    const { castor, target, port } = await castorBefore(
      t,
      {
        answer: (request, connection) => {
          // The second request finds the connection closing: it is read and dropped, as by a server that had just given up.
          if (++served === 2) connection[how]()
          else connection.write(ok(request.target))
        },
      },
      { accessLog: true },
    )
    const client = await RawClient.connect(port)
    t.teardown(() => client.close())
    for (const path of ['/1', '/2', '/3']) t.match(await client.exchange(get(path)), { status: 200, text: path }, how)
    t.same(
      target.boundaries,
      [
        ['GET /1', 'GET /2'],
        ['GET /2', 'GET /3'],
      ],
      how,
    )
    const records = await castor.accessRecords(3)
    t.same(
      records.map(({ status, reason }) => [status, reason]),
      [
        [200, null],
        [200, null],
        [200, null],
      ],
    )
    t.equal((await castor.metrics()).get('castor_retries_total'), 1)
  }
})

t.test('only one retry on a fresh connection: a target that always closes is a failure', async (t) => {
  const { target, port } = await castorBefore(t, {
    answer: (request, connection) => {
      if (request.target === '/fine') connection.write(ok())
      else connection.end()
    },
  })
  await request(port, get('/fine'))
  t.equal((await request(port, get('/bad'))).status, 502)
  t.same(target.boundaries, [['GET /fine', 'GET /bad'], ['GET /bad']])
})

t.test('a request that meets old connections at every target is sent once more, and elsewhere once', async (t) => {
  let broken = false
  const script = {
    answer: (_: unknown, connection: TargetConnection) => (broken ? connection.reset() : connection.write(ok())),
  }
  const targets = await Promise.all(Array.from({ length: 4 }, () => RawTarget.start(script)))
  for (const target of targets) t.teardown(() => target.stop())
  const { port } = await startTestCastor(
    t,
    targets.map(({ address }) => address),
  )
  // An idle connection to each.
  for (let n = 0; n < 4; n++) t.equal((await request(port, get())).status, 200)
  broken = true
  t.equal((await request(port, get('/asked'))).status, 502)
  const asked = targets.map(({ requests }) => requests.filter(({ target }) => target === '/asked').length)
  t.same(asked.sort(), [0, 0, 1, 2])
})

t.test('requests that meet old connections are sent again as far as the budget for retries goes', async (t) => {
  const served = new Set<number>()
  const { castor, port } = await castorBefore(t, {
    answer: ({ connection: number }, connection) => {
      if (served.has(number)) connection.reset()
      else connection.write(ok())
      served.add(number)
    },
  })
  // Each request after the first finds the connection of the one before, and loses it.
  const statuses: number[] = []
  for (let n = 0; n < 200; n++) statuses.push((await request(port, get())).status)
  const retries = (await castor.metrics()).get('castor_retries_total')!
  t.ok(retries <= 200 * 0.2 + 30, `${retries} retries of 200 requests`)
  t.ok(statuses.includes(502))
})

t.test('a POST that the target may have acted on is not sent twice', async (t) => {
  let served = 0
  const { target, port } = await castorBefore(t, {
    answer: (_, connection) => {
      if (++served === 2) connection.end()
      else connection.write(ok())
    },
  })
  await request(port, get('/1'))
  const response = await request(port, get('/2', ['Content-Length: 0'], 'POST'))
  t.equal(response.status, 502)
  t.match(response.text, /^502 Bad Gateway \(request [0-9a-f]{32}\)\n$/)
  t.same(target.boundaries, [['GET /1', 'POST /2']])
})

t.test('a POST finds a fresh connection where the target has closed the idle one', async (t) => {
  const { target, port } = await castorBefore(t)
  await request(port, get('/1'))
  target.connections[0]!.end()
  await target.connections[0]!.ending()
  t.equal((await request(port, `${get('/2', ['Content-Length: 2'], 'POST')}hi`)).text, '/2')
  t.same(target.boundaries, [['GET /1'], ['POST /2']])
})

t.test(
  'a PUT that meets the end of an old connection is sent again with its body, as far as that is kept',
  async (t) => {
    let served = 0
    const { target, port } = await castorBefore(t, {
      answer: (_, connection) => {
        if (++served === 2) connection.end()
        else connection.write(ok())
      },
    })
    await request(port, get('/1'))
    t.equal((await request(port, `${get('/2', ['Content-Length: 4'], 'PUT')}body`)).status, 200)
    t.same(target.boundaries, [['GET /1', 'PUT /2'], ['PUT /2']])
    t.same(
      target.requests.map(({ text }) => text),
      ['', 'body', 'body'],
    )
    served = 1
    const long = 'x'.repeat(10_000)
    t.equal((await request(port, `${get('/3', ['Content-Length: 10000'], 'PUT')}${long}`)).status, 502)
    t.equal(target.requests.length, 4, 'a long one is sent once')
  },
)

t.test('nothing is sent twice once part of an answer has come', async (t) => {
  const { target, port } = await castorBefore(t, { answer: (_, connection) => connection.end('HTTP/1.1 200 O') })
  t.equal((await request(port, get())).status, 502)
  t.equal(target.requests.length, 1)
})

t.test('a reset before the response is tried on another target where that is safe', async (t) => {
  const bad = await RawTarget.start({ answer: (_, connection) => connection.reset() })
  const good = await RawTarget.start({ answer: (request, connection) => connection.write(ok(request.text)) })
  t.teardown(() => Promise.all([bad.stop(), good.stop()]))
  const { port } = await startTestCastor(t, [bad.address, good.address])
  for (let i = 0; i < 6; i++) t.equal((await request(port, get())).status, 200)
  t.ok(bad.requests.length >= 3, 'half of them went to the bad one first')
  const posts = await Promise.all(
    Array.from({ length: 6 }, () => request(port, `${get('/', ['Content-Length: 2'], 'POST')}hi`)),
  )
  t.same(posts.map(({ status }) => status).sort(), [200, 200, 200, 502, 502, 502])
})

t.test('a refused connection is tried on another target, for every method and body', async (t) => {
  const target = await RawTarget.start({ answer: (request, connection) => connection.write(ok(request.text)) })
  t.teardown(() => target.stop())
  const castor = await startTestCastor(t, [await refusingAddress(), target.address], { accessLog: true })
  for (const method of METHODS) {
    for (let i = 0; i < 2; i++) {
      const response = await request(castor.port, `${get('/', ['Content-Length: 4'], method)}body`, method)
      t.equal(response.status, 200, method)
      if (method !== 'HEAD') t.equal(response.text, 'body', method)
    }
  }
  t.equal(target.requests.length, METHODS.length * 2)
  const records = await castor.accessRecords(METHODS.length * 2)
  t.ok(records.every(({ target: id }) => id === target.address))
  t.ok((await castor.metrics()).get('castor_retries_total')! >= METHODS.length, 'at least every other one met the dead')
})

t.test('two dead targets of three: every request finds the third', async (t) => {
  const target = await RawTarget.start()
  t.teardown(() => target.stop())
  const { port } = await startTestCastor(t, [await refusingAddress(), target.address, await refusingAddress()], {
    group: { retries: { attempts: 2, budgetPercent: 100 } },
  })
  for (let i = 0; i < 12; i++) t.equal((await request(port, get())).status, 200)
})

t.test('all targets dead: 502, and the connection stays', async (t) => {
  const { port } = await startTestCastor(t, [await refusingAddress(), await refusingAddress()])
  const client = await RawClient.connect(port)
  t.teardown(() => client.close())
  for (const method of METHODS) {
    const response = await client.exchange(get('/', [], method))
    t.equal(response.status, 502, method)
    t.equal(response.header('connection'), undefined, method)
  }
  const posted = await client.exchange(`${get('/', ['Content-Length: 4'], 'POST')}body`)
  t.equal(posted.status, 502)
  t.equal(posted.header('connection'), 'close', 'the body was left unread')
  t.equal(await client.ending(), 'end')
})

t.test('retries: off leaves the first failure standing', async (t) => {
  const target = await RawTarget.start()
  t.teardown(() => target.stop())
  const { port } = await startTestCastor(t, [await refusingAddress(), target.address], { group: { retries: 'off' } })
  const statuses: number[] = []
  for (let i = 0; i < 4; i++) statuses.push((await request(port, get())).status)
  t.same(statuses.sort(), [200, 200, 502, 502])
})

t.test('the retry budget bounds what a failing target may cost', async (t) => {
  const target = await RawTarget.start()
  t.teardown(() => target.stop())
  const castor = await startTestCastor(t, [await refusingAddress(), target.address], {
    group: { retries: { budgetPercent: 0 } },
  })
  const client = await RawClient.connect(castor.port)
  t.teardown(() => client.close())
  let failed = 0
  for (let i = 0; i < 100; i++) if ((await client.exchange(get())).status === 502) failed++
  t.equal((await castor.metrics()).get('castor_retries_total'), 30, 'three a second, over ten seconds')
  t.ok(failed >= 20, `${failed} failed`)
})

t.test('no target has weight: 503 with Retry-After', async (t) => {
  const target = await RawTarget.start()
  t.teardown(() => target.stop())
  const castor = await startTestCastor(t, [{ address: target.address, weight: 0 }], { accessLog: true })
  const client = await RawClient.connect(castor.port)
  t.teardown(() => client.close())
  for (let i = 0; i < 3; i++) {
    const response = await client.exchange(get())
    t.equal(response.status, 503)
    t.match(response.header('retry-after'), /^[1-9]\d*$/)
    t.equal(response.header('connection'), undefined)
  }
  client.send(get().repeat(50))
  for (let i = 0; i < 50; i++) t.equal((await client.response()).status, 503)
  t.equal(target.connections.length, 0)
  t.match((await castor.accessRecords(1))[0], { reason: 'NO_TARGET', target: null, target_status: null })
})

t.test('a target that does not take the connection: 504 after timeouts.connect', async (t) => {
  const silent = await silentAddress(t)
  const castor = await startTestCastor(t, [silent], { group: { timeouts: { connect: '200ms' } }, accessLog: true })
  const { value: response, ms } = await timed(request(castor.port, get()))
  t.equal(response.status, 504)
  t.ok(ms >= 180 && ms < 1_500, `after ${Math.round(ms)} ms`)
  t.match(await castor.accessRecords(1), [{ reason: 'CONNECT_TIMEOUT' }])
})

t.test('a connect timeout is tried elsewhere as well', async (t) => {
  const target = await RawTarget.start()
  t.teardown(() => target.stop())
  const { port } = await startTestCastor(t, [await silentAddress(t), target.address], {
    group: { timeouts: { connect: '100ms' } },
  })
  for (let i = 0; i < 2; i++) t.equal((await request(port, get('/', ['Content-Length: 0'], 'POST'))).status, 200)
})

t.test('a target that does not answer: 504 after timeouts.response, and it is told by a close', async (t) => {
  const { castor, target, port } = await castorBefore(
    t,
    { answer: () => {} },
    { group: { timeouts: { response: '300ms' } }, accessLog: true },
  )
  const client = await RawClient.connect(port)
  t.teardown(() => client.close())
  const { value: response, ms } = await timed(client.exchange(get()))
  t.equal(response.status, 504)
  t.ok(ms >= 280 && ms < 1_500, `after ${Math.round(ms)} ms`)
  await target.connections[0]!.ending(500)
  t.equal(target.requests.length, 1, 'no retry: it may be at work')
  t.match(await castor.accessRecords(1), [{ reason: 'RESPONSE_TIMEOUT', target: target.address, target_status: null }])
  target.script = {}
  t.equal((await client.exchange(get())).status, 200, 'the client’s connection goes on')
})

t.test('timeouts.response is about the head: a slow body is timed by idleTimeout', async (t) => {
  const { port } = await castorBefore(
    t,
    {
      answer: async (_, connection) => {
        connection.write('HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n')
        for (let i = 0; i < 8; i++) {
          await new Promise((resolve) => setTimeout(resolve, 50))
          connection.write('x')
        }
      },
    },
    { group: { timeouts: { response: '200ms' } } },
  )
  t.equal((await request(port, get())).text, 'xxxxxxxx')
})
