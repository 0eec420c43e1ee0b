import type { SocketShare } from '../../core/conn.js'
import type { CastorError } from '../../core/errors.js'
import type { ReasonCode } from '../../core/reasons.js'
import type { Route } from '../route.js'
import type { Requester } from './requester.js'

/** What became of an attempt to reach a target. */
export const UPSTREAM_NONE = 0
/** A connection that was open already: the head may be written to it now. */
export const UPSTREAM_READY = 1
/** A connection under way; the head waits in it. */
export const UPSTREAM_DIALLING = 2
/** Every target is full; `onUpstreamTurn` says when it goes on. */
export const UPSTREAM_WAITING = 3
export type UpstreamState =
  | typeof UPSTREAM_NONE
  | typeof UPSTREAM_READY
  | typeof UPSTREAM_DIALLING
  | typeof UPSTREAM_WAITING

/** Whom a request is from and what it goes by, as far as its way to a target needs to know. As of Requester. */
export interface UpstreamSession extends Pick<Requester, 'clientAddress' | 'pinned' | 'pin' | 'firstReadBytes'> {
  readonly route: Pick<Route, 'group' | 'countConnect'>
  readonly conn: { readonly share: SocketShare | undefined }
}

/** Whose request it is. */
export interface UpstreamUser {
  /** It waits no more: the head went out, or is on its way, or there is no target for it. */
  onUpstreamTurn(state: UpstreamState): void
  onUpstreamOpen(): void
  onUpstreamData(buffer: Uint8Array, length: number): void
  onUpstreamEnd(): void
  onUpstreamWritable(): void
  /** The dial failed, and what was tried is let go of; whose fault that was is accounted for. */
  onConnectFailed(reason: ReasonCode): void
  /** The connection was lost after it had been open. */
  onUpstreamLost(cause: CastorError | undefined): void
}
