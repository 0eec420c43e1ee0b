import { request as httpRequest } from 'node:http'
import type { ConfigFile } from './balancer.js'
import { fetchText, type Test } from './castor.js'
import { type ChildCastor, startChild } from './child-castor.js'
import { RawClient, type RawResponse } from './raw-client.js'
import { ok, RawTarget } from './raw-target.js'
import { until } from './until.js'

export const SECRET = 'the secret of this cluster'

/** `GET /api/v1/cluster` and what of the status concerns it. */
export interface ShownCluster {
  readonly redis: { readonly up: boolean; readonly reason: string | null }
  readonly peers: readonly { readonly node: string; readonly state: string; readonly lagMs: number }[]
  readonly counts: Readonly<Record<string, number>>
}

/** The configuration of one host of a cluster; clients may say who they are with a PROXY line. */
export function memberConfig(
  node: string,
  redis: unknown,
  groups: readonly Readonly<Record<string, unknown>>[],
  more: { readonly secret?: string; readonly heartbeat?: string; readonly workers?: number } = {},
): ConfigFile {
  return {
    node,
    workers: more.workers ?? 1,
    cluster: { name: 'test', redis, secret: more.secret ?? SECRET, heartbeat: more.heartbeat ?? '200ms' },
    listeners: groups.map(({ name, protocol }) => ({
      name,
      protocol,
      listen: '127.0.0.1:0',
      targetGroup: name,
      acceptProxyProtocol: ['127.0.0.1/32'],
    })),
    targetGroups: groups,
  }
}

export function startMember(
  t: Test,
  node: string,
  redis: unknown,
  groups: readonly Readonly<Record<string, unknown>>[],
  more: { readonly secret?: string; readonly heartbeat?: string; readonly workers?: number } = {},
): Promise<ChildCastor> {
  return startChild(t, memberConfig(node, redis, groups, more))
}

export async function shownCluster(castor: ChildCastor): Promise<ShownCluster> {
  return JSON.parse(await fetchText(castor.adminPort, '/api/v1/cluster')) as ShownCluster
}

export async function problems(castor: ChildCastor): Promise<readonly string[]> {
  return (JSON.parse(await fetchText(castor.adminPort, '/api/v1/status')) as { problems: string[] }).problems
}

/** Resolves when it sees Redis and so many others alive. */
export async function joined(castor: ChildCastor, peers: number): Promise<void> {
  await until(
    `Redis and ${peers} peers`,
    async () => {
      const { redis, peers: found } = await shownCluster(castor)
      return redis.up && found.filter(({ state }) => state === 'alive').length === peers
    },
    15_000,
  )
}

/** A connection that says, by the PROXY protocol, that it comes from `address`. */
export async function comingFrom(address: string, port: number): Promise<RawClient> {
  const client = await RawClient.connect(port)
  client.send(`PROXY TCP4 ${address} 127.0.0.1 40001 80\r\n`)
  return client
}

/** One request of a client at that address. */
export async function requestFrom(address: string, port: number, bytes: string): Promise<RawResponse> {
  const client = await comingFrom(address, port)
  try {
    return await client.exchange(bytes)
  } finally {
    client.close()
  }
}

interface ShownTarget {
  readonly id: string
  readonly weight: number
  readonly state: string
  readonly health: string
}

export async function targetOf(castor: ChildCastor, group: string, id: string): Promise<ShownTarget> {
  const status = JSON.parse(await fetchText(castor.adminPort, '/api/v1/status')) as {
    targetGroups: { name: string; targets: ShownTarget[] }[]
  }
  return status.targetGroups.find(({ name }) => name === group)!.targets.find((target) => target.id === id)!
}

/** Asks for a change of a target; the status of the answer. */
export function operate(castor: ChildCastor, group: string, id: string, body: object): Promise<number> {
  return new Promise((resolve, reject) => {
    const path = `/api/v1/target-groups/${group}/targets/${id}`
    const headers = { 'content-type': 'application/json' }
    const sent = httpRequest(
      { host: '127.0.0.1', port: castor.adminPort, path, method: 'PATCH', headers },
      (response) => {
        response.resume()
        resolve(response.statusCode!)
      },
    )
    sent.on('error', reject)
    sent.end(JSON.stringify(body))
  })
}

/** Targets that answer with their own number. */
export async function numbered(t: Test, count: number): Promise<RawTarget[]> {
  let logins = 0
  const all = await Promise.all(
    Array.from({ length: count }, (_, index) =>
      RawTarget.start({
        answer: ({ target }, connection) => {
          if (target !== '/login') return connection.write(ok(String(index)))
          const cookie = `Set-Cookie: SID=s${++logins}; Path=/\r\n`
          return connection.write(`HTTP/1.1 200 OK\r\n${cookie}Content-Length: 1\r\n\r\n${index}`)
        },
      }),
    ),
  )
  for (const target of all) t.teardown(() => target.stop())
  return all
}

/** The same as a group has them, called t0, t1 and so on. */
export const addressesOf = (targets: readonly { readonly address: string }[]): object[] =>
  targets.map(({ address }, index) => ({ address, id: `t${index}` }))
