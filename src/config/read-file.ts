import { closeSync, constants, fstatSync, openSync, readSync, type Stats, statSync } from 'node:fs'

/** Far beyond any real certificate bundle or configuration. */
export const MAX_FILE_BYTES = 4 * 1024 * 1024
const CHUNK_BYTES = 64 * 1024
/** How long a pipe may stay silent, and how often it is looked at. */
const PIPE_SILENCE_MS = 1_000
const PIPE_POLL_MS = 5

/** Says why a file is not read, for people: `it is a directory`. */
export class UnreadableError extends Error {}

/**
 * The whole of a regular file. Whatever else the path may lead to is refused unopened: a FIFO would be waited for without
 * end, a device may have no end, or do something when it is opened. Throws `UnreadableError`.
 */
export function readRegularFile(path: string): Buffer {
  return guarded(() => {
    const kind = kindOf(statSync(path))
    if (kind !== undefined) throw new UnreadableError(kind)
    // The path may have come to mean something else since.
    return readOpened(path, (stats) => {
      const other = kindOf(stats)
      if (other !== undefined) throw new UnreadableError(other)
    })
  })
}

/** The same for a file that the command line names, which may be a pipe too (`-c /dev/stdin`), as long as it goes on saying something. */
export function readFileOrPipe(path: string): Buffer {
  return guarded(() => (statSync(path).isFIFO() ? readOpened(path, () => {}) : readRegularFile(path)))
}

function guarded<T>(read: () => T): T {
  try {
    return read()
  } catch (cause) {
    if (cause instanceof UnreadableError) throw cause
    throw new UnreadableError(whyUnreadable((cause as NodeJS.ErrnoException).code, cause), { cause })
  }
}

function readOpened(path: string, check: (stats: Stats) => void): Buffer {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    check(fstatSync(fd))
    const chunks: Buffer[] = []
    let length = 0
    for (;;) {
      const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
      const count = readSome(fd, chunk)
      if (count === 0) return Buffer.concat(chunks, length)
      chunks.push(chunk.subarray(0, count))
      length += count
      if (length > MAX_FILE_BYTES) throw new UnreadableError(`it has more than ${MAX_FILE_BYTES / 1024 / 1024} MiB`)
    }
  } finally {
    closeSync(fd)
  }
}

function readSome(fd: number, chunk: Buffer): number {
  for (let waitedMs = 0; ; waitedMs += PIPE_POLL_MS) {
    try {
      return readSync(fd, chunk)
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EAGAIN') throw cause
      if (waitedMs >= PIPE_SILENCE_MS) throw new UnreadableError('it is a pipe on which nothing comes')
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PIPE_POLL_MS)
    }
  }
}

/** What it is in place of a file. */
function kindOf(stats: Stats): string | undefined {
  if (stats.isFile()) {
    return stats.size > MAX_FILE_BYTES ? `it has more than ${MAX_FILE_BYTES / 1024 / 1024} MiB` : undefined
  }
  if (stats.isDirectory()) return 'it is a directory'
  if (stats.isFIFO()) return 'it is a pipe (FIFO), not a file'
  if (stats.isSocket()) return 'it is a socket, not a file'
  return 'it is a device, not a file'
}

/** What others than the owner and the group may do with a file that holds a secret; undefined where that is nothing. */
export function exposure(path: string): string | undefined {
  const mode = statSync(path, { throwIfNoEntry: false })?.mode ?? 0
  if ((mode & 0o002) !== 0) return 'everybody on this host can change it'
  return (mode & 0o004) !== 0 ? 'everybody on this host can read it' : undefined
}

function whyUnreadable(code: string | undefined, cause: unknown): string {
  switch (code) {
    case 'ENOENT':
      return 'there is no such file'
    case 'EACCES':
      return 'this user may not'
    case 'ELOOP':
      return 'its links lead in a circle'
    default:
      return code ?? String(cause)
  }
}
