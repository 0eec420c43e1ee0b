import t from 'tap'
import { type CastorOptions, castorBefore, startTestCastor, type Test } from './support/castor.js'
import { answerOf, ask, connectTo, Http2Target } from './support/http2-peers.js'
import { get, RawClient, request } from './support/raw-client.js'
import { answer, ok, RawTarget, type Script } from './support/raw-target.js'
import { eventually } from './support/waiting.js'

const H2C = { listener: { http2: true } } as const

/** Authenticates a connection by the first credentials that come on it, as NTLM does, and asks for them until then. */
function authenticating(challenge = 'WWW-Authenticate: NTLM', status = '401 Unauthorized'): Script {
  const users = new Map<number, string>()
  return {
    answer: (request, connection) => {
      const user = users.get(connection.index) ?? request.header('authorization')?.split(' ')[1]
      if (user === undefined) {
        connection.write(answer(status, [challenge, 'Content-Length: 0']))
      } else {
        users.set(connection.index, user)
        connection.write(ok(`hello ${user}`))
      }
    },
  }
}

const login = (scheme: string): string => get('/', [`Authorization: ${scheme} alice`])

async function client(t: Test, port: number): Promise<RawClient> {
  const opened = await RawClient.connect(port)
  t.teardown(() => opened.close())
  return opened
}

t.test('a connection that NTLM or Negotiate authenticated serves no other client', async (t) => {
  for (const scheme of ['NTLM', 'Negotiate', 'nTlM']) {
    const { target, port } = await castorBefore(t, authenticating(`WWW-Authenticate: ${scheme}`))
    const alice = await client(t, port)
    t.equal((await alice.exchange(login(scheme))).text, 'hello alice')
    t.equal((await request(port, get())).status, 401, 'somebody else is nobody')
    t.equal((await alice.exchange(get('/again'))).text, 'hello alice', 'the login holds for her connection')
    t.same(target.boundaries[0], ['GET /', 'GET /again'])
    alice.close()
    await target.connections[0]!.ending()
    t.equal((await request(port, get())).status, 401)
  }
})

for (const challenge of [
  'WWW-Authenticate: Basic realm="a, b", nEgotiate',
  'WWW-Authenticate: Negotiate\r\nWWW-Authenticate: Basic realm="a"',
  'Proxy-Authenticate: Digest realm="a" , NTLM',
]) {
  const status = challenge.startsWith('P') ? '407 Proxy Authentication Required' : '401 Unauthorized'
  t.test(`a challenge alone binds the connection: ${challenge.replaceAll('\r\n', ' / ')}`, async (t) => {
    const { target, port } = await castorBefore(t, authenticating(challenge, status))
    const alice = await client(t, port)
    await alice.exchange(get('/1'))
    await request(port, get('/2'))
    await alice.exchange(get('/3'))
    t.same(target.boundaries, [['GET /1', 'GET /3'], ['GET /2']])
  })
}

t.test('credentials alone bind the connection, and so does a challenge that comes before the answer', async (t) => {
  const early = 'HTTP/1.1 103 Early Hints\r\nWWW-Authenticate: Negotiate\r\n\r\n'
  for (const [what, lines, before] of [
    ['credentials', ['Authorization: Negotiate YII='], ''],
    ['an early challenge', [], early],
  ] as const) {
    const script: Script = { answer: (_, connection) => connection.write(before + ok('hello')) }
    const { target, port } = await castorBefore(t, script)
    const alice = await client(t, port)
    await alice.exchange(get('/1', lines))
    await request(port, get('/2'))
    await alice.exchange(get('/3'))
    t.same(target.boundaries, [['GET /1', 'GET /3'], ['GET /2']], what)
  }
})

t.test('schemes that authenticate a request leave the connection to everybody', async (t) => {
  const { target, port } = await castorBefore(t, authenticating('WWW-Authenticate: Basic realm="NTLM"'))
  await request(port, get('/1'))
  await request(port, get('/2'))
  await request(port, get('/', ['Authorization: Bearer ntlm']))
  t.equal(target.connections.length, 1)
})

