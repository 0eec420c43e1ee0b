import type { Config } from '../core/config.js'
import type { Directory } from '../core/directory.js'
import type { Bind, Snapshot } from '../core/snapshot.js'
import { directoryOf, NO_SNAPSHOT, nextSnapshot, withBinds } from './next-snapshot.js'
import { Slots } from './slots.js'

const FIRST_VERSION = 1
const NEVER_FREE = { isQuiet: () => false, clear: () => {} }

/** The snapshot that holds, and the slots that its parts have. */
export class InForce {
  snapshot: Snapshot
  readonly #slots = {
    listeners: new Slots(NEVER_FREE),
    groups: new Slots(NEVER_FREE),
    series: new Slots(NEVER_FREE),
  }

  constructor(config: Config) {
    this.snapshot = withBinds(nextSnapshot(config, NO_SNAPSHOT, this.#slots, FIRST_VERSION), [])
  }

  get directory(): Directory {
    return directoryOf(this.snapshot)
  }

  bound(binds: readonly (Bind | undefined)[]): void {
    this.snapshot = withBinds(this.snapshot, binds)
  }
}
