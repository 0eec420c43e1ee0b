import type { FromProbe, ProbeTask, ToProbe } from '../../src/core/messages.js'
import { createWorkerLogger } from '../../src/observe/log.js'
import { assemble } from './assemble.js'

const TICK_MS = 20

/** The probe thread from beginning to end, as a task that Piscina runs once: resolves when told to stop. */
export default async function probeThread(task: ProbeTask): Promise<void> {
  const post = (message: FromProbe): void => task.port.postMessage(message)
  const identity = { node: task.config.node, thread: 'probe' }
  const log = createWorkerLogger(task.config.log, (line) => post({ type: 'log', line }), identity)
  const thread = assemble(task, log, (slot, state, reason) => post({ type: 'verdict', slot, state, reason }))
  const ticking = setInterval(() => {
    thread.clock.refresh()
    thread.wheel.tick()
    thread.targets.look()
  }, TICK_MS)
  void Promise.all(task.targets.map((list) => thread.targets.setTargets(list))).then(() => post({ type: 'ready' }))
  await new Promise<void>((resolve) => {
    task.port.on('message', (message: ToProbe) => {
      switch (message.type) {
        case 'stop':
          resolve()
          return
        case 'targets':
          thread.clock.refresh()
          void thread.targets.setTargets(message.targets)
          return
        case 'tls':
          thread.credentials.replace(message.tlsGroups)
          return
      }
    })
  })
  clearInterval(ticking)
  thread.stop()
  task.port.close()
}
