import type {
  ConfigurationState,
  PersistOutcome,
  ReloadControl,
  ReloadOutcome,
  ReloadTrigger,
} from '../../../src/admin/reload-control.js'
import type { TargetEdit } from '../../../src/config/write-back.js'
import type { Config } from '../../../src/core/config.js'

/** Says what a test tells it to say, and remembers what it was asked. */
export class FakeReloading implements ReloadControl {
  state: ConfigurationState = {
    version: 1,
    loadedAtMs: 1_700_000_000_000,
    file: '/etc/castor/castor.yaml',
    last: undefined,
    lastSuccessMs: 1_700_000_000_000,
    counts: { applied: 0, unchanged: 0, refused: 0, failed: 0 },
  }
  inForce: Config
  outcome: ReloadOutcome = { result: 'unchanged', version: 1, warnings: [] }
  /** What keeps a change from being written. */
  refusal: Exclude<PersistOutcome<never>, { result: 'done' }> | undefined
  readonly asked: (ReloadTrigger | 'preview' | TargetEdit)[] = []

  constructor(config: Config) {
    this.inForce = config
  }

  async reload(by: ReloadTrigger): Promise<ReloadOutcome> {
    this.asked.push(by)
    return this.outcome
  }

  async preview(): Promise<ReloadOutcome> {
    this.asked.push('preview')
    return this.outcome
  }

  async persist<T>(edit: TargetEdit, apply: () => Promise<T | undefined>): Promise<PersistOutcome<T | undefined>> {
    this.asked.push(edit)
    if (this.refusal?.result === 'refused') return this.refusal
    const value = await apply()
    return this.refusal ?? { result: 'done', value }
  }
}
