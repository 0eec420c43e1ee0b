import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type Server, type TlsOptions } from 'node:tls'
import t from 'tap'
import type { Status } from '../../src/admin/status-shape.js'
import { toolOrSkip } from '../tools.js'
import { type Balancer, type ConfigFile, onePair, startBalancer } from './support/balancer.js'
import type { Test } from './support/castor.js'
import { startChild } from './support/child-castor.js'
import { startNginx } from './support/nginx.js'
import { get, RawClient, request } from './support/raw-client.js'
import { RawTarget } from './support/raw-target.js'
import { authorityFor } from './support/tls.js'

const authority = authorityFor(t)
const target = authority.issue('target', { names: ['app.internal', '127.0.0.1'] })
const stranger = authority.issue('stranger', { names: ['elsewhere.internal'] })
const client = authority.issue('client')

/** A group of `protocol` whose targets speak TLS, behind a plain listener. */
function before(protocol: string, targets: readonly string[], tls: object, more: object = {}): ConfigFile {
  const front = protocol === 'tls' ? 'tcp' : 'http'
  return onePair(front, targets, { group: { protocol, tls: { ca: authority.cert, ...tls }, ...more } })
}

/** What a TLS server saw of its clients. */
class SecureTarget {
  readonly names: (string | false | null)[] = []
  readonly shown: (string | undefined)[] = []
  readonly protocols: (string | false | null)[] = []
  connections = 0
  readonly #server: Server