t.test('a client goes back to the target that it authenticated with, beside others and under a limit', async (t) => {
  for (const group of [{ algorithm: 'round-robin' }, { algorithm: 'round-robin', maxConnectionsPerTarget: 5 }]) {
    const targets = await Promise.all([RawTarget.start(authenticating()), RawTarget.start(authenticating())])
    t.teardown(() => Promise.all(targets.map((target) => target.stop())))
    const castor = await startTestCastor(
      t,
      targets.map(({ address }) => address),
      { group },
    )
    const alice = await client(t, castor.port)
    await alice.exchange(login('NTLM'))
    for (let i = 0; i < 4; i++) t.equal((await alice.exchange(get())).text, 'hello alice')
  }
})

t.test('a target that closes an authenticated connection is asked anew', async (t) => {
  const { target, port } = await castorBefore(t, authenticating())
  const alice = await client(t, port)
  await alice.exchange(login('NTLM'))
  target.connections[0]!.end()
  await target.connections[0]!.ending()
  t.equal((await alice.exchange(get())).status, 401)
  t.equal(target.connections.length, 2)
})

t.test('authenticated connections are counted until they close', async (t) => {
  const { castor, target, port } = await castorBefore(t, authenticating())
  const name = 'castor_target_connections_active{target_group="app",target="0"}'
  const open = async (): Promise<number> => {
    const metrics = await castor.metrics()
    return [...metrics].filter(([key]) => key.startsWith(name.split('{')[0]!)).reduce((sum, [, n]) => sum + n, 0)
  }
  const alice = await client(t, port)
  await alice.exchange(login('NTLM'))
  t.equal(await open(), 1)
  alice.close()
  await target.connections[0]!.ending()
  await eventually('none is open', async () => (await open()) === 0)
})

t.test('a client that will not stay takes its authenticated connection along', async (t) => {
  const { target, port } = await castorBefore(t, authenticating())
  const alice = await client(t, port)
  await alice.exchange(get('/', ['Connection: close', 'Authorization: NTLM alice']))
  await target.connections[0]!.ending()
  t.equal((await request(port, get())).status, 401)
})

t.test('by HTTP/2, the streams of a client share its login, and other clients do not', async (t) => {
  const { target, port } = await castorBefore(t, authenticating(), H2C)
  const alice = await connectTo(t, port)
  const bob = await connectTo(t, port)
  t.equal(String((await ask(alice, { authorization: 'NTLM alice' })).body), 'hello alice')
  t.equal((await ask(bob)).status, 401)
  t.equal(String((await ask(alice)).body), 'hello alice')
  t.equal((await request(port, get())).status, 401)
  alice.destroy()
  await target.connections[0]!.ending()
})

/** Authenticates its HTTP/2 connections; RFC 9113 does not forbid it. */
async function authenticatingHttp2(t: Test, options: CastorOptions = {}) {
  const users = new Map<unknown, string>()
  const target = await Http2Target.start(t, (stream, headers) => {
    const user = users.get(stream.session) ?? headers.authorization?.split(' ')[1]
    if (user !== undefined) users.set(stream.session, user)
    stream.respond({ ':status': user === undefined ? 401 : 200, 'www-authenticate': 'Negotiate' })
    stream.end(user === undefined ? '' : `hello ${user}`)
  })
  const castor = await startTestCastor(t, [target.address], { ...options, group: { protocol: 'h2c' } })
  return { port: castor.port, target }
}

t.test('an HTTP/2 connection to a target on which somebody authenticated takes no other request', async (t) => {
  const { port, target } = await authenticatingHttp2(t)
  t.equal((await request(port, get())).status, 401)
  const alice = await client(t, port)
  t.equal((await alice.exchange(login('Negotiate'))).text, 'hello alice')
  t.equal((await request(port, get())).status, 401)
  t.ok(target.sessions.length >= 2)
  await eventually('retired connections are closed', () => target.openSessions === 0)
})

t.test('the same from HTTP/2 to HTTP/2, with streams at once', async (t) => {
  const { port } = await authenticatingHttp2(t, H2C)
  const session = await connectTo(t, port)
  const answers = await Promise.all(
    Array.from({ length: 10 }, (_, i) =>
      answerOf(session.request({ ':path': `/${i}`, authorization: `Negotiate user${i}` }, { endStream: true })),
    ),
  )
  t.equal(answers.filter(({ status }) => status === 200).length, 10)
  t.equal((await ask(await connectTo(t, port))).status, 401)
})
