// Hot path: every connection enters its thread here.
import type { AcceptedBatch, Listening } from '../../src/core/acceptor.js'
import type { Conn } from '../../src/core/conn.js'
import {
  RECORD_LISTENER,
  RECORD_WORDS,
  recordPeer,
  recordPlace,
  setRecordPlace,
} from '../../src/core/connection-record.js'
import type { ProxyTask } from '../../src/core/messages.js'
import { REASON } from '../../src/core/reasons.js'
import type { Snapshot } from '../../src/core/snapshot.js'
import { NativeTransport } from '../../src/net/native-transport.js'
import { SharedListenAcceptor } from '../../src/net/shared-listen-acceptor.js'
import { DISCARD } from '../../src/proxy/discard.js'
import { accept } from '../../src/proxy/phases.js'
import { ConnectionRing } from '../../src/shm/connection-ring.js'
import { LISTENER_CONNECTIONS_ACTIVE, WORKER_CONNECTIONS_ACTIVE } from '../../src/shm/layout.js'
import type { ProxyThread } from './proxy-thread.js'

const NOT_TAKEN_IN = 'a connection could not be taken in'

/** Where a thread's connections come from; `stop` takes what was given already, then ends that. */
export interface Intake {
  /** Opens binds that are new, and closes those that are gone. */
  change(snapshot: Snapshot, listeningFds: readonly (number | undefined)[]): Promise<void>
  stop(): void
}

/** Begins to take connections in: out of the primary's ring, or from listening sockets of the thread's own. */
export async function openIntake(task: ProxyTask, thread: ProxyThread): Promise<Intake> {
  const { transport } = thread.context
  if (task.inbox !== undefined && transport instanceof NativeTransport) return openInbox(thread, task.inbox, transport)
  const sockets = new OwnSockets(thread)
  await sockets.change(task.snapshot, task.listeningFds ?? [])
  return sockets
}

/** The listening sockets of a thread that accepts by itself. */
class OwnSockets implements Intake {
  readonly #thread: ProxyThread
  readonly #acceptor = new SharedListenAcceptor()
  /** By slot of the bind. */
  readonly #listenings = new Map<number, Listening>()

  constructor(thread: ProxyThread) {
    this.#thread = thread
  }

  async change({ binds, listeners }: Snapshot, listeningFds: readonly (number | undefined)[]): Promise<void> {
    for (const [slot, listening] of this.#listenings) {
      if (binds[slot] !== undefined) continue
      this.#listenings.delete(slot)
      listening.close()
    }
    const opening = binds.map(async (bind, slot) => {
      const fd = listeningFds[slot]
      if (bind === undefined || fd === undefined || this.#listenings.has(slot)) return
      const { address, port } = bind
      const { keepAliveSeconds } = listeners[bind.listener]!.config
      const spec = { address, port, fd, backlog: 0, ipv6Only: false, deferAcceptSeconds: 0, keepAliveSeconds }
      const listening = await this.#acceptor.listen(spec, {
        onAccepted: (batch) => adoptBatch(this.#thread, batch, slot),
        onOutOfDescriptors: () => this.#thread.log.warn('out of file descriptors: new connections wait'),
      })
      this.#listenings.set(slot, listening)
    })
    await Promise.all(opening)
  }

  stop(): void {
    for (const listening of this.#listenings.values()) listening.close()
    this.#listenings.clear()
  }
}

function openInbox(thread: ProxyThread, inbox: NonNullable<ProxyTask['inbox']>, transport: NativeTransport): Intake {
  const ring = new ConnectionRing(inbox.ring)
  const take = (): void => {
    for (let at = ring.peek(); at >= 0; at = ring.peek()) {
      const bind = ring.words[at + RECORD_LISTENER]!
      // Out of the ring first: from here on the descriptor is this thread's, whatever happens to it.
      const record = ring.words.slice(at, at + RECORD_WORDS)
      ring.takeInHand()
      adopt(thread, record, 0, undefined, bind)
      ring.settle()
    }
    const shed = ring.takeShed()
    if (shed > 0) thread.context.silent.shed(shed)
  }
  // A thread before this one may have died with one in hand.
  ring.settle()
  transport.watch(inbox.wakerFd, take)
  // What was placed before the watch began announces itself no more.
  take()
  return {
    // The primary accepts.
    async change() {},
    stop() {
      transport.unwatch(inbox.wakerFd)
      take()
    },
  }
}

/**
 * Where the thread accepts by itself nobody can hold connections back: beyond the limit one of this thread's that nothing
 * has come on makes way, and where there is none, the new one is refused.
 */
function adoptBatch(thread: ProxyThread, batch: AcceptedBatch, bind: number): void {
  const { columns, silent } = thread.context
  for (let i = 0; i < batch.count; i++) {
    const at = i * RECORD_WORDS
    if (!isAdmitted(thread, batch.records, at, bind)) {
      batch.discard(i)
      continue
    }
    const full = columns.sumOfWorkers(WORKER_CONNECTIONS_ACTIVE) >= thread.maxConnections
    if (full && silent.shed(1) === 0) {
      batch.discard(i)
      thread.context.sources.giveUp(recordPlace(batch.records, at))
      thread.live.bind(bind)!.listener.countReason(REASON.CONNECTION_LIMIT)
    } else {
      adopt(thread, batch.records, at, batch.sockets?.[i], bind)
    }
  }
}

/** As the primary's gate does where it accepts. A fault costs the connection. */
function isAdmitted(thread: ProxyThread, records: Int32Array, at: number, bindIndex: number): boolean {
  try {
    return mayComeIn(thread, records, at, bindIndex)
  } catch (fault) {
    thread.log.error({ err: fault }, NOT_TAKEN_IN)
    return false
  }
}

function mayComeIn({ context, live }: ProxyThread, records: Int32Array, at: number, bindIndex: number): boolean {
  const listener = live.bind(bindIndex)?.listener
  if (listener === undefined) return true
  const counters = context.columns.listener(listener.slot)
  if (counters.sum(LISTENER_CONNECTIONS_ACTIVE) >= listener.route.settings.config.limits.connections) {
    listener.countReason(REASON.LISTENER_CONNECTIONS)
    return false
  }
  const peer = recordPeer(records, at)
  const { proxied, trusted } = listener.route.settings
  if (proxied.has(peer) || trusted.has(peer)) return true
  if (context.sources.admitRecord(records, at, listener, peer) !== 0) return false
  setRecordPlace(records, at, context.sources.admission.place)
  return true
}

function adopt(thread: ProxyThread, records: Int32Array, at: number, socket: unknown, bindIndex: number): void {
  const { context, http1, live } = thread
  const bind = live.bind(bindIndex)
  const place = recordPlace(records, at)
  let conn: Conn | undefined
  try {
    conn = context.transport.adopt(records, at, socket, DISCARD)
    if (bind === undefined) {
      // Accepted for an address that was gone before this thread began.
      context.sources.giveUp(place)
      conn.abort()
      return
    }
    bind.listener.connectionOpened(place)
    accept(context, http1, bind.listener, bind, conn, place)
  } catch (fault) {
    thread.log.error({ err: fault }, NOT_TAKEN_IN)
    if (conn === undefined) {
      context.sources.giveUp(place)
      return
    }
    // Whoever handles it counts it out when it closes; nobody does yet where it was still to be handed over.
    if (conn.handler === DISCARD) bind?.listener.connectionClosed(place)
    conn.abort()
  }
}
