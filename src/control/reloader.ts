import { isDeepStrictEqual } from 'node:util'
import type {
  ConfigurationState,
  PersistOutcome,
  ReloadControl,
  ReloadOutcome,
  ReloadTrigger,
} from '../admin/reload-control.js'
import { isSame } from '../config/diff.js'
import { formatChange, formatDiff } from '../config/format-diff.js'
import { formatProblem } from '../config/problems.js'
import type { ConfigSource, ReadResult } from '../config/source.js'
import type { TargetEdit } from '../config/write-back.js'
import type { Config } from '../core/config.js'
import type { Logger } from '../observe/log.js'
import { ConfigReader } from './config-reader.js'
import { FileWatch, type FileWatchTimes } from './file-watch.js'
import { whyNotApplied } from './listen-refusal.js'
import { prepareReplacement } from './replace-file.js'
import type { SdNotify } from './sd-notify.js'

export interface ReloaderParts {
  /** Undefined where there is no file that can be read again. */
  readonly source: ConfigSource | undefined
  readonly log: Logger
  /** Is told of each reload that somebody asks for. */
  onAsked?(): void
  /** Is told what came of it. */
  onReloaded?(by: ReloadTrigger, outcome: ReloadOutcome): void
  /** Makes `next` the configuration in force, whole or, where it rejects, not at all. */
  apply(next: Config): Promise<unknown>
  /** Replaced in tests. */
  readonly read?: ConfigReader['read']
  readonly watchTimes?: FileWatchTimes
  /** Is told that a reload begins, and that it is over, whatever came of it. */
  readonly serviceManager?: Pick<SdNotify, 'reloading' | 'ready'> | undefined
}

/** More make a log line that nobody reads; the answer to the command has all. */
const LOGGED_CHANGES = 50
const NO_FILE = 'this process was started without a file that can be read again'
const STOPPING = 'this process is stopping'
const RESULTS = {
  applied: 'applied',
  changed: 'applied',
  unchanged: 'unchanged',
  invalid: 'refused',
  'restart-required': 'refused',
  failed: 'failed',
} as const

/** Reads the file anew, compares, has the difference applied, and remembers what came of it. One thing after the other. */
export class Reloader implements ReloadControl {
  readonly #parts: ReloaderParts
  #inForce: Config
  #state: ConfigurationState
  /** Everything that reads or writes the file, in turn. */
  #last: Promise<unknown> = Promise.resolve()
  /** A reload whose turn has not come: it will read whatever the file holds then, so one is enough for all. */
  #waiting: Promise<ReloadOutcome> | undefined
  #watch: FileWatch | undefined
  #watched: readonly string[] = []
  readonly #reader = new ConfigReader()
  #isStopped = true
  #hasEnded = false

