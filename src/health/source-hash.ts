import type { Endpoint } from '../core/conn.js'
import { ipToBytes } from '../net/ip-bytes.js'

/** Of an IPv6 address the network: whoever has one address there has them all (RFC 6177). */
const IPV6_NETWORK_BYTES = 8
const bytes = new Uint8Array(16)

/**
 * A number for whom a request came from, the same in every thread: 32 bits, never 0 or −1. It need not be secret: sources
 * whose numbers collide are taken for one, which makes outlier detection more careful.
 */
export function sourceHash({ address }: Endpoint): number {
  const length = ipToBytes(address, bytes, 0)
  const counted = length === 16 ? IPV6_NETWORK_BYTES : length
  let hash = 0x811c9dc5
  for (let i = 0; i < counted; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x7feb352d)
  hash = Math.imul(hash ^ (hash >>> 15), 0x846ca68b)
  hash ^= hash >>> 16
  return hash === 0 || hash === -1 ? 1 : hash
}
