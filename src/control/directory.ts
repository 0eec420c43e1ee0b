import type { Config } from '../core/config.js'
import type { Directory } from '../core/directory.js'
import type { Capacity } from '../core/shared-counters.js'

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
  }
}

export function capacityFor(config: Config, directory: Directory): Capacity {
  const targets = config.targetGroups.reduce((sum, group) => sum + group.targets.length, 0)
  return {
    workers: config.workers,
    listeners: directory.listeners.length,
    series: directory.series.length,
    groups: directory.groups.length,
    targets: targets + config.reserve.targets,
    sessions: config.sessions.capacity,
  }
}