  constructor(config: Config, parts: ReloaderParts) {
    this.#inForce = config
    this.#parts = parts
    const now = Date.now()
    this.#state = {
      version: 1,
      loadedAtMs: now,
      file: parts.source?.file,
      last: undefined,
      lastSuccessMs: now,
      counts: { applied: 0, unchanged: 0, refused: 0, failed: 0 },
    }
  }

  get state(): ConfigurationState {
    return this.#state
  }

  get inForce(): Config {
    return this.#inForce
  }

  /** From now on the file is watched where the configuration says so. */
  start(): void {
    this.#isStopped = false
    this.#follow()
    void this.#warmUp()
  }

  stop(): void {
    this.#isStopped = true
    this.#hasEnded = true
    this.#reader.stop()
    this.#follow()
  }

  reload(by: ReloadTrigger): Promise<ReloadOutcome> {
    if (by !== 'watch') this.#parts.onAsked?.()
    return (this.#waiting ??= this.#inTurn(() => {
      this.#waiting = undefined
      return this.#reload(by)
    }))
  }

  preview(): Promise<ReloadOutcome> {
    return this.#inTurn(() => this.#compare())
  }

  persist<T>(edit: TargetEdit, apply: () => Promise<T | undefined>): Promise<PersistOutcome<T | undefined>> {
    return this.#inTurn(() => this.#persist(edit, apply))
  }

  /** So that the first reload of a large file takes no longer than the next. Whoever asks for one meanwhile comes before. */
  async #warmUp(): Promise<void> {
    if (this.#parts.source === undefined || this.#parts.read !== undefined) return
    for (let left = this.#reader.warmReads(this.#inForce); left > 0; left--) {
      if (this.#isStopped || this.#waiting !== undefined) return
      await this.#inTurn(() => this.#read())
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work)
    this.#last = done.catch(() => {})
    return done
  }

  async #reload(by: ReloadTrigger): Promise<ReloadOutcome> {
    const { serviceManager } = this.#parts
    serviceManager?.reloading()
    const read = await this.#read()
    const outcome = read.type === 'read' ? await this.#apply(read) : failure(read)
    this.#remember(by, outcome)
    this.#parts.onReloaded?.(by, outcome)
    serviceManager?.ready(`serving by configuration ${this.#state.version}; the last reload: ${outcome.result}`)
    return outcome
  }

  async #apply({ config, diff, warnings }: ReadResult & { type: 'read' }): Promise<ReloadOutcome> {
    if (isSame(diff)) return { result: 'unchanged', version: this.#state.version, warnings }
    if (diff.restart.length > 0) return { result: 'restart-required', changes: diff }
    try {
      await this.#parts.apply(config)
    } catch (error) {
      return { result: 'failed', message: whyNotApplied(error) }
    }
    this.#adopt(config)
    return { result: 'applied', version: this.#state.version, changes: diff, warnings }
  }

  async #compare(): Promise<ReloadOutcome> {
    const read = await this.#read()
    if (read.type !== 'read') return failure(read)
    const { diff: changes, warnings } = read
    const { version } = this.#state
    if (isSame(changes)) return { result: 'unchanged', version, warnings }
    return changes.restart.length > 0
      ? { result: 'restart-required', changes }
      : { result: 'changed', version, changes, warnings }
  }

  async #persist<T>(edit: TargetEdit, apply: () => Promise<T | undefined>): Promise<PersistOutcome<T | undefined>> {
    const { source, log } = this.#parts
    const refuse = (why: string) => ({ result: 'refused', message: `nothing was changed: ${why}` }) as const
    if (source === undefined) return refuse(NO_FILE)
    if (!source.isWritable) return refuse(`${source.file} is part of the program and is not written to`)
    const read = await this.#read(edit)
    if (read.type !== 'edited') return refuse('message' in read ? `${source.file}: ${read.message}` : NO_FILE)
    let replacement: Awaited<ReturnType<typeof prepareReplacement>>
    try {
      replacement = await prepareReplacement(source.file, read.before, read.text)
    } catch (error) {
      return refuse(`${source.file} cannot be written: ${(error as Error).message}`)
    }
    let value: T | undefined
    try {
      value = await apply()
    } catch (error) {
      await replacement.discard()
      throw error
    }
    if (value === undefined) {
      await replacement.discard()
      return { result: 'done', value }
    }
    try {
      await replacement.commit()
    } catch (error) {
      const why = (error as Error).message
      log.warn({ file: source.file, reason: why }, 'an operator’s change holds, but could not be written to the file')
      return {
        result: 'not-written',
        message: `it holds until the next start, but ${source.file} cannot be written: ${why}`,
      }
    }
    await this.#parts.apply(read.config).catch((err: unknown) => {
      // It holds all the same, and as the file says; the next reload brings what this one could not.
      log.warn({ err }, 'what was written to the file holds, but the configuration could not be applied with it')
    })
    this.#adopt(read.config)
    log.info({ file: source.file, version: this.#state.version }, 'an operator’s change was written to the file')
    return { result: 'done', value }
  }

  async #read(edit?: TargetEdit): Promise<ReadResult> {
    const { source, read } = this.#parts
    if (source === undefined) return { type: 'unreadable', message: NO_FILE }
    if (this.#hasEnded) return { type: 'unreadable', message: STOPPING }
    try {
      return await (read?.(source, this.#inForce, edit) ?? this.#reader.read(source, this.#inForce, edit))
    } catch (error) {
      return {
        type: 'unreadable',
        message: `${source.file}: ${error instanceof Error ? error.message : String(error)}`,
      }
    }
  }

  #adopt(config: Config): void {
    this.#inForce = config
    this.#state = { ...this.#state, version: this.#state.version + 1, loadedAtMs: Date.now() }
    this.#follow()
  }

  /** Whether files are watched, and which, may itself have been changed by a reload. */
  #follow(): void {
    const { source, log, watchTimes } = this.#parts
    const { reload, plugins } = this.#inForce
    const isWanted = source !== undefined && !this.#isStopped && reload === 'onChange'
    const files = isWanted ? [source.file, ...plugins.map(({ module }) => module)] : []
    if (isDeepStrictEqual(files, this.#watched)) return
    this.#watched = files
    this.#watch?.stop()
    this.#watch = isWanted
      ? new FileWatch(files, log, () => void this.reload('watch').catch(() => {}), watchTimes)
      : undefined
    this.#watch?.start()
  }

  #remember(by: ReloadTrigger, outcome: ReloadOutcome): void {
    const { result } = outcome
    const before = this.#state.last
    const reasons = reasonsOf(outcome)
    const kind = RESULTS[result]
    const atMs = Date.now()
    const isSuccess = kind === 'applied' || kind === 'unchanged'
    this.#state = {
      ...this.#state,
      last: { atMs, by, result, reasons },
      counts: { ...this.#state.counts, [kind]: this.#state.counts[kind] + 1 },
      ...(isSuccess && { lastSuccessMs: atMs }),
    }
    const { log } = this.#parts
    const { version } = this.#state
    if (outcome.result === 'applied') {
      for (const warning of outcome.warnings) {
        log.warn({ problem: formatProblem(warning) }, 'the configuration has a warning')
      }
      const lines = formatDiff(outcome.changes)
      const more = lines.length - LOGGED_CHANGES
      const changes = more > 0 ? [...lines.slice(0, LOGGED_CHANGES), `and ${more} more`] : lines
      log.info({ by, version, changes }, 'the configuration was reloaded')
    } else if (outcome.result === 'unchanged') {
      // A file that was only touched, as tools do every few minutes, is nothing to read about; one that was mended is.
      const isMended = before !== undefined && RESULTS[before.result] !== 'applied' && before.result !== 'unchanged'
      if (by === 'watch' && !isMended) log.debug({ by, version }, 'the configuration file says the same as before')
      else log.info({ by, version }, 'the configuration file says the same as before')
    } else if (by !== 'watch' || before?.result !== result || before.reasons.join() !== reasons.join()) {
      log.error({ by, version, reasons }, 'the configuration was not reloaded; what was in force still is')
    }
  }
}

function failure(read: Exclude<ReadResult, { type: 'read' }>): ReloadOutcome {
  switch (read.type) {
    case 'invalid':
      return { result: 'invalid', problems: read.problems }
    case 'unreadable':
    case 'refused':
      return { result: 'failed', message: read.message }
    case 'edited':
      throw new TypeError('a change was made where nobody asked for one')
  }
}

/** Why nothing was applied, a line each. */
export function reasonsOf(outcome: ReloadOutcome): readonly string[] {
  switch (outcome.result) {
    case 'applied':
    case 'changed':
    case 'unchanged':
      return []
    case 'invalid':
      return outcome.problems.map(formatProblem)
    case 'restart-required':
      return outcome.changes.restart.map((change) => `${formatChange(change)} needs a restart`)
    case 'failed':
      return [outcome.message]
  }
}
