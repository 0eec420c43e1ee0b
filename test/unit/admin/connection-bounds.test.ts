import { once } from 'node:events'
import { request } from 'node:http'
import { connect, type Socket } from 'node:net'
import t from 'tap'
import { sourceOf } from '../../../src/admin/connection-bounds.js'
import { ADMIN_TIMEOUTS, type Admin, type AdminTimeouts, startAdmin } from '../../../src/admin/server.js'
import { eventually, within } from '../../integration/support/waiting.js'
import { FakeFacts } from './fake-facts.js'

/** More than an address takes at once. */
const MANY = 200

async function start(
  t: { teardown(end: () => unknown): unknown },
  timeouts: AdminTimeouts = ADMIN_TIMEOUTS,
): Promise<Admin> {
  const facts = new FakeFacts()
  const admin = await startAdmin({ config: facts.config.admin, facts, timeouts })
  t.teardown(() => admin.close())
  return admin
}

/** Connections that each send `text` and nothing more. */
async function flood(
  t: { teardown(end: () => unknown): unknown },
  admin: Admin,
  text: string,
  localAddress = '127.0.0.1',
): Promise<Socket[]> {
  const sockets = Array.from({ length: MANY }, () => connect({ host: admin.address, port: admin.port, localAddress }))
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
  })
  for (const socket of sockets) socket.on('error', () => {})
  await Promise.all(sockets.map((socket) => once(socket, 'connect')))
  if (text !== '') for (const socket of sockets) if (!socket.destroyed) socket.write(text)
  return sockets
}

const open = (sockets: readonly Socket[]): number => sockets.filter(({ closed }) => !closed).length

function statusOf(admin: Admin, path: string, localAddress = '127.0.0.1'): Promise<number> {
  return new Promise((resolve, reject) => {
    request({ host: admin.address, port: admin.port, path, localAddress, agent: false }, (response) => {
      resolve(response.resume().statusCode!)
    })
      .on('error', reject)
      .end()
  })
}

const HEAD = 'Host: localhost\r\n'
const FLOODS: readonly (readonly [string, string])[] = [
  ['silent connections', ''],
  ['heads that never end', `GET /readyz HTTP/1.1\r\n${HEAD}`],
  [
    'bodies that never come',
    `POST /api/v1/drain-host HTTP/1.1\r\n${HEAD}Content-Type: text/plain\r\nContent-Length: 9\r\n\r\n`,
  ],
  ['idle connections that asked once', `GET /healthz HTTP/1.1\r\n${HEAD}\r\n`],
  ['event streams', `GET /api/v1/events HTTP/1.1\r\n${HEAD}\r\n`],
]

for (const [what, text] of FLOODS) {
  t.test(`with ${what} beyond the bound, health and status are still answered`, async (t) => {
    const admin = await start(t)
    await flood(t, admin, text)
    for (const path of ['/readyz', '/healthz', '/api/v1/status']) {
      for (const from of ['127.0.0.1', '127.0.0.2']) t.equal(await statusOf(admin, path, from), 200, `${path} ${from}`)
    }
  })
}

t.test('a source that floods loses its own connections, not those of others', async (t) => {
  const admin = await start(t)
  const quiet = connect({ host: admin.address, port: admin.port, localAddress: '127.0.0.2' })
  t.teardown(() => quiet.destroy())
  await once(quiet, 'connect')
  for (const from of ['127.0.0.1', '127.0.0.3']) {
    const sockets = await flood(t, admin, '', from)
    await eventually('as many as a source may have', () => open(sockets) <= 64)
    t.ok(open(sockets) > 0, 'the newest stay')
  }
  quiet.write(`GET /healthz HTTP/1.1\r\n${HEAD}\r\n`)
  t.match(String((await once(quiet, 'data'))[0]), /^HTTP\/1.1 200/)
})

t.test('a request that is under way goes last', async (t) => {
  const admin = await start(t)
  const busy = connect(admin.port, admin.address)
  t.teardown(() => busy.destroy())
  const path = '/api/v1/target-groups/app/targets/10.0.0.11%3A9001'
  const body = '{"weight":7}'
  const length = `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n`
  busy.write(`PATCH ${path} HTTP/1.1\r\n${HEAD}${length}Expect: 100-continue\r\n\r\n`)
  t.match(String((await once(busy, 'data'))[0]), /^HTTP\/1.1 100/, 'the head has been read')
  const sockets = await flood(t, admin, '')
  await eventually('others to go', () => open(sockets) < 64)
  busy.write(body)
  t.match(String((await within('the answer', once(busy, 'data')))[0]), /^HTTP\/1.1 200/)
})

