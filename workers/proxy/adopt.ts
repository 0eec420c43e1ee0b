// Hot path: every connection enters its thread here.
import type { AcceptedBatch } from '../../src/core/acceptor.js'
import type { Conn } from '../../src/core/conn.js'
import { RECORD_LISTENER, RECORD_WORDS } from '../../src/core/connection-record.js'
import type { ProxyTask } from '../../src/core/messages.js'
import { REASON } from '../../src/core/reasons.js'
import { NativeTransport } from '../../src/net/native-transport.js'
import { SharedListenAcceptor } from '../../src/net/shared-listen-acceptor.js'
import { DISCARD } from '../../src/proxy/discard.js'
import { serve } from '../../src/proxy/serve.js'
import { ConnectionRing } from '../../src/shm/connection-ring.js'
import { WORKER_CONNECTIONS_ACTIVE } from '../../src/shm/layout.js'
import type { ProxyThread } from './assemble.js'

/** Where a thread's connections come from; `stop` takes what was given already, then ends that. */
export interface Intake {
  stop(): void
}

/** Begins to take connections in: out of the primary's ring, or from listening sockets of the thread's own. */
export async function openIntake(task: ProxyTask, thread: ProxyThread): Promise<Intake> {
  const { transport } = thread.context
  if (task.inbox !== undefined && transport instanceof NativeTransport)
    return openInbox(task, task.inbox, thread, transport)
  const acceptor = new SharedListenAcceptor()
  const listenings = await Promise.all(
    task.snapshot.binds.map((at, bind) => {
      const fd = task.listeningFds?.[bind]
      if (at === undefined || fd === undefined) return undefined
      const { keepAliveSeconds } = task.snapshot.listeners[at.listener]!.config
      const spec = { ...at, fd, backlog: 0, ipv6Only: false, deferAcceptSeconds: 0, keepAliveSeconds }
      return acceptor.listen(spec, {
        onAccepted: (batch) => adoptBatch(task, thread, batch, bind),
        onOutOfDescriptors: () => thread.log.warn('out of file descriptors: new connections wait'),
      })
    }),
  )
  return {
    stop() {
      for (const listening of listenings) listening?.close()
    },
  }
}

function openInbox(
  task: ProxyTask,
  inbox: NonNullable<ProxyTask['inbox']>,
  thread: ProxyThread,
  transport: NativeTransport,
): Intake {
  const ring = new ConnectionRing(inbox.ring)
  const take = (): void => {
    for (let at = ring.peek(); at >= 0; at = ring.peek()) {
      const bind = ring.words[at + RECORD_LISTENER]!
      // Out of the ring first: from here on the descriptor is this thread's, whatever happens to it.
      const record = ring.words.slice(at, at + RECORD_WORDS)
      ring.advance()
      adopt(task, thread, record, 0, undefined, bind)
    }
    const shed = ring.takeShed()
    if (shed > 0) thread.context.silent.shed(shed)
  }
  transport.watch(inbox.wakerFd, take)
  // What was placed before the watch began announces itself no more.
  take()
  return {
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
function adoptBatch(task: ProxyTask, thread: ProxyThread, batch: AcceptedBatch, bind: number): void {
  const { columns, silent } = thread.context
  for (let i = 0; i < batch.count; i++) {
    const full = columns.sum(columns.workerAt(0) + WORKER_CONNECTIONS_ACTIVE) >= task.maxConnections
    if (full && silent.shed(1) === 0) {
      batch.discard(i)
      thread.listeners[task.snapshot.binds[bind]!.listener]!.countReason(REASON.CONNECTION_LIMIT)
    } else {
      adopt(task, thread, batch.records, i * RECORD_WORDS, batch.sockets?.[i], bind)
    }
  }
}

function adopt(
  task: ProxyTask,
  thread: ProxyThread,
  records: Int32Array,
  at: number,
  socket: unknown,
  bindIndex: number,
): void {
  const bind = task.snapshot.binds[bindIndex]!
  const { context, http1, listeners } = thread
  const listener = listeners[bind.listener]!
  let conn: Conn | undefined
  try {
    conn = context.transport.adopt(records, at, socket, DISCARD)
    listener.connectionOpened()
    serve(context, http1, listener, bind, conn)
  } catch (fault) {
    thread.log.error({ err: fault }, 'a connection could not be taken in')
    if (conn === undefined) return
    // Whoever handles it counts it out when it closes; nobody does yet where it was still to be handed over.
    if (conn.handler === DISCARD) listener.connectionClosed()
    conn.abort()
  }
}
