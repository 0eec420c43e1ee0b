import events from 'node:events'
import { setImmediate } from 'node:timers/promises'
import { deserialize } from 'node:v8'
import { Worker } from 'node:worker_threads'
import type { ConfigDiff } from '../config/diff.js'
import type { ConfigSource, ReadMessage, ReadOrder, ReadResult } from '../config/source.js'
import type { TargetEdit } from '../config/write-back.js'
import type { Config } from '../core/config.js'
import { CONFIG_FILE } from './thread-files.js'

/** Far beyond what reading takes; a network file system that hangs must not hold up every later reload. */
const READ_TIMEOUT_MS = 30_000
/** Who reloads once reloads again soon; a thread that has read a file before reads the next in a fifth of the time. */
const KEEP_MS = 5 * 60_000
/** A file of so many targets takes a new thread a second and more, and one that has read it before a third of that. */
const LARGE_TARGETS = 500
/** What the engine has compiled of the reader after so many files is fast. */
const WARM_READS = 3
/**
 * Nearly all that reading makes is garbage when the next file comes. By default the thread's heap grows by 27 MiB over a
 * thousand reloads for it; with so little, collected more often, reading takes the same time. Not so with a large file.
 */
const YOUNG_GENERATION_MIB = 4

/**
 * Reads the configuration in a thread of its own: parsing and checking a large file takes longer than a connection may wait
 * to be accepted. The thread is started when it is first needed, and ends when nobody has needed it for a while; for a large
 * file it is kept.
 */
export class ConfigReader {
  #worker: Worker | undefined
  #idle: NodeJS.Timeout | undefined
  /** What the thread read last, and has. */
  #last: Config | undefined

  /** Rejects only where the thread fails. One at a time. */
  async read(source: ConfigSource, inForce: Config, edit?: TargetEdit): Promise<ReadResult> {
    const { file, set, env } = source
    clearTimeout(this.#idle)
    const worker = (this.#worker ??= this.#start(isLarge(inForce)))
    const order: ReadOrder = {
      source: { file, set, env: { ...env } },
      ...(inForce !== this.#last && { inForce }),
      ...(edit && { edit }),
    }
    const end = new AbortController()
    const once = <T>(event: string): Promise<T> =>
      events.once(worker, event, { signal: end.signal }).then(([value]) => value as T)
    const beganMs = performance.now()
    const late = setTimeout(() => this.stop(), READ_TIMEOUT_MS)
    try {
      worker.postMessage(order)
      // Rejects on an error of the thread.
      const result = await Promise.race([once<ReadMessage>('message'), once('exit').then(() => undefined)])
      if (result !== undefined) return await this.#unpack(result)
      const isLate = performance.now() - beganMs >= READ_TIMEOUT_MS
      const why = isLate
        ? `not read within ${READ_TIMEOUT_MS / 1000} s`
        : 'the thread that reads it ended without an answer'
      return { type: 'unreadable', message: `${file}: ${why}` }
    } finally {
      end.abort()
      clearTimeout(late)
      if (!isLarge(inForce)) this.#idle = setTimeout(() => this.stop(), KEEP_MS).unref()
    }
  }

  /** How often a file like this should be read before somebody waits for it. */
  warmReads(inForce: Config): number {
    return isLarge(inForce) ? WARM_READS : 0
  }

  stop(): void {
    clearTimeout(this.#idle)
    void this.#worker?.terminate()
    this.#worker = undefined
  }

  async #unpack(result: ReadMessage): Promise<ReadResult> {
    if (result.type !== 'read') return result
    const config = deserialize(result.config) as Config
    this.#last = config
    await setImmediate()
    const diff = deserialize(result.diff) as ConfigDiff
    await setImmediate()
    return { ...result, config, diff }
  }

  #start(isForLarge: boolean): Worker {
    this.#last = undefined
    const limits = isForLarge ? {} : { maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB }
    const worker = new Worker(CONFIG_FILE, {
      argv: [],
      resourceLimits: limits,
    })
    worker.on('error', () => {})
    worker.once('exit', () => {
      if (this.#worker === worker) this.#worker = undefined
    })
    // The process does not stay for it.
    worker.unref()
    return worker
  }
}

function isLarge({ targetGroups }: Config): boolean {
  return targetGroups.reduce((sum, { targets }) => sum + targets.length, 0) >= LARGE_TARGETS
}
