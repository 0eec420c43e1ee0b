import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer as createHttp, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createHttps } from 'node:https'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import t from 'tap'
import { nativeAddon } from '../../src/native/addon.js'
import type { Test } from './support/castor.js'
import { type ChildCastor, startChild } from './support/child-castor.js'
import { Http2Target } from './support/http2-peers.js'
import { get, RawClient } from './support/raw-client.js'
import { authorityFor } from './support/tls.js'
import { until } from './support/until.js'

/*
 * A connection that lies idle is closed by its target while a request for it is under way. The balancer is stopped
 * meanwhile, so that it finds the request first and the end of the connection behind it, in the same turn.
 */

const skip = nativeAddon() === undefined && 'looking ahead needs the addon'

/** A way to the target whose connections can be ended from its side, in order or by a reset. */
class Relay {
  readonly #server: Server
  readonly #near: Socket[] = []

  private constructor(server: Server) {
    this.#server = server
  }

  static async start(t: Test, targetPort: number): Promise<Relay> {
    const server = createServer((near) => {
      const far = connect(targetPort, '127.0.0.1')
      relay.#near.push(near)
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        from.on('error', () => {})
        from.on('data', (data) => to.write(data))
        from.on('close', () => to.destroy())
      }
    })
    const relay = new Relay(server)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => {
      server.close()
      for (const near of relay.#near) near.destroy()
    })
    return relay
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  get connections(): number {
    return this.#near.length
  }

  endAll(how: 'end' | 'reset'): void {
    for (const near of this.#near) {
      if (how === 'end') near.destroy()
      else near.resetAndDestroy()
    }
  }
}

/** Requests as the target had them, method, path and body. */
type Seen = string[]

function record(seen: Seen): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    let body = ''
    request.on('data', (data) => {
      body += String(data)
    })
    request.on('end', () => {
      seen.push(`${request.method} ${request.url} ${body}`.trim())
      response.end('fine')
    })
  }
}

/** A target of that protocol; returns its port. */
async function startTarget(
  t: Test,
  protocol: string,
  files: { cert: string; key: string },
  seen: Seen,
): Promise<number> {
  if (protocol === 'h2c') {
    const target = await Http2Target.start(t, (stream, headers) => {
      let body = ''
      stream.on('data', (data) => {
        body += String(data)
      })
      stream.on('end', () => {
        seen.push(`${headers[':method']} ${headers[':path']} ${body}`.trim())
        stream.respond({ ':status': 200 })
        stream.end('fine')
      })
    })
    return Number(target.address.split(':')[1])
  }
  const identity = { cert: readFileSync(files.cert), key: readFileSync(files.key) }
  const server = protocol === 'https' ? createHttps(identity, record(seen)) : createHttp(record(seen))
  server.keepAliveTimeout = 60_000
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

async function stopped(castor: ChildCastor): Promise<void> {
  process.kill(castor.pid, 'SIGSTOP')
  await until('the balancer standing still', () => {
    const stat = readFileSync(`/proc/${castor.pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T')
  })
}

const authority = authorityFor(t)
const files = authority.issue('target', { names: ['127.0.0.1'] })

const REQUESTS: readonly [what: string, bytes: string][] = [
  ['POST /a body', `${get('/a', ['Content-Length: 4'], 'POST')}body`],
  ['POST /b', get('/b', ['Content-Length: 0'], 'POST')],
  ['PATCH /c', get('/c', [], 'PATCH')],
  ['PUT /d body', `${get('/d', ['Content-Length: 4'], 'PUT')}body`],
  ['POST /e body', `${get('/e', ['Transfer-Encoding: chunked'], 'POST')}4\r\nbody\r\n0\r\n\r\n`],
]

t.test('a request that may not be sent twice meets no end of an idle connection', { skip }, async (t) => {
  const protocols = ['http', 'https', 'h2c'] as const
  const seen: Seen = []
  const relays = await Promise.all(
    protocols.map(async (protocol) => Relay.start(t, await startTarget(t, protocol, files, seen))),
  )
  const castor = await startChild(t, {
    workers: 1,
    listeners: protocols.map((name) => ({ name, protocol: 'http', listen: '127.0.0.1:0', targetGroup: name })),
    targetGroups: protocols.map((protocol, at) => ({
      name: protocol,
      protocol,
      targets: [{ address: relays[at]!.address }],
      retries: { attempts: 0 },
      ...(protocol === 'https' ? { tls: { ca: authority.cert } } : {}),
    })),
  })
  for (const [at, protocol] of protocols.entries()) {
    const relay = relays[at]!
    const client = await RawClient.connect(castor.port(protocol))
    t.teardown(() => client.close())
    for (const how of ['end', 'reset'] as const) {
      for (const [what, bytes] of REQUESTS) {
        t.equal((await client.exchange(get('/'))).status, 200, 'a connection to the target is open')
        const connections = relay.connections
        seen.length = 0
        await stopped(castor)
        client.send(bytes)
        await until('the request on its way', () => client.socket.writableLength === 0)
        relay.endAll(how)
        process.kill(castor.pid, 'SIGCONT')
        t.equal((await client.response('POST')).status, 200, `${what}, ${protocol}, ${how}`)
        t.same(seen, [what], 'once')
        t.equal(relay.connections, connections + 1, 'on a connection of its own')
      }
    }
  }
})
