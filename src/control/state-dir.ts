import { randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  linkSync,
  mkdirSync,
  openSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import type { Config } from '../core/config.js'
import type { Logger } from '../observe/log.js'

const SECRET_FILE = 'secret'
const SECRET_BYTES = 32
const MIN_SECRET_CHARACTERS = 16
const MAX_FILE_BYTES = 1_024
const OTHERS = 0o077
const ROOT = 0

/**
 * What keys the sticky cookies of this host: the cluster's secret, the one that is configured, or a random one, which is
 * made once and kept in the state directory, so that cookies hold over a restart. Where it cannot be kept the log says
 * so, and the cookies of this process mean nothing to the next.
 */
export function cookieSecret(config: Config, log: Logger, before?: string): string {
  const configured = config.cluster?.secret ?? config.secret
  if (configured !== '') return configured
  // An upgrade: clients keep their targets, also where nothing could be kept.
  if (before !== undefined) return before
  const made = randomBytes(SECRET_BYTES).toString('hex')
  // Where no group issues cookies there is nothing to keep.
  if (!config.targetGroups.some(({ stickiness }) => stickiness.type === 'cookie')) return made
  try {
    if (config.stateDir === '') throw new Error('this user has no home directory; set stateDir, or secret')
    return keptSecret(config.stateDir, made, log)
  } catch (err) {
    const { stateDir } = config
    log.warn({ err, stateDir }, 'the secret of sticky cookies cannot be kept: clients lose their targets at a restart')
    return made
  }
}

/** The secret that the directory has, or else `made`, which it has from now on. Two processes at once agree on one. */
export function keptSecret(directory: string, made: string, log: Logger): string {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const file = join(directory, SECRET_FILE)
  const known = readSecret(file, log)
  if (known !== undefined) return known
  // Complete under another name first: a link appears with all of its content, or fails because somebody was earlier.
  const draft = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`
  try {
    writeFileSync(draft, `${made}\n`, { mode: 0o600, flag: 'wx', flush: true })
    linkSync(draft, file)
    return made
  } catch (cause) {
    const other = (cause as NodeJS.ErrnoException).code === 'EEXIST' ? readSecret(file, log) : undefined
    if (other === undefined) throw cause
    return other
  } finally {
    rmSync(draft, { force: true })
  }
}

/** Undefined where there is no such file. @throws Error for one that holds no secret. */
function readSecret(file: string, log: Logger): string | undefined {
  let fd: number
  try {
    // Not through a link, and without waiting for whoever may write into a FIFO.
    fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    if (code === 'ELOOP') throw new Error(notPlain(file))
    throw cause
  }
  try {
    const facts = fstatSync(fd)
    if (!facts.isFile()) throw new Error(notPlain(file))
    if (![process.getuid?.(), ROOT].includes(facts.uid)) {
      throw new Error(
        `${file} belongs to another user (uid ${facts.uid}), who knows it; remove it, and a new one is made`,
      )
    }
    if ((facts.mode & OTHERS) !== 0) {
      fchmodSync(fd, 0o600)
      log.warn({ file }, 'the secret of sticky cookies could be read by others; now only its owner can')
    }
    const bytes = Buffer.alloc(MAX_FILE_BYTES)
    const secret = bytes.toString('utf8', 0, readSync(fd, bytes, 0, MAX_FILE_BYTES, 0)).trim()
    if (secret.length < MIN_SECRET_CHARACTERS) {
      throw new Error(
        `${file} holds no secret of ${MIN_SECRET_CHARACTERS} characters; remove it, and a new one is made`,
      )
    }
    return secret
  } finally {
    closeSync(fd)
  }
}

function notPlain(file: string): string {
  return `${file} is not a plain file; remove it, and a new secret is made`
}
