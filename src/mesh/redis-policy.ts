import type { Redis } from 'ioredis'
import { within } from './redis-link.js'

const POLICY = /^maxmemory_policy:([a-z-]+)\r?$/m
const LIMIT = /^maxmemory:(\d+)\r?$/m

/**
 * The policy by which a server throws away what is kept when its memory is full; empty where it has no limit, or refuses
 * writes instead, or does not let this user ask (`+info`).
 */
export async function evictionPolicyOf(node: Redis): Promise<string> {
  let info: string
  try {
    info = await within(node.info('memory'))
  } catch (cause) {
    // That it hangs is for others to find.
    if (cause instanceof Error && cause.name === 'ReplyError') return ''
    throw cause
  }
  const policy = POLICY.exec(info)?.[1] ?? ''
  return policy === 'noeviction' || Number(LIMIT.exec(info)?.[1] ?? 0) === 0 ? '' : policy
}