  constructor(server: Server) {
    this.#server = server
    server.on('secureConnection', (socket) => {
      this.connections++
      this.names.push((socket as unknown as { servername: string | false }).servername)
      this.shown.push(socket.getPeerX509Certificate()?.subject)
      this.protocols.push(socket.alpnProtocol)
      socket.on('error', () => {})
      socket.on('data', (data) => {
        const text = String(data)
        if (!text.startsWith('GET')) socket.write(data)
        else socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok`)
      })
    })
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as { port: number }).port}`
  }
}

async function secureTarget(t: Test, options: TlsOptions = {}, files = target): Promise<SecureTarget> {
  const { cert, key } = files
  const server = createServer({
    cert: readFileSync(cert),
    key: readFileSync(key),
    ALPNProtocols: ['http/1.1'],
    ...options,
  })
  const seen = new SecureTarget(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return seen
}

async function failed(balancer: Balancer): Promise<number> {
  return (await balancer.metrics()).sum('castor_server_errors_total', 'reason="TARGET_TLS_FAILED"')
}

t.test('nginx with TLS is spoken to, verified, and kept open', async (t) => {
  const nginx = toolOrSkip(t, 'nginx')
  if (nginx === undefined) return
  const server = `ssl_certificate ${target.cert}; ssl_certificate_key ${target.key}; location / { return 200 "$ssl_server_name $connection_requests"; }`
  const address = await startNginx(t, nginx, server, 'ssl')
  const { port } = await startBalancer(t, before('https', [address], { serverName: 'app.internal' }))
  const connection = await RawClient.connect(port)
  t.teardown(() => connection.close())
  t.equal((await connection.exchange(get('/'))).text, 'app.internal 1')
  t.equal((await connection.exchange(get('/'))).text, 'app.internal 2', 'the connection was used again')
})

t.test('a target given by address is verified by it, and asked for no name', async (t) => {
  const seen = await secureTarget(t)
  const { port } = await startBalancer(t, before('https', [seen.address], {}))
  t.equal((await request(port, get('/'))).text, 'ok')
  t.same(seen.names, [false])
  t.same(seen.protocols, ['http/1.1'])
})

t.test('a certificate that does not verify is a 502 with a reason of its own', async (t) => {
  const wrongName = await secureTarget(t, {}, stranger)
  const byAddress = await startBalancer(t, before('https', [wrongName.address], {}))
  t.equal((await request(byAddress.port, get('/'))).status, 502)
  t.equal(await failed(byAddress), 1)
  t.ok(byAddress.log.some((line) => line.includes('a target’s TLS handshake failed')))

  const good = await secureTarget(t)
  const wrongAuthority = authorityFor(t)
  const distrusting = await startBalancer(t, before('https', [good.address], { ca: wrongAuthority.cert }))
  t.equal((await request(distrusting.port, get('/'))).status, 502)
  t.equal(await failed(distrusting), 1)
  const trusting = await startBalancer(t, before('https', [good.address], { ca: '', verify: false }))
  t.equal((await request(trusting.port, get('/'))).status, 200, 'verify: false asks nothing')

  const plain = await RawTarget.start()
  t.teardown(() => plain.stop())
  const patience = { timeouts: { connect: '300ms' } }
  const unspoken = await startBalancer(t, before('https', [plain.address], {}, patience))
  t.equal((await request(unspoken.port, get('/'))).status, 504, 'one that says nothing is too slow')
})

t.test('a request goes to another target where one shows the wrong certificate', async (t) => {
  const bad = await secureTarget(t, {}, stranger)
  const good = await secureTarget(t)
  const { port } = await startBalancer(t, before('https', [bad.address, good.address], {}))
  for (let i = 0; i < 4; i++) t.equal((await request(port, get('/'))).status, 200)
  t.equal(good.connections > 0, true)
})

t.test('targets that ask for a certificate are shown the group’s', async (t) => {
  const options = { requestCert: true, rejectUnauthorized: true, ca: readFileSync(authority.cert) }
  const seen = await secureTarget(t, options)
  const without = await startBalancer(t, before('https', [seen.address], {}, { retries: 'off' }))
  t.equal((await request(without.port, get('/'))).status, 502)
  const { port } = await startBalancer(t, before('https', [seen.address], { cert: client.cert, key: client.key }))
  t.equal((await request(port, get('/'))).status, 200)
  t.match(seen.shown.at(-1), 'CN=client')
})

t.test('https checks trust, show and ask for what the group’s traffic does', async (t) => {
  const options = { requestCert: true, rejectUnauthorized: true, ca: readFileSync(authority.cert) }
  const seen = await secureTarget(t, options)
  const healthCheck = { protocol: 'https', interval: '100ms', healthyThreshold: 1, unhealthyThreshold: 1, verify: true }
  const healthOf = async (tls: object): Promise<string> => {
    const balancer = await startBalancer(t, before('https', [seen.address], tls, { healthCheck }))
    const answer = await fetch(`http://127.0.0.1:${balancer.running.admin.port}/api/v1/status`)
    const { targetGroups } = (await answer.json()) as Status
    return targetGroups[0]!.targets[0]!.health
  }
  const shown = { cert: client.cert, key: client.key }
  t.equal(await healthOf({ ...shown, serverName: 'app.internal' }), 'healthy')
  t.ok(seen.names.includes('app.internal'))
  t.match(seen.shown.at(-1), 'CN=client')
  t.equal(await healthOf({}), 'unhealthy', 'without the certificate')
  t.equal(await healthOf({ ...shown, ca: authorityFor(t).cert }), 'unhealthy', 'with another authority')
  t.equal(await healthOf({ ...shown, serverName: 'else.internal' }), 'unhealthy', 'under another name')
})

t.test('a tls group carries bytes over TLS', async (t) => {
  const seen = await secureTarget(t)
  const { port } = await startBalancer(t, before('tls', [seen.address], {}))
  const connection = await RawClient.connect(port)
  t.teardown(() => connection.close())
  connection.send('bytes')
  t.equal((await connection.reader.bytes(5)).toString(), 'bytes')
  const distrusting = await startBalancer(t, before('tls', [seen.address], { ca: authorityFor(t).cert }))
  const refused = await RawClient.connect(distrusting.port)
  refused.send('bytes')
  await refused.ending()
  t.equal(await failed(distrusting), 1)
})

for (const native of [true, false]) {
  t.test(
    `a tls group tells who the client is before the handshake, ${native ? 'with' : 'without'} the addon`,
    async (t) => {
      const nginx = toolOrSkip(t, 'nginx')
      if (nginx === undefined) return
      const server = `ssl_certificate ${target.cert}; ssl_certificate_key ${target.key}; location / { return 200 "$proxy_protocol_addr $ssl_protocol"; }`
      const address = await startNginx(t, nginx, server, 'ssl proxy_protocol')
      for (const proxyProtocol of ['v1', 'v2']) {
        const config = before('tls', [address], {}, { proxyProtocol })
        const env = native ? {} : { CASTOR_NATIVE: 'off' }
        const port = native ? (await startBalancer(t, config)).port : (await startChild(t, config, { env })).port()
        t.match((await request(port, get('/'))).text, /^127\.0\.0\.1 TLSv1\.[23]$/, proxyProtocol)
      }
    },
  )
}
