import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { SystemClock } from '../../src/core/clock.js'
import type { ProxyTask } from '../../src/core/messages.js'
import { Affinity, Stickiness } from '../../src/proxy/stickiness.js'
import { KeyHash } from '../../src/shm/key-hash.js'
import { SessionTable } from '../../src/shm/sessions.js'
import { SharedHybridClock } from '../../src/shm/shared-hybrid-clock.js'
import { TargetTable } from '../../src/shm/targets.js'
import { clientAddress, SESSIONS_VARIABLE } from './filling.js'

/**
 * A proxy thread that first binds so many clients to the first target, by the same calls as if each had sent a request:
 * what is looked up afterwards are live entries of the one table there is.
 */
export default async function fillingThread(task: ProxyTask): Promise<void> {
  fill(task, Number(process.env[SESSIONS_VARIABLE]))
  const file = ['bundle.js', 'entry.js']
    .map((name) => new URL(`../../workers/proxy/${name}`, import.meta.url))
    .find((url) => existsSync(fileURLToPath(url)))!
  const { default: proxyThread } = (await import(file.href)) as { default: (task: ProxyTask) => Promise<void> }
  await proxyThread(task)
}

function fill(task: ProxyTask, sessions: number): void {
  const clock = new SystemClock()
  const store = new SessionTable(task.counters.sessions, task.column, clock)
  const group = task.snapshot.config.targetGroups[0]!
  if (group.stickiness.type === 'off') throw new Error('the group remembers no sessions')
  const stickiness = new Stickiness(
    group.stickiness,
    { slot: 0, name: group.name },
    {
      store,
      table: new TargetTable(task.counters.segments),
      clock,
      keys: new KeyHash(Uint8Array.from(task.sessionSeed)),
      stamps: new SharedHybridClock(task.counters.hybridClock, task.snapshot.config.node, () => clock.wallMs),
      secret: '',
    },
  )
  const binding = new Affinity()
  for (let number = 0; number < sessions; number++) {
    const client = { family: 4 as const, address: clientAddress(number), port: 1 }
    stickiness.bindClient(binding, {
      source: client,
      vip: '',
      vport: 0,
      tls: undefined,
      place: -1,
      isForwarded: false,
      sessionKey: undefined,
    })
    stickiness.onTarget(binding, 0)
  }
  const { entries } = store.counts()
  if (entries < sessions * 0.999) throw new Error(`only ${entries} of ${sessions} sessions found room`)
}
