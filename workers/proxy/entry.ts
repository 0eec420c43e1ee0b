import type { FromProxy, ProxyTask, ToProxy } from '../../src/core/messages.js'
import { unpacking } from '../../src/core/packed-snapshot.js'
import { type Step, Turns } from '../../src/core/turns.js'
import { scheduleNormally } from '../../src/native/scheduling.js'
import { FAULT, guard } from '../../src/observe/guard.js'
import { createWorkerLogger } from '../../src/observe/log.js'
import { LoopDelay } from '../../src/observe/loop-delay.js'
import type { TargetSet } from '../../src/proxy/target-set.js'
import { Heartbeats } from '../../src/shm/heartbeats.js'
import {
  WORKER_ACCESS_RECORDS_DROPPED,
  WORKER_LOOP_DELAY_MAX_MS,
  WORKER_LOOP_DELAY_P50_MS,
  WORKER_LOOP_DELAY_P99_MS,
  WORKER_UPSTREAM_IDLE,
} from '../../src/shm/layout.js'
import { openIntake } from './adopt.js'
import { assemble } from './assemble.js'
import { drain } from './drain.js'
import type { LiveConfiguration } from './live-configuration.js'
import { pluginHost } from './plugin-faults.js'
import type { ProxyThread } from './proxy-thread.js'

const TICK_MS = 100
const REPORT_MS = 1_000

/** A proxy thread from beginning to end, as a task that Piscina runs once: resolves when it has drained. */
export default async function proxyThread(task: ProxyTask): Promise<void> {
  scheduleNormally()
  const stopBeating = new Heartbeats(task.counters.heartbeats).begin(task.column)
  const post = (message: FromProxy, transfer: ArrayBuffer[] = []): void => task.port.postMessage(message, transfer)
  const identity = { node: task.snapshot.config.node, thread: `proxy-${task.column}` }
  const log = createWorkerLogger(task.snapshot.config.log, (line) => post({ type: 'log', line }), identity)
  const plugins = pluginHost(task, log)
  await plugins.prepare(task.snapshot.config.plugins, task.snapshot.plugins)
  const thread = assemble(task, log, (lines) => post({ type: 'access', lines }, [lines.buffer]), plugins)
  try {
    const intake = await openIntake(task, thread)
    const stopTicking = tick(task, thread)
    await new Promise<void>((resolve) => {
      function* obey(message: ToProxy): Generator<Step> {
        switch (message.type) {
          case 'drain':
            intake.stop()
            void drain(thread, message.timeoutMs, message.idleGraceMs).then(resolve)
            return
          case 'segment':
            thread.addSegment(message.segment)
            return
          case 'targets':
            thread.setTargets(message.targets)
            return
          case 'snapshot': {
            const content = yield* unpacking(message.packed)
            yield
            // Its modules may have to be imported: until they are, this thread serves by what it has.
            yield plugins.prepare(content.snapshot.config.plugins, content.snapshot.plugins)
            yield* thread.applying({ ...content, tls: message.tls })
            intake.change(content.snapshot, message.listeningFds ?? []).catch((err: unknown) => {
              log.error({ err, what: 'listening sockets' }, FAULT)
            })
            return
          }
          case 'tls':
            thread.setTls(message.tls)
            return
          case 'ticket-keys':
            thread.tls.setTicketKeys(message.ticketKeys)
            return
          case 'logged':
            thread.accessLog.acknowledge(message.bytes)
            return
        }
      }
      // In their order: what comes behind a large snapshot waits until that is taken on.
      const turns = new Turns((err) => log.error({ err, what: 'a message' }, FAULT))
      task.port.on('message', (message: ToProxy) => turns.add(obey(message)))
      post({ type: 'ready' })
    })
    stopTicking()
    thread.accessLog.flush()
  } finally {
    thread.context.transport.dispose()
    stopBeating()
    task.port.close()
  }
}

/** Timers of the thread: the wheel and the access log ten times a second, what it reports about itself once. */
function tick(task: ProxyTask, thread: ProxyThread): () => void {
  const { context, live } = thread
  const at = context.columns.workerAt(task.column)
  const { workerWords: words } = context.columns
  const delay = new LoopDelay()
  const sample = { p50Ms: 0, p99Ms: 0, maxMs: 0 }
  const { log } = thread
  const tickWheel = guard(log, 'timers', () => {
    context.clock.refresh()
    context.wheel.tick()
  })
  const tickSet = guard(log, 'a target group', (set: TargetSet) => set.tick())
  const lookAtLeaving = guard(log, 'what is leaving', () => thread.tick())
  const makeRoom = guard(log, 'making room', () => {
    thread.giveRoom()
    context.silent.tick()
  })
  const flushLog = guard(log, 'the access log', () => thread.accessLog.flush())
  const ticking = setInterval(() => {
    tickWheel()
    for (const set of live.allSets()) tickSet(set)
    lookAtLeaving()
    makeRoom()
    flushLog()
  }, TICK_MS)
  const report = guard(log, 'its report', () => {
    delay.sample(sample)
    words[at + WORKER_LOOP_DELAY_P50_MS] = sample.p50Ms
    words[at + WORKER_LOOP_DELAY_P99_MS] = sample.p99Ms
    words[at + WORKER_LOOP_DELAY_MAX_MS] = sample.maxMs
    words[at + WORKER_UPSTREAM_IDLE] = idleConnections(live)
    words[at + WORKER_ACCESS_RECORDS_DROPPED] = thread.accessLog.dropped
  })
  const reporting = setInterval(report, REPORT_MS)
  return () => {
    clearInterval(ticking)
    clearInterval(reporting)
    delay.stop()
  }
}

function idleConnections(live: LiveConfiguration): number {
  let sum = 0
  for (const set of live.allSets()) sum += set.idleConnections
  return sum
}
