import type { RedisConfig } from '../core/config.js'
import { createRedisClient } from './redis-clients.js'
import { within } from './redis-link.js'
import { evictionPolicyOf } from './redis-policy.js'

/** What a Redis says of itself to somebody who asks once. */
export interface ServerFacts {
  readonly version: string
  /** By which it throws away what it is to keep; empty = it does not. */
  readonly evicts: string
  /** Its clock is so far ahead of this host's. */
  readonly aheadMs: number
  readonly roundTripMs: number
}

/** Asks and leaves. Rejects with what the server, or the way to it, had against that. */
export async function askRedis(config: RedisConfig): Promise<ServerFacts> {
  const client = createRedisClient(config, 'castor-doctor')
  let refusal: unknown
  client.on('error', (fault) => {
    refusal = fault
  })
  try {
    await within(client.connect())
    const node = 'nodes' in client ? client.nodes('master')[0]! : client
    const begunMs = performance.now()
    await within(node.ping())
    const roundTripMs = performance.now() - begunMs
    const [seconds, micros] = await within(node.time())
    const aheadMs = Number(seconds) * 1000 + Number(micros) / 1000 - Date.now()
    const info = await within(node.info('server')).catch(() => '')
    const version = /^redis_version:(\S+)/m.exec(info)?.[1] ?? 'unknown'
    return { version, evicts: await evictionPolicyOf(node), aheadMs, roundTripMs }
  } catch (fault) {
    throw refusal ?? fault
  } finally {
    client.disconnect()
  }
}
