import type { FromProxy, ProxyTask, ToProxy } from '../../src/core/messages.js'
import { guard } from '../../src/observe/guard.js'
import { createWorkerLogger } from '../../src/observe/log.js'
import { LoopDelay } from '../../src/observe/loop-delay.js'
import { Heartbeats } from '../../src/shm/heartbeats.js'
import {
  WORKER_ACCESS_RECORDS_DROPPED,
  WORKER_LOOP_DELAY_MAX_MS,
  WORKER_LOOP_DELAY_P50_MS,
  WORKER_LOOP_DELAY_P99_MS,
  WORKER_UPSTREAM_IDLE,
} from '../../src/shm/layout.js'
import { openIntake } from './adopt.js'
import { assemble, type ProxyThread } from './assemble.js'
import { drain } from './drain.js'
import { LeavingTargets } from './leaving-targets.js'

const TICK_MS = 100
const REPORT_MS = 1_000

/** A proxy thread from beginning to end, as a task that Piscina runs once: resolves when it has drained. */
export default async function proxyThread(task: ProxyTask): Promise<void> {
  const stopBeating = new Heartbeats(task.counters.heartbeats).begin(task.column)
  const post = (message: FromProxy, transfer: ArrayBuffer[] = []): void => task.port.postMessage(message, transfer)
  const identity = { node: task.snapshot.config.node, thread: `proxy-${task.column}` }
  const log = createWorkerLogger(task.snapshot.config.log, (line) => post({ type: 'log', line }), identity)
  const thread = assemble(task, log, (lines) => post({ type: 'access', lines }, [lines.buffer]))
  try {
    const leaving = new LeavingTargets(thread, task.targets)
    const intake = await openIntake(task, thread)
    const stopTicking = tick(task, thread, leaving)
    await new Promise<void>((resolve) => {
      const onMessage = guard(log, 'a message', (message: ToProxy) => {
        switch (message.type) {
          case 'drain':
            intake.stop()
            void drain(thread, message.timeoutMs, message.idleGraceMs).then(resolve)
            return
          case 'targets':
            thread.context.clock.refresh()
            leaving.setTargets(message.targets)
            return
          case 'tls':
            thread.tls.replace(message.tls)
            return
          case 'ticket-keys':
            thread.tls.setTicketKeys(message.ticketKeys)
            return
          case 'logged':
            thread.context.accessLog?.acknowledge(message.bytes)
            return
        }
      })
      task.port.on('message', onMessage)
      post({ type: 'ready' })
    })
    stopTicking()
    thread.context.accessLog?.flush()
  } finally {
    thread.context.transport.dispose()
    stopBeating()
    task.port.close()
  }
}

/** Timers of the thread: the wheel and the access log ten times a second, what it reports about itself once. */
function tick(task: ProxyTask, thread: ProxyThread, leaving: LeavingTargets): () => void {
  const { context, groups } = thread
  const at = context.columns.workerAt(task.column)
  const { words } = context.columns
  const delay = new LoopDelay()
  const sample = { p50Ms: 0, p99Ms: 0, maxMs: 0 }
  const { log } = thread
  const tickWheel = guard(log, 'timers', () => {
    context.clock.refresh()
    context.wheel.tick()
  })
  const tickGroups = groups.map((group) => guard(log, `target group ${group.config.name}`, () => group.tick()))
  const lookAtLeaving = guard(log, 'leaving targets', () => leaving.look())
  const makeRoom = guard(log, 'making room', () => {
    thread.giveRoom()
    context.silent.tick()
  })
  const flushLog = guard(log, 'the access log', () => context.accessLog?.flush())
  const ticking = setInterval(() => {
    tickWheel()
    for (const tickGroup of tickGroups) tickGroup()
    lookAtLeaving()
    makeRoom()
    flushLog()
  }, TICK_MS)
  const report = guard(log, 'its report', () => {
    delay.sample(sample)
    words[at + WORKER_LOOP_DELAY_P50_MS] = sample.p50Ms
    words[at + WORKER_LOOP_DELAY_P99_MS] = sample.p99Ms
    words[at + WORKER_LOOP_DELAY_MAX_MS] = sample.maxMs
    words[at + WORKER_UPSTREAM_IDLE] = groups.reduce((sum, group) => sum + group.set.idleConnections, 0)
    words[at + WORKER_ACCESS_RECORDS_DROPPED] = context.accessLog?.dropped ?? 0
  })
  const reporting = setInterval(report, REPORT_MS)
  return () => {
    clearInterval(ticking)
    clearInterval(reporting)
    delay.stop()
  }
}
