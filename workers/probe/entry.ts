import type { FromProbe, ProbeTask, ToProbe } from '../../src/core/messages.js'
import { unpackSnapshot } from '../../src/core/packed-snapshot.js'
import { endProcess, endProcessWithin } from '../../src/native/end-process.js'
import { scheduleNormally } from '../../src/native/scheduling.js'
import { guard } from '../../src/observe/guard.js'
import { lastWords } from '../../src/observe/last-words.js'
import { createWorkerLogger } from '../../src/observe/log.js'
import { Heartbeats, probeRow } from '../../src/shm/heartbeats.js'
import { assemble, TICK_MS } from './assemble.js'
import { watchPrimary } from './primary-watch.js'

/** Where even a line on standard error does not get through. */
const LAST_WORDS_MS = 500
/** As after any failure: whoever supervises the process starts it anew. */
const EXIT_FAILED = 1

/** The probe thread from beginning to end, as a task that Piscina runs once: resolves when told to stop. */
export default async function probeThread(task: ProbeTask): Promise<void> {
  scheduleNormally()
  const heartbeats = new Heartbeats(task.counters.heartbeats)
  const stopBeating = heartbeats.begin(probeRow(task.snapshot.config.workers))
  const stopWatching = task.ownsProcess
    ? watchPrimary(heartbeats, task.snapshot.config.watchdogMs, (silentMs) => endWithoutPrimary(task, silentMs))
    : () => {}
  const post = (message: FromProbe): void => task.port.postMessage(message)
  const identity = { node: task.snapshot.config.node, thread: 'probe' }
  const log = createWorkerLogger(task.snapshot.config.log, (line) => post({ type: 'log', line }), identity)
  const thread = assemble(task, log, (slot, state, reason) => post({ type: 'verdict', slot, state, reason }))
  const ticking = setInterval(
    guard(log, 'checks', () => thread.tick()),
    TICK_MS,
  )
  void Promise.all(task.targets.map((list) => thread.targets.setTargets(list))).then(() => post({ type: 'ready' }))
  thread.targets.takeOn(task.targetsVersion)
  await new Promise<void>((resolve) => {
    task.port.on('message', (message: ToProbe) => {
      switch (message.type) {
        case 'stop':
          resolve()
          return
        case 'segment':
          thread.table.addSegment(message.segment)
          return
        case 'targets':
          thread.clock.refresh()
          void thread.targets.setTargets(message.targets)
          return
        case 'snapshot': {
          const content = unpackSnapshot(message.packed)
          thread.clock.refresh()
          log.level = content.snapshot.config.log.level
          void thread.apply({ ...content, tlsGroups: message.tlsGroups })
          return
        }
        case 'tls':
          thread.credentials.replace(message.tlsGroups)
          return
      }
    })
  })
  clearInterval(ticking)
  thread.stop()
  stopWatching()
  stopBeating()
  task.port.close()
}

/** No new connection is accepted any more, and nobody else is left to say so: the next process will serve. */
function endWithoutPrimary(task: ProbeTask, silentMs: number): void {
  const { config } = task.snapshot
  const last = (line: string): void => {
    lastWords(line.trimEnd(), endProcessWithin(LAST_WORDS_MS, EXIT_FAILED))
    endProcess(EXIT_FAILED)
  }
  const log = createWorkerLogger(config.log, last, { node: config.node, thread: 'probe' })
  log.fatal(
    { thread: 'primary', silentMs: Math.round(silentMs) },
    'the primary thread is stuck; the process ends, to be started anew',
  )
  // The level does not let it through.
  endProcess(EXIT_FAILED)
}
