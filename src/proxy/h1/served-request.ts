import type { ReasonCode } from '../../core/reasons.js'
import type { RequestParser } from '../../http/request-parser.js'
import type { ListenerPlugins } from '../listener-plugins.js'
import type { OwnAnswer } from '../own-answer.js'
import type { Route } from '../route.js'
import type { Requester } from './requester.js'

/** A request that is being served, as its client's session sees it. */
export interface ServedRequest {
  /** Bytes of the answer that the client's connection still holds, or held when it was lost. */
  readonly undeliveredBytes: number
  /** Body bytes from the client. Returns the first one not consumed. */
  onRequestBytes(buffer: Uint8Array, start: number, end: number): number
  onClientWritable(): void
  /** The client half-closed. */
  onClientEnd(): void
  onClientGone(reason: ReasonCode): void
  /** Milliseconds until it wants to be asked again. Ends what has taken too long. */
  checkTime(nowMs: number): number
  /** The client has taken its answer, or, for `reason`, will not. */
  settle(reason: ReasonCode): void
  /** The thread ends. */
  shutDown(): void
  /** The target's time is over. */
  onTargetRemoved(targetSlot: number): void
}

/** A session whose next request's head is there. */
export interface RequestSource extends Requester {
  /** The request goes by what is in force now. */
  takeRoute(): void
  /** Finds out whom it is from, where its sender is trusted to say so. */
  nameClient(parser: RequestParser, buffer: Uint8Array, start: number): void
  /** The request goes by the rule that it matches, from here to its end. */
  chooseRoute(parser: RequestParser, buffer: Uint8Array, start: number): void
  /** Asked about its requests; undefined without any. */
  readonly plugins: ListenerPlugins | undefined
  /** From here to its end the request goes by that route. */
  goBy(route: Route): void
  /** Answers a request that no target is asked for. Returns the first byte behind its head. */
  answer(parser: RequestParser, buffer: Uint8Array, start: number, own: OwnAnswer, delivery?: ServedRequest): number
  /** The client had half-closed before its request was with whoever serves it now. */
  endServed(): void
  /** From here on `request` is told of what its client sends, and takes. */
  onBegun(request: ServedRequest, hasBody: boolean): void
}

/** Where requests go once their heads are there. */
export interface RequestServer {
  /** Serves the request whose head begins at `start`. Returns the first byte not consumed. */
  onHead(session: RequestSource, parser: RequestParser, buffer: Uint8Array, start: number, end: number): number
  /** Lets go of what no request has needed lately. Now and then, off the hot path. */
  forgetSpare(nowMs: number): void
}
