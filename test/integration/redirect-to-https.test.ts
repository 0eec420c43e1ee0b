import t from 'tap'
import { type Balancer, type ConfigFile, startBalancer } from './support/balancer.js'
import type { Test } from './support/castor.js'
import { get, RawClient, request } from './support/raw-client.js'

async function redirecting(t: Test, redirectToHttps: unknown, accessLog = false): Promise<Balancer> {
  const config: ConfigFile = {
    workers: 1,
    listeners: [{ name: 'plain', protocol: 'http', listen: '127.0.0.1:0', redirectToHttps }],
    targetGroups: [{ name: 'app', protocol: 'http', targets: [] }],
  }
  return startBalancer(t, config, { accessLog })
}

const head = (method: string, target: string, host: string, more = ''): string =>
  `${method} ${target} HTTP/1.1\r\nHost: ${host}\r\n${more}\r\n`

const CASES: readonly (readonly [string, string, number, string])[] = [
  ['GET', head('GET', '/a/b?c=d%20e', 'shop.example'), 301, 'https://shop.example/a/b?c=d%20e'],
  ['HEAD', head('HEAD', '/', 'shop.example'), 301, 'https://shop.example/'],
  ['POST', head('POST', '/form', 'shop.example', 'Content-Length: 0\r\n'), 308, 'https://shop.example/form'],
  ['DELETE', head('DELETE', '/x', 'shop.example'), 308, 'https://shop.example/x'],
  ['a port that was dialled', head('GET', '/', 'shop.example:8080'), 301, 'https://shop.example/'],
  ['an IPv6 address', head('GET', '/', '[2001:db8::1]:8080'), 301, 'https://[2001:db8::1]/'],
  ['an absolute target', head('GET', 'http://other.example/x?y', 'shop.example'), 301, 'https://other.example/x?y'],
  ['an absolute target without path', head('GET', 'http://other.example?y', 'h'), 301, 'https://other.example/?y'],
  ['no path', head('OPTIONS', '*', 'shop.example'), 308, 'https://shop.example/'],
]

t.test('every request is sent to the same URL over https', async (t) => {
  const { port } = await redirecting(t, true)
  for (const [title, bytes, status, location] of CASES) {
    const answer = await request(port, bytes)
    t.equal(answer.status, status, title)
    t.equal(answer.header('location'), location, title)
    t.equal(answer.header('strict-transport-security'), undefined, 'RFC 6797 7.2: never over plain HTTP')
  }
})

t.test('another port and another status are told as they were asked for', async (t) => {
  const { port } = await redirecting(t, { port: 8443, status: 302 })
  for (const method of ['GET', 'POST']) {
    const answer = await request(port, head(method, '/x', 'shop.example:80', 'Content-Length: 0\r\n'), method)
    t.equal(answer.status, 302)
    t.equal(answer.header('location'), 'https://shop.example:8443/x')
  }
})

t.test('a connection goes on after a redirect, and ends after one with a body', async (t) => {
  const { port } = await redirecting(t, true)
  const client = await RawClient.connect(port)
  t.teardown(() => client.close())
  client.send(get('/1') + get('/2'))
  t.equal((await client.response()).header('location'), 'https://test/1')
  t.equal((await client.response()).header('location'), 'https://test/2', 'pipelined')
  const answer = await client.exchange(get('/3', ['Content-Length: 5'], 'POST'), 'POST')
  t.equal(answer.header('connection'), 'close', 'nobody waits for a body that nobody wants')
  t.equal(await client.ending(), 'end')
})

t.test('whoever names no host has nowhere to be sent', async (t) => {
  const { port } = await redirecting(t, true)
  const old = await request(port, 'GET / HTTP/1.0\r\n\r\n')
  t.equal(old.status, 400)
  t.equal(old.header('location'), undefined)
  for (const host of ['', 'a b', 'a/b', 'evil\\x', 'user@host']) {
    const answer = await request(port, head('GET', '/', host))
    t.equal(answer.status, 400, JSON.stringify(host))
    t.equal(answer.header('location'), undefined)
  }
})

t.test('redirects are counted and logged like other answers', async (t) => {
  const balancer = await redirecting(t, true, true)
  await request(balancer.port, head('GET', '/x', 'shop.example', 'User-Agent: tests\r\n'))
  const [record] = await balancer.accessRecords(1)
  t.match(record, {
    listener: 'plain',
    method: 'GET',
    uri: '/x',
    host: 'shop.example',
    scheme: 'http',
    status: 301,
    user_agent: 'tests',
    reason: null,
  })
  t.ok(Number(record!.sent_bytes) > 0)
  const metrics = await balancer.metrics()
  t.equal(metrics.sum('castor_requests_total', 'listener="plain"', 'target_group=""', 'code="301"'), 1)
})
