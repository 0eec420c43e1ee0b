import { NO_SNAPSHOT, nextSnapshot, withBinds } from '../src/control/next-snapshot.js'
import { Slots } from '../src/control/slots.js'
import type { Config } from '../src/core/config.js'
import type { Snapshot } from '../src/core/snapshot.js'

const NEVER_FREE = { isQuiet: () => false, clear: () => {} }

/** The snapshot that a process starts with, without binds. */
export function firstSnapshot(config: Config): Snapshot {
  const pool = (): Slots => new Slots(NEVER_FREE)
  const slots = { listeners: pool(), groups: pool(), series: pool(), rules: pool() }
  return withBinds(nextSnapshot(config, NO_SNAPSHOT, slots, 1), [])
}
