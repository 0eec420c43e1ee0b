import type { Config } from '../core/config.js'
import type { Directory } from '../core/directory.js'
import type { Capacity } from '../core/shared-counters.js'
import { DEFAULT_SESSIONS } from '../shm/sessions-layout.js'

const MIN_SESSIONS = 64

/** Gives everything in the config its number in shared memory. */
export function buildDirectory(config: Config): Directory {
  const groups = config.targetGroups.map((group) => group.name)
  return {
    listeners: config.listeners.map((listener) => listener.name),
    groups,
    series: config.listeners.map((listener, index) => ({
      listener: index,
      group: groups.indexOf(listener.targetGroup),
    })),
    targets: config.targetGroups.flatMap((group, slot) =>
      group.targets.map((target) => ({ group: slot, id: target.id, address: formatTarget(target.host, target.port) })),
    ),
  }
}

export function capacityFor(config: Config, directory: Directory): Capacity {
  return {
    workers: config.workers,
    listeners: directory.listeners.length,
    series: directory.series.length,
    groups: directory.groups.length,
    targets: directory.targets.length,
    sessions: learns(config) ? DEFAULT_SESSIONS : MIN_SESSIONS,
  }
}

/** Whether any group remembers sessions: without one there is no need for room. */
function learns(config: Config): boolean {
  return config.targetGroups.some(
    ({ stickiness }) => stickiness.type === 'app-cookie' || stickiness.type === 'source-ip',
  )
}

function formatTarget(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
