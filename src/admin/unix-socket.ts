import { chmodSync, lstatSync, mkdtempSync, renameSync, rmdirSync, type Stats, unlinkSync } from 'node:fs'
import type { Server } from 'node:http'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'

/** Only the user that Castor runs as, and root. */
const SOCKET_MODE = 0o600
const PROBE_MS = 2_000

/**
 * Listens on a Unix socket at `path`. One that a process left behind is replaced; where a process still listens, or
 * something else than a socket lies there, it rejects. Resolves to what takes the socket away again.
 *
 * The socket is bound within a directory that nobody else can enter and moved to its place with its mode set, so that
 * nobody can open it in between.
 */
export async function listenUnix(server: Server, path: string): Promise<() => void> {
  await refuseTaken(path)
  const parent = dirname(path)
  if (statOf(parent) === undefined) throw new Error(`the directory ${parent} does not exist`)
  const folder = mkdtempSync(`${parent}/.`)
  const made = join(folder, 's')
  try {
    await bind(server, made)
    chmodSync(made, SOCKET_MODE)
    const own = lstatSync(made)
    renameSync(made, path)
    return () => remove(path, own)
  } catch (cause) {
    server.close()
    throw cause
  } finally {
    rmdirSync(folder)
  }
}

/** The same on a socket that another process has put there. */
export async function adoptUnix(server: Server, path: string, fd: number): Promise<() => void> {
  const own = statOf(path)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ fd }, () => {
      server.off('error', reject)
      resolve()
    })
  })
  return own === undefined ? () => {} : () => remove(path, own)
}

/** Of a server that listens; Node shows it on its own handle only. */
export function descriptorOfServer(server: Server): number {
  return (server as Server & { readonly _handle?: { readonly fd: number } })._handle?.fd ?? -1
}

function bind(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ path, exclusive: true }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

async function refuseTaken(path: string): Promise<void> {
  const there = statOf(path)
  if (there === undefined) return
  if (!there.isSocket()) throw new Error('something else than a socket lies there')
  if (await isAlive(path)) throw new Error('a process listens there already')
}

/** Whether somebody accepts connections there. A queue that is full, or a right that is missing, means that somebody may. */
function isAlive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path })
    const settle = (alive: boolean): void => {
      socket.destroy()
      resolve(alive)
    }
    socket.setTimeout(PROBE_MS, () => settle(true))
    socket.once('connect', () => settle(true))
    socket.once('error', ({ code }: NodeJS.ErrnoException) => settle(code !== 'ECONNREFUSED' && code !== 'ENOENT'))
  })
}

/** Takes the file away where it is still the one that was made: a newer process may have put its own there. */
function remove(path: string, own: Stats): void {
  const there = statOf(path)
  if (there?.ino === own.ino && there.dev === own.dev) unlinkSync(path)
}

function statOf(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false })
}
