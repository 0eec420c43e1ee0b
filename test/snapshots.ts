import { NO_SNAPSHOT, nextSnapshot, withBinds } from '../src/control/next-snapshot.js'
import { Slots } from '../src/control/slots.js'
import type { Config } from '../src/core/config.js'
import type { Snapshot } from '../src/core/snapshot.js'

const NEVER_FREE = { isQuiet: () => false, clear: () => {} }

/** The snapshot that a process starts with, without binds. */
export function firstSnapshot(config: Config): Snapshot {
  const slots = { listeners: new Slots(NEVER_FREE), groups: new Slots(NEVER_FREE), series: new Slots(NEVER_FREE) }
  return withBinds(nextSnapshot(config, NO_SNAPSHOT, slots, 1), [])
}
