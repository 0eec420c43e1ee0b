import type { CastorError } from './errors.js'

/**
 * Whose fault a failure is. It is decided where the failure is caught: a connection cannot say whether its peer is a client
 * or a target, and whoever owns it can. `us` is Castor itself, its host and its operator.
 */
export type Fault = 'client' | 'target' | 'us'

/** Whose fault the end of a connection is. `peer` is who is at its other end. */
export function faultOf({ origin }: CastorError, peer: 'client' | 'target'): Fault {
  switch (origin) {
    case 'peer':
      return peer
    case 'castor':
    case 'operator':
      return 'us'
    default:
      return origin
  }
}
