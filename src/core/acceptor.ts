export interface ListenSpec {
  /** A descriptor that listens already, to be shared instead of opening the address; the implementation then owns it. */
  readonly fd?: number
  /** IPv4 or IPv6 address in text, without brackets. */
  readonly address: string
  /** 0 takes any free port. */
  readonly port: number
  readonly backlog: number
  readonly ipv6Only: boolean
  /** Linux TCP_DEFER_ACCEPT in seconds; 0 = off. */
  readonly deferAcceptSeconds: number
  /** After so many seconds of silence the system asks whether the client is still there; 0 or nothing = never. */
  readonly keepAliveSeconds?: number
  /** Sockets of this process that are ready to share the port have it at an overlapping address. */
  readonly besides?: boolean
}

/**
 * Connections the kernel has accepted and nobody has adopted yet, valid until the call that brought them returns.
 * `records` holds `count` connection records one behind the other (see `core/connection-record.ts`). Descriptors in it
 * have one owner: whoever holds the batch, until it is placed. `sockets` is set by an implementation that has no
 * descriptors to give (the records then say −1) and runs parallel to the records.
 */
export interface AcceptedBatch {
  readonly count: number
  readonly records: Int32Array
  readonly sockets?: readonly unknown[]
  /** Closes the connection at `index` without adopting it. */
  discard(index: number): void
}

export interface AcceptorEvents {
  /** One call a batch, in order of arrival. */
  onAccepted(batch: AcceptedBatch): void
  /**
   * The open-file limit was hit: accepting stands still for `pausedMs`, while new clients wait in the kernel's queue. Where
   * that happens again and again, those that wait are turned away rather than left hanging.
   */
  onOutOfDescriptors(pausedMs: number): void
}

/** One listening address. `pause` leaves new connections waiting unreported; `close` is idempotent. */
export interface Listening {
  /** Of the listening socket, which stays the implementation's; −1 where it has none to show. */
  readonly fd: number
  readonly address: string
  readonly port: number
  /**
   * From here on nobody who connects gets an answer, not even a refusal, and tries again by itself; who waits already is
   * still served. False where the implementation cannot.
   */
  mute(): boolean
  pause(): void
  resume(): void
  close(): void
}

/** `listen` rejects with `CastorError` LISTEN_FAILED, naming the address and the system's reason. */
export interface Acceptor {
  listen(spec: ListenSpec, events: AcceptorEvents): Promise<Listening>
}
