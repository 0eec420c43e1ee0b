import { constants, type Stats } from 'node:fs'
import { type FileHandle, open, readFile, realpath, rename, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/** A new text that lies beside the file, and is put in its place or thrown away. */
export interface Replacement {
  /** Rejects where the file cannot be replaced; the old text is there then. */
  commit(): Promise<void>
  discard(): Promise<void>
}

/** What Kubernetes mounts is swapped for what the cluster says, whatever is written here. */
const KUBERNETES = /\/\.\.(data|\d{4}_\d\d_\d\d_)/

/**
 * Writes `text` to a temporary file in the file's own directory, with its mode and owner, so that it can be renamed into
 * place: whoever reads the file sees the old text or the new one, never a part. Links are followed. Rejects, with the
 * reason for people, where the file does not hold `before` any more or could not be replaced.
 */
export async function prepareReplacement(path: string, before: string, text: string): Promise<Replacement> {
  const real = await realpath(path)
  if (KUBERNETES.test(real)) throw new Error('it is mounted by Kubernetes; change the ConfigMap or Secret')
  const folder = dirname(real)
  const temporary = join(folder, `.${basename(real)}.${process.pid}.tmp`)
  const { mode, uid, gid } = await stat(real)
  const isReadOnly = (mode & 0o200) === 0
  if (isReadOnly) throw new Error('it is read-only')
  // Left behind by a process of the same number that was killed.
  await unlink(temporary).catch(() => {})
  try {
    const handle = await open(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600)
    await fill(handle, text, { mode, uid, gid })
    await demandSame(real, before)
  } catch (cause) {
    await unlink(temporary).catch(() => {})
    throw explain(cause)
  }
  return {
    async commit() {
      try {
        await demandSame(real, before)
        await rename(temporary, real)
      } catch (cause) {
        await unlink(temporary).catch(() => {})
        throw explain(cause)
      }
      await syncFolder(folder)
    },
    discard: () => unlink(temporary).catch(() => {}),
  }
}

async function fill(handle: FileHandle, text: string, like: Pick<Stats, 'mode' | 'uid' | 'gid'>): Promise<void> {
  try {
    await handle.writeFile(text)
    const own = await handle.stat()
    if (own.uid !== like.uid || own.gid !== like.gid) await handle.chown(like.uid, like.gid)
    await handle.chmod(like.mode & 0o7777)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function demandSame(path: string, before: string): Promise<void> {
  if ((await readFile(path, 'utf8')) !== before) throw new Error('somebody else has just changed it')
}

/** So that the rename outlives a power cut; not every file system can do that. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY).catch(() => undefined)
  await handle?.sync().catch(() => {})
  await handle?.close()
}

function explain(cause: unknown): Error {
  const { code, syscall, message } = cause as NodeJS.ErrnoException
  switch (code) {
    case 'EROFS':
      return new Error('its file system is read-only', { cause })
    case 'EACCES':
    case 'EPERM':
      return syscall === 'fchown'
        ? new Error('it belongs to another user, and would not any more', { cause })
        : new Error('this user may not write to its directory', { cause })
    case 'EBUSY':
    case 'EXDEV':
      return new Error('it is a mount of its own, which cannot be replaced; mount its directory instead', { cause })
    case 'ENOSPC':
    case 'EDQUOT':
      return new Error('there is no room left on its file system', { cause })
    default:
      return code === undefined ? (cause as Error) : new Error(message, { cause })
  }
}
