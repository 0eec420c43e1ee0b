import { type FSWatcher, watch } from 'node:fs'
import { realpath, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Logger } from '../observe/log.js'

/** Two files that belong together are seldom written at one moment: so long nothing more may happen. */
const SETTLE_MS = 250
/** What no event announces, such as a swap of a directory further up or a network file system, is found by looking. */
const POLL_MS = 10_000

export interface FileWatchTimes {
  readonly settleMs: number
  readonly pollMs: number
}

/**
 * Says when any of some files has become another: written to, replaced by a rename, or reached by another symbolic link.
 * Directories are watched rather than files, which a rename would leave behind; and every file is looked at now and then.
 */
export class FileWatch {
  readonly #paths: readonly string[]
  readonly #log: Logger
  readonly #onChange: () => void
  readonly #times: FileWatchTimes
  readonly #watchers = new Map<string, FSWatcher>()
  /** What each file was when last looked at. */
  #seen = new Map<string, string>()
  #settling: NodeJS.Timeout | undefined
  #looking: NodeJS.Timeout | undefined
  #look: Promise<void> = Promise.resolve()
  #stopped = false

  constructor(
    paths: readonly string[],
    log: Logger,
    onChange: () => void,
    times: FileWatchTimes = { settleMs: SETTLE_MS, pollMs: POLL_MS },
  ) {
    this.#paths = paths
    this.#log = log
    this.#onChange = onChange
    this.#times = times
  }

  /** Tells of a change once at first, since nobody knows what happened before. */
  start(): void {
    if (this.#paths.length === 0) return
    this.#queueLook()
    this.#looking = setInterval(() => this.#queueLook(), this.#times.pollMs)
    this.#looking.unref()
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#settling)
    clearInterval(this.#looking)
    for (const watcher of this.#watchers.values()) watcher.close()
    this.#watchers.clear()
  }

  #queueLook(): void {
    this.#look = this.#look.then(() => this.#lookNow())
  }

  async #lookNow(): Promise<void> {
    if (this.#stopped) return
    const seen = new Map<string, string>()
    const directories = new Set<string>()
    for (const path of this.#paths) {
      directories.add(dirname(path))
      const real = await realpath(path).catch(() => path)
      directories.add(dirname(real))
      seen.set(path, await signature(path))
    }
    if (this.#stopped) return
    await this.#watchAll(directories)
    const changed = this.#paths.some((path) => seen.get(path) !== this.#seen.get(path))
    this.#seen = seen
    if (changed && !this.#stopped) this.#onChange()
  }

  /** A directory that was replaced by another is another directory: its signature is part of the key. */
  async #watchAll(directories: ReadonlySet<string>): Promise<void> {
    const wanted = new Map<string, string>()
    for (const directory of directories) {
      const found = await stat(directory).catch(() => undefined)
      if (found !== undefined) wanted.set(`${directory}:${found.dev}:${found.ino}`, directory)
    }
    if (this.#stopped) return
    for (const [key, watcher] of this.#watchers) {
      if (wanted.has(key)) continue
      watcher.close()
      this.#watchers.delete(key)
    }
    for (const [key, directory] of wanted) if (!this.#watchers.has(key)) this.#watchOne(key, directory)
  }

  #watchOne(key: string, directory: string): void {
    try {
      const watcher = watch(directory, { persistent: false }, () => this.#stir())
      watcher.on('error', () => {
        watcher.close()
        this.#watchers.delete(key)
      })
      this.#watchers.set(key, watcher)
    } catch (err) {
      // Out of watches: the looks every few seconds remain.
      this.#log.debug({ err, directory }, 'a directory cannot be watched; its files are looked at every ten seconds')
    }
  }

  #stir(): void {
    if (this.#stopped) return
    clearTimeout(this.#settling)
    this.#settling = setTimeout(() => this.#queueLook(), this.#times.settleMs)
    this.#settling.unref()
  }
}

/** Changes whenever the file does; links are followed. */
async function signature(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true })
    return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code ?? 'unreadable'
  }
}