t.test('whoever says nothing, or does not come to an end, is cut in time', async (t) => {
  t.same(ADMIN_TIMEOUTS, { headMs: 5_000, requestMs: 10_000, keepAliveMs: 15_000, idleMs: 30_000 })
  const NEVER_MS = 600_000
  const never = { headMs: NEVER_MS, requestMs: NEVER_MS, keepAliveMs: NEVER_MS, idleMs: NEVER_MS }
  const head = `GET /healthz HTTP/1.1\r\n${HEAD}`
  const cases = [
    ['a silent connection', { headMs: 200 }, ''],
    ['a head without an end', { headMs: 200 }, head],
    ['a body without an end', { headMs: 100, requestMs: 200 }, `${head}Content-Length: 9\r\n\r\n`],
    ['one that is kept for another request', { keepAliveMs: 200 }, `${head}\r\n`],
    ['one on which nothing moves, silent', { idleMs: 200 }, ''],
    ['one on which nothing moves, in a head', { idleMs: 200 }, head],
  ] as const
  const ends = cases.map(async ([what, timeouts, text]) => {
    const admin = await start(t, { ...never, ...timeouts })
    const socket = connect(admin.port, admin.address)
    t.teardown(() => socket.destroy())
    socket.on('error', () => {}).resume()
    socket.write(text)
    await within(`the end of ${what}`, once(socket, 'close'))
    t.pass(what)
  })
  await Promise.all(ends)
})

t.test('a source is an IPv4 address or an IPv6 network of 64 bits', async (t) => {
  const cases: [string | undefined, string][] = [
    ['10.0.0.1', '10.0.0.1'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:db8:0:0:1:2:3:4', '2001:db8:0:0::/64'],
    ['2001:DB8:1:2::', '2001:db8:1:2::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    [undefined, ''],
  ]
  for (const [remoteAddress, source] of cases)
    t.equal(sourceOf({ remoteAddress } as Socket), source, String(remoteAddress))
  t.not(
    sourceOf({ remoteAddress: '::ffff:10.0.0.1' } as Socket),
    sourceOf({ remoteAddress: '::ffff:10.0.0.2' } as Socket),
  )
})

t.test('a connection that asks on and on without waiting for answers is cut, and holds nobody up', async (t) => {
  const admin = await start(t)
  const pages = ['/metrics', '/api/v1/status', '/nowhere', '/readyz']
  // The first of them is an event stream on one connection: nothing may be asked for behind it either.
  const texts = [...pages.map((page) => [page]), ['/api/v1/events', '/metrics']].map(([first, next = first]) => {
    const rest = `GET ${next} HTTP/1.1\r\n${HEAD}\r\n`.repeat(1_000)
    return `GET ${first} HTTP/1.1\r\n${HEAD}\r\n${rest}`
  })
  for (const text of texts) {
    const socket = connect({ host: admin.address, port: admin.port })
    t.teardown(() => socket.destroy())
    let received = ''
    socket.on('data', (bytes: Buffer) => {
      received += bytes.toString('latin1')
    })
    socket.on('error', () => {})
    socket.write(text)
    await once(socket, 'close')
    const answers = received.split('HTTP/1.1 ').length - 1
    t.ok(answers <= 4, `${answers} answers to a thousand requests for ${text.slice(4, 20)}`)
    t.equal(await statusOf(admin, '/readyz'), 200)
  }
})

t.test('a few requests behind one another on a connection are all answered', async (t) => {
  const admin = await start(t)
  const socket = connect({ host: admin.address, port: admin.port })
  t.teardown(() => socket.destroy())
  const ask = (path: string, more: string): string => `GET ${path} HTTP/1.1\r\n${HEAD}${more}\r\n`
  socket.write(
    ask('/readyz', '') + ask('/metrics', '') + ask('/api/v1/status', '') + ask('/healthz', 'Connection: close\r\n'),
  )
  let received = ''
  for await (const bytes of socket as AsyncIterable<Buffer>) received += bytes.toString('latin1')
  t.equal(received.match(/^HTTP\/1\.1 200 OK\r$/gm)?.length, 4)
})
