import type { ConfigDiff } from '../config/diff.js'
import type { Problem } from '../config/problems.js'
import type { TargetEdit } from '../config/write-back.js'
import type { Config } from '../core/config.js'

/** Who asked for a reload. `watch`: the file changed, with `reload: onChange`. */
export type ReloadTrigger = 'signal' | 'api' | 'watch'

/** What came of a reload, or would come of it. Everything but `applied` leaves the configuration in force as it was. */
export type ReloadOutcome =
  | {
      readonly result: 'applied'
      readonly version: number
      readonly changes: ConfigDiff
      readonly warnings: readonly Problem[]
    }
  | { readonly result: 'unchanged'; readonly version: number; readonly warnings: readonly Problem[] }
  /** Of a preview only. */
  | {
      readonly result: 'changed'
      readonly version: number
      readonly changes: ConfigDiff
      readonly warnings: readonly Problem[]
    }
  | { readonly result: 'invalid'; readonly problems: readonly Problem[] }
  /** Some of it takes effect only when the process starts: `changes.restart`. */
  | { readonly result: 'restart-required'; readonly changes: ConfigDiff }
  /** The file cannot be read, there is none, or what it says could not be applied, such as an address in use. */
  | { readonly result: 'failed'; readonly message: string }

export interface LastReload {
  readonly atMs: number
  readonly by: ReloadTrigger
  readonly result: ReloadOutcome['result']
  /** Why it was not applied, a line each; empty where it was, or had nothing to apply. */
  readonly reasons: readonly string[]
}

export interface ConfigurationState {
  /** 1 at the start, and one more with each reload that changed something and each change written to the file. */
  readonly version: number
  /** When what is in force was read, in milliseconds since the epoch. */
  readonly loadedAtMs: number
  /** Absolute; undefined where the process was started without one that can be read again. */
  readonly file: string | undefined
  readonly last: LastReload | undefined
  /** When a reload last found the file right, applied or unchanged; the start counts. */
  readonly lastSuccessMs: number
  /** Reloads since the start, by what came of them. */
  readonly counts: Readonly<Record<'applied' | 'unchanged' | 'refused' | 'failed', number>>
}

/** What became of a change that was to be written to the file as well. `refused`: nothing was changed anywhere. */
export type PersistOutcome<T> =
  | { readonly result: 'done'; readonly value: T }
  | { readonly result: 'refused'; readonly message: string }
  /** It holds in the process, and is not in the file. */
  | { readonly result: 'not-written'; readonly message: string }

/** The configuration of the running process, and how it becomes another. */
export interface ReloadControl {
  readonly state: ConfigurationState
  /** As the file says it; what operators changed since is not in it. */
  readonly inForce: Config
  /** Reads the file anew and applies it. Several at once are one after the other. */
  reload(by: ReloadTrigger): Promise<ReloadOutcome>
  /** What `reload` would do now; nothing changes. */
  preview(): Promise<ReloadOutcome>
  /**
   * Carries out an operator's change and writes it to the file. `apply` changes the process and gives undefined where it
   * cannot; then nothing is written either.
   */
  persist<T>(edit: TargetEdit, apply: () => Promise<T | undefined>): Promise<PersistOutcome<T | undefined>>
}
