import { once } from 'node:events'
import { PROXY_V2_MAX_BYTES } from '../../../src/net/proxy-protocol.js'
import { writeProxyV2 } from '../../../src/net/proxy-protocol-writer.js'
import { type Balancer, startBalancer } from './balancer.js'
import { fetchText, type Test } from './castor.js'
import { get, RawClient } from './raw-client.js'
import { ok, RawTarget } from './raw-target.js'
import { TcpTarget } from './tcp-peers.js'

/** A target that tells every client its name; it can be down for a while. */
export interface NamedTarget {
  readonly name: string
  readonly address: string
  goDown(): void
  comeBack(): Promise<void>
}

/** Answers `name` to every request, and 503 to everything while it is down. */
export async function namedHttp(t: Test, name: string): Promise<NamedTarget> {
  let down = false
  const target = await RawTarget.start({
    answer: (_, connection) => connection.write(down ? ok('', [], '503 Down') : ok(name)),
  })
  t.teardown(() => target.stop())
  return {
    name,
    address: target.address,
    goDown: () => {
      down = true
    },
    comeBack: async () => {
      down = false
    },
  }
}

/** Begins every connection with a line of its name and sends back what comes; refuses while it is down. */
export async function namedTcp(t: Test, name: string): Promise<NamedTarget> {
  const target = await TcpTarget.start(t, (socket) => {
    socket.write(`${name}\r\n`)
    socket.pipe(socket)
  })
  const { port } = target
  return {
    name,
    address: target.address,
    goDown: () => target.stop(),
    comeBack: async () => {
      target.server.listen(port, '127.0.0.1')
      await once(target.server, 'listening')
    },
  }
}

/** Where a client comes from: itself, or by a proxy in front that says so. */
export type Via = 'direct' | 'v1' | 'v2'

/** An address as the client has it; what goes over loopback must be one of 127.0.0.0/8. */
export interface From {
  readonly via: Via
  readonly address: string
  readonly port?: number
}

const DESTINATION = { v4: '198.51.100.9', v6: '2001:db8::9', port: 443 }

function proxyHeader({ via, address, port = 40_001 }: From): Buffer {
  const isIPv6 = address.includes(':')
  const destination = isIPv6 ? DESTINATION.v6 : DESTINATION.v4
  switch (via) {
    case 'direct':
      return Buffer.alloc(0)
    case 'v1': {
      const protocol = isIPv6 ? 'TCP6' : 'TCP4'
      return Buffer.from(`PROXY ${protocol} ${address} ${destination} ${port} ${DESTINATION.port}\r\n`)
    }
    case 'v2': {
      const bytes = Buffer.alloc(PROXY_V2_MAX_BYTES)
      const family = isIPv6 ? (6 as const) : (4 as const)
      const to = { family, address: destination, port: DESTINATION.port }
      return bytes.subarray(0, writeProxyV2(bytes, 0, { family, address, port }, to, {}))
    }
  }
}

async function enter(port: number, from: From): Promise<RawClient> {
  const client = await RawClient.connect(port, '127.0.0.1', from.via === 'direct' ? from.address : undefined)
  const header = proxyHeader(from)
  if (header.length > 0) client.send(header)
  return client
}

/** Who answers a request on a connection of its own. */
export async function askHttp(port: number, from: From, lines: readonly string[] = []): Promise<string> {
  const client = await enter(port, from)
  const { status, text } = await client.exchange(get('/', lines))
  client.close()
  return status === 200 ? text : String(status)
}

/** A tcp connection that is open, and who is at its other end. */
export interface OpenTcp {
  readonly client: RawClient
  readonly by: string
}

export async function openTcp(port: number, from: From): Promise<OpenTcp> {
  const client = await enter(port, from)
  return { client, by: await client.reader.line() }
}

/** Who is at the other end of a tcp connection that is closed at once. */
export async function askTcp(port: number, from: From): Promise<string> {
  const { client, by } = await openTcp(port, from)
  client.close()
  return by
}

export const NAMES = ['one', 'two', 'three']

/** A balancer whose clients are bound by their addresses, before three targets. */
export interface StickySetting {
  readonly castor: Balancer
  readonly targets: readonly NamedTarget[]
  /** The same listener twice: for clients themselves, and behind a proxy that is here. */
  ask(from: From): Promise<string>
  port(via: Via): number
  health(name: string): Promise<string>
}

export async function startSticky(
  t: Test,
  protocol: 'http' | 'tcp',
  group: object = {},
  workers = 2,
): Promise<StickySetting> {
  const targets = await Promise.all(NAMES.map((name) => (protocol === 'http' ? namedHttp : namedTcp)(t, name)))
  const castor = await startBalancer(t, {
    workers,
    listeners: [
      { name: 'direct', protocol, listen: '127.0.0.1:0', targetGroup: 'out' },
      { name: 'proxied', protocol, listen: '127.0.0.1:0', targetGroup: 'out', acceptProxyProtocol: ['127.0.0.1/32'] },
    ],
    targetGroups: [
      {
        name: 'out',
        protocol,
        targets: targets.map(({ name, address }) => ({ id: name, address })),
        stickiness: { type: 'source-ip' },
        ...group,
      },
    ],
  })
  const port = (via: Via): number => castor.portOf(via === 'direct' ? 'direct' : 'proxied')
  return {
    castor,
    targets,
    port,
    ask: (from) => (protocol === 'http' ? askHttp : askTcp)(port(from.via), from),
    health: async (name) => {
      const status = JSON.parse(await fetchText(castor.running.admin.port, '/api/v1/status')) as {
        targetGroups: { targets: { id: string; health: string }[] }[]
      }
      return status.targetGroups[0]!.targets.find(({ id }) => id === name)!.health
    },
  }
}
