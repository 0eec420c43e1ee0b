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
  }
}

function formatTarget(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
