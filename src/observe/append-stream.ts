import fs, { fstatSync, writeSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { unblocked } from './last-words.js'

/** What the stream tells about trouble: once when writing begins to fail, once when it works again. */
export interface AppendEvents {
  onFailing?(error: NodeJS.ErrnoException): void
  /** `lostBytes` were given up in between. */
  onRecovered?(lostBytes: number): void
}

export interface AppendOptions extends AppendEvents {
  /** Bytes that may wait to be written; what comes beyond is dropped and counted. */
  readonly maxBufferedBytes?: number
  /** Of a file that is made; octal. */
  readonly mode?: number
}

/** Called when a chunk is done with: written, or lost to an error. */
export type Settled = (bytes: number, written: boolean) => void

const DEFAULT_MAX_BUFFERED_BYTES = 8 * 1024 * 1024
const MAX_CHUNKS_A_WRITE = 64
/** How long a pipe that is full is left alone before the next try. */
const BUSY_RETRY_MS = 20
/** Tries of a full pipe at exit: a reader that stands still must not keep the process from ending. */
const BUSY_TRIES_AT_EXIT = 25
/** At the end a reader that has taken nothing for so long is given up. */
const STALL_MS = 1_000
const NEWLINE = new Uint8Array([0x0a])

const writev = promisify(fs.writev)
const close = promisify(fs.close)
const openDescriptor = promisify(fs.open)

/**
 * Appends chunks of lines to a file or descriptor, one asynchronous write at a time, and never fails: what cannot be
 * written (disk full, reader gone) is counted in `lostBytes` and the next chunk is tried as if nothing had happened.
 *
 * Used in place of sonic-boom, whose synchronous flush at exit tries a full disk for ever, and which Pino silences for
 * good after the first broken pipe.
 */
export class AppendStream {
  /** Bytes dropped because too many were waiting, or lost to an error. */
  lostBytes = 0
  /** Chunks of the same. */
  lostChunks = 0
  writtenBytes = 0
  readonly #path: string | undefined
  readonly #options: AppendOptions
  readonly #maxBuffered: number
  #fd: number
  /** The descriptor is closed with the stream. */
  #owns = false
  #queue: { chunk: Uint8Array; settled: Settled | undefined }[] = []
  #buffered = 0
  #writing = false
  #closed = false
  #idle: (() => void)[] = []
  #nextFd = -1
  #failing = false
  #lostWhenFailing = 0
  /** The last write stopped in the middle of a line that could not be finished: the next begins a new one. */
  #torn = false
  /** A write may have to wait for a reader, for ever where that stands still. */
  readonly #mayWait: boolean
  /** Bytes taken, of chunks that are not whole yet as well. */
  #taken = 0
  #abandoned = false

  private constructor(fd: number, path: string | undefined, options: AppendOptions, mayWait: boolean) {
    this.#fd = fd
    this.#path = path
    this.#mayWait = mayWait
    this.#options = options
    this.#maxBuffered = options.maxBufferedBytes ?? DEFAULT_MAX_BUFFERED_BYTES
  }

  /** Over a descriptor that stays the caller's: it is never closed here. */
  static over(fd: number, options: AppendOptions = {}): AppendStream {
    if (!waitsForReaders(fd)) return new AppendStream(fd, undefined, options, false)
    // A thread of the pool that waits for a reader would be missing elsewhere, and at the end of the process.
    const own = unblocked(fd)
    const stream = new AppendStream(own ?? fd, undefined, options, own === undefined)
    stream.#owns = own !== undefined
    return stream
  }

  /** Opens the file for appending and makes it and its folder where missing. Rejects with the system's error. */
  static async open(path: string, options: AppendOptions = {}): Promise<AppendStream> {
    const fd = await openFile(path, options)
    const stream = new AppendStream(fd, path, options, waitsForReaders(fd))
    stream.#owns = true
    return stream
  }

  get bufferedBytes(): number {
    return this.#buffered
  }

  /** False when the chunk was dropped. The chunk belongs to the stream from here on; it should end with a newline. */
  write(chunk: Uint8Array, settled?: Settled): boolean {
    if (this.#closed || this.#buffered + chunk.length > this.#maxBuffered) {
      this.#lose(chunk.length)
      settled?.(chunk.length, false)
      return false
    }
    this.#buffered += chunk.length
    this.#queue.push({ chunk, settled })
    if (!this.#writing) void this.#pump()
    return true
  }

  /**
   * Opens the path again, as after a rotation, and goes on in the new file; what is in flight ends in the old one.
   * Rejects, and keeps the old file, where that fails. Does nothing over a descriptor.
   */
  async reopen(): Promise<void> {
    if (this.#path === undefined || this.#closed) return
    const fd = await openFile(this.#path, this.#options)
    if (this.#nextFd >= 0) await close(this.#nextFd)
    this.#nextFd = fd
    if (!this.#writing) await this.#switchFile()
  }

  /** Resolves when all that was accepted is written or lost. */
  flushed(): Promise<void> {
    if (!this.#writing && this.#queue.length === 0) return Promise.resolve()
    return new Promise((resolve) => this.#idle.push(resolve))
  }

  /**
   * Writes what waits, `withinMs` long at the most, and no longer than somebody reads; then lets go of the file. False where
   * a write is under way that may never end, and with it the process's own exit. Idempotent.
   */
  async close(withinMs = Number.POSITIVE_INFINITY): Promise<boolean> {
    if (this.#closed) return !this.#abandoned
    this.#closed = true
    const untilMs = performance.now() + withinMs
    let taken = -1
    while (this.#writing && this.#taken !== taken && performance.now() < untilMs) {
      taken = this.#taken
      await this.#flushedWithin(Math.min(STALL_MS, untilMs - performance.now()))
    }
    if (this.#writing) {
      this.#abandoned = true
      for (const { chunk, settled } of this.#queue.splice(0)) this.#settle(chunk, settled, false)
      return !this.#mayWait
    }
    if (this.#owns) await close(this.#fd)
    return true
  }

  async #flushedWithin(ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms)
    })
    await Promise.race([this.flushed(), late])
    clearTimeout(timer)
  }

  /** For the moment the process exits: writes what waits at once, gives up on any error. */
  flushSync(): void {
    // Behind a write that waits this one would, too, and nothing would end it.
    if (this.#mayWait && this.#writing) return
    const waiting = this.#queue
    this.#queue = []
    for (const { chunk } of waiting) {
      if (!this.#writeNow(chunk)) return
    }
  }

  #writeNow(chunk: Uint8Array): boolean {
    let tries = 0
    let at = 0
    while (at < chunk.length) {
      try {
        at += writeSync(this.#fd, chunk, at)
      } catch (error) {
        if (!isBusy(error) || ++tries > BUSY_TRIES_AT_EXIT) return false
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BUSY_RETRY_MS)
      }
    }
    return true
  }

  async #pump(): Promise<void> {
    this.#writing = true
    while (this.#queue.length > 0) {
      if (this.#nextFd >= 0) await this.#switchFile()
      const batch = this.#queue.splice(0, MAX_CHUNKS_A_WRITE)
      const written = await this.#writeBatch(batch.map(({ chunk }) => chunk))
      for (const { chunk, settled } of batch) this.#settle(chunk, settled, written)
    }
    if (this.#nextFd >= 0) await this.#switchFile()
    this.#writing = false
    for (const resolve of this.#idle.splice(0)) resolve()
  }

  #settle(chunk: Uint8Array, settled: Settled | undefined, written: boolean): void {
    this.#buffered -= chunk.length
    if (written) this.writtenBytes += chunk.length
    else this.#lose(chunk.length)
    settled?.(chunk.length, written)
  }

  async #writeBatch(chunks: Uint8Array[]): Promise<boolean> {
    let rest = this.#torn ? [NEWLINE, ...chunks] : chunks
    let begun = false
    while (rest.length > 0) {
      try {
        const { bytesWritten } = await writev(this.#fd, rest)
        begun ||= bytesWritten > 0
        this.#taken += bytesWritten
        rest = without(rest, bytesWritten)
      } catch (error) {
        if (isBusy(error) && !this.#abandoned) {
          await new Promise((resolve) => setTimeout(resolve, BUSY_RETRY_MS))
          continue
        }
        this.#torn ||= begun
        this.#fail(error as NodeJS.ErrnoException)
        return false
      }
    }
    this.#torn = false
    this.#recover()
    return true
  }

  async #switchFile(): Promise<void> {
    const old = this.#fd
    this.#fd = this.#nextFd
    this.#nextFd = -1
    this.#torn = false
    await close(old).catch(() => undefined)
  }

  #lose(bytes: number): void {
    this.lostBytes += bytes
    this.lostChunks++
  }

  #fail(error: NodeJS.ErrnoException): void {
    if (this.#failing) return
    this.#failing = true
    this.#lostWhenFailing = this.lostBytes
    this.#options.onFailing?.(error)
  }

  #recover(): void {
    if (!this.#failing) return
    this.#failing = false
    this.#options.onRecovered?.(this.lostBytes - this.#lostWhenFailing)
  }
}

async function openFile(path: string, options: AppendOptions): Promise<number> {
  await makeFolder(dirname(path))
  return openDescriptor(path, 'a', options.mode ?? 0o640)
}

/** Step by step, since Node's own recursive mkdir never comes back from where the system refuses new folders (/proc). */
async function makeFolder(path: string): Promise<void> {
  const isParentMissing = (await tryMakeFolder(path)) === 'ENOENT'
  if (!isParentMissing || dirname(path) === path) return
  await makeFolder(dirname(path))
  // What still fails here, opening the file will report.
  await tryMakeFolder(path)
}

const tryMakeFolder = (path: string): Promise<string | undefined> =>
  mkdir(path).then(
    () => undefined,
    (error: NodeJS.ErrnoException) => error.code,
  )

/** A pipe, a socket or a terminal: what is written has to be taken by somebody. */
function waitsForReaders(fd: number): boolean {
  try {
    const stat = fstatSync(fd)
    return stat.isFIFO() || stat.isSocket() || stat.isCharacterDevice()
  } catch {
    return false
  }
}

const isBusy = (error: unknown): boolean => {
  const code = (error as NodeJS.ErrnoException).code
  return code === 'EAGAIN' || code === 'EBUSY'
}

/** The chunks that remain when the first `bytes` of them are gone. */
function without(chunks: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let skip = bytes
  let first = 0
  while (first < chunks.length && skip >= chunks[first]!.length) skip -= chunks[first++]!.length
  const rest = chunks.slice(first)
  if (skip > 0 && rest.length > 0) rest[0] = rest[0]!.subarray(skip)
  return rest
}
