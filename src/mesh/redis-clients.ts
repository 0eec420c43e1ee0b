import { readFileSync } from 'node:fs'
import { Cluster, Redis } from 'ioredis'
import type { RedisConfig, RedisLogin } from '../core/config.js'

/** A connection to wherever the cluster's Redis is. */
export type RedisClient = Redis | Cluster

const CONNECT_MS = 1_500
/** An answer that takes longer will not come: the server hangs, or the way to it is cut without a word. */
export const COMMAND_MS = 2_000
const RECONNECT_MAX_MS = 1_000
/** Where only an operator can help: what is refused now is refused a second later as well. */
const REFUSED_MAX_MS = 10_000

/** Waits between tries to connect, in milliseconds: soon at first, then a second; ten where the server refuses this user. */
export function reconnectMs(tries: number, isRefused: boolean): number {
  return Math.min(50 * 2 ** Math.min(tries, 10), isRefused ? REFUSED_MAX_MS : RECONNECT_MAX_MS)
}

/**
 * Nothing is queued while there is no connection, and nothing is tried again: what this host knows lies in its own memory
 * and is sent again, and the transport connects anew. No ready check: a server that is loading says so to the first
 * command. RESP 2 says all that is needed, and asks for no right to HELLO.
 */
function options(name: string) {
  return {
    connectionName: name,
    lazyConnect: true,
    protocol: 2 as const,
    disableClientInfo: true,
    enableOfflineQueue: false,
    enableReadyCheck: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectTimeout: CONNECT_MS,
    keepAlive: 10_000,
    retryStrategy: never,
  }
}

function never(): null {
  return null
}

/** Opens nothing yet. `name` is what the server shows in its list of clients. */
export function createRedisClient(config: RedisConfig, name: string): RedisClient {
  switch (config.type) {
    case 'single':
      return new Redis({
        ...options(name),
        ...config.address,
        ...login(config),
        db: config.database,
        ...(config.tls ? { tls: authorities(config) } : {}),
      })
    case 'sentinel':
      return new Redis({
        ...options(name),
        sentinels: config.sentinels.map(({ host, port }) => ({ host, port })),
        name: config.name,
        ...login(config),
        ...(config.sentinelUsername === '' ? {} : { sentinelUsername: config.sentinelUsername }),
        ...(config.sentinelPassword === '' ? {} : { sentinelPassword: config.sentinelPassword }),
        ...(config.tls
          ? { tls: authorities(config), sentinelTLS: authorities(config), enableTLSForSentinelMode: true }
          : {}),
        sentinelRetryStrategy: never,
        failoverDetector: true,
      })
    case 'cluster':
      return new Cluster(
        config.nodes.map(({ host, port }) => ({ host, port })),
        {
          lazyConnect: true,
          enableOfflineQueue: false,
          clusterRetryStrategy: never,
          enableReadyCheck: false,
          redisOptions: {
            ...options(name),
            ...login(config),
            ...(config.tls ? { tls: authorities(config) } : {}),
          },
        },
      )
  }
}

function login({ username, password }: RedisLogin): { username?: string; password?: string } {
  return { ...(username === '' ? {} : { username }), ...(password === '' ? {} : { password }) }
}

/**
 * Read anew for each try, so that a file that was replaced is taken up.
 *
 * @throws where it cannot be read
 */
function authorities({ ca }: RedisLogin): { ca?: Buffer } {
  return ca === '' ? {} : { ca: readFileSync(ca) }
}
