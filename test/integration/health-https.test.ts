import { once } from 'node:events'
import { createServer as createPlainServer } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { toolOrSkip } from '../tools.js'
import { fetchText, type Test } from './support/castor.js'
import { startChild } from './support/child-castor.js'
import { Authority, type Identity } from './support/openssl-authority.js'
import type { ShownTarget } from './support/operator.js'
import { TcpTarget } from './support/tcp-peers.js'

const NAME = 'app.example'

/** What an https server was asked: by which server name, and with which Host. */
interface Asked {
  readonly serverName: string | false | null | undefined
  readonly host: string | undefined
}

async function secure(t: Test, identity: Identity, asked: Asked[] = [], status = 200): Promise<string> {
  const server: Server = createServer({ ...identity }, (request, response) => {
    const { servername } = request.socket as { servername?: string | false | null }
    asked.push({ serverName: servername, host: request.headers.host })
    response.writeHead(status).end()
  })
  // Clients that do not like the certificate hang up.
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

interface Case {
  /** Group and target are called so. */
  readonly name: string
  readonly address: string
  /** Keys of `healthCheck`, beside the protocol. */
  readonly check: object
  /** `null`: it is healthy. */
  readonly reason: string | null
  /** What the log has beside the reason. */
  readonly detail?: string
}

t.test('https checks, and what they call what is wrong', async (t) => {
  const openssl = toolOrSkip(t, 'openssl')
  if (openssl === undefined) return
  const authority = new Authority(t, openssl)
  const named: Asked[] = []
  const withPort: Asked[] = []
  const unnamed: Asked[] = []
  const good = authority.issue(NAME)
  const [expired, selfSigned, other] = [
    authority.issue(NAME, -1),
    authority.selfSigned(NAME),
    authority.issue('b.example'),
  ]
  const plain = createPlainServer().listen(0, '127.0.0.1')
  await once(plain, 'listening')
  t.teardown(() => plain.close())
  const silent = await TcpTarget.start(t, () => {})
  const hangingUp = await TcpTarget.start(t, (socket) => socket.end())
  const strict = { host: NAME, verify: true }
  const cases: readonly Case[] = [
    { name: 'good', address: await secure(t, good, named), check: strict, reason: null },
    {
      name: 'host-with-a-port',
      address: await secure(t, good, withPort),
      check: { host: `${NAME}:8443`, verify: true },
      reason: null,
    },
    { name: 'no-host', address: await secure(t, good, unnamed), check: {}, reason: null },
    { name: 'expired-not-verified', address: await secure(t, expired), check: { host: NAME }, reason: null },
    { name: 'self-signed-not-verified', address: await secure(t, selfSigned), check: { host: NAME }, reason: null },
    { name: 'another-name-not-verified', address: await secure(t, other), check: { host: NAME }, reason: null },
    {
      name: 'expired',
      address: await secure(t, expired),
      check: strict,
      reason: 'CONNECT_FAILED',
      detail: 'CERT_HAS_EXPIRED',
    },
    {
      name: 'self-signed',
      address: await secure(t, selfSigned),
      check: strict,
      reason: 'CONNECT_FAILED',
      detail: 'DEPTH_ZERO_SELF_SIGNED_CERT',
    },
    {
      name: 'another-name',
      address: await secure(t, other),
      check: strict,
      reason: 'CONNECT_FAILED',
      detail: 'ERR_TLS_CERT_ALTNAME_INVALID',
    },
    {
      name: 'an-address-that-the-certificate-does-not-name',
      address: await secure(t, good),
      check: { verify: true },
      reason: 'CONNECT_FAILED',
      detail: 'ERR_TLS_CERT_ALTNAME_INVALID',
    },
    { name: 'another-code', address: await secure(t, good, [], 500), check: strict, reason: 'HTTP_CODE_MISMATCH' },
    {
      name: 'no-TLS',
      address: `127.0.0.1:${(plain.address() as AddressInfo).port}`,
      check: strict,
      reason: 'CONNECT_FAILED',
      detail: 'ERR_SSL_WRONG_VERSION_NUMBER',
    },
    { name: 'no-handshake', address: silent.address, check: strict, reason: 'CONNECT_TIMEOUT' },
    { name: 'hanging-up', address: hangingUp.address, check: strict, reason: 'CONNECT_INTERRUPT' },
  ]
  const castor = await startChild(
    t,
    {
      workers: 1,
      listeners: [{ name: 'in', protocol: 'http', listen: '127.0.0.1:0', targetGroup: cases[0]!.name }],
      targetGroups: cases.map(({ name, address, check }) => ({
        name,
        protocol: 'http',
        targets: [{ id: name, address }],
        healthCheck: { protocol: 'https', timeout: '2s', interval: '1h', codes: '200-299', ...check },
      })),
    },
    { env: { NODE_EXTRA_CA_CERTS: authority.file } },
  )
  const status = JSON.parse(await fetchText(castor.adminPort, '/api/v1/status')) as {
    targetGroups: { name: string; targets: ShownTarget[] }[]
  }
  for (const { name, reason, detail } of cases) {
    const { health, reason: given } = status.targetGroups.find((group) => group.name === name)!.targets[0]!
    t.same([health, given], [reason === null ? 'healthy' : 'unhealthy', reason], name)
    if (reason === null) continue
    const lines = (castor.stdout + castor.stderr).split('\n').filter((line) => line.includes('target is unhealthy'))
    const line = lines.map((text) => JSON.parse(text) as { target: string }).find(({ target }) => target === name)
    t.match(line, { reason, ...(detail === undefined ? {} : { detail }) }, `${name}, in the log`)
  }
  t.same(named[0], { serverName: NAME, host: NAME })
  t.same(withPort[0], { serverName: NAME, host: `${NAME}:8443` }, 'a server name has no port')
  t.equal(unnamed[0]!.serverName, false, 'an address is no server name')
})
