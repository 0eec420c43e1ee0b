import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { AdminListen } from '../core/config.js'
import { packageRoot } from './package-files.js'
import { whyNotRootOnly } from './root-only.js'

const FOLDER = '/usr/local/sbin'

/** What keeps keepalived from asking whether this host is ready, with the commands that mend it; undefined where nothing does. */
export function readyScriptWarning(script: string, admin: AdminListen): string | undefined {
  const program = 'path' in admin ? unixProgram(script) : undefined
  const refused = whyNotRootOnly(script) ?? (program === undefined ? undefined : whyNotRootOnly(program))
  if (refused !== undefined) {
    return (
      `warning: keepalived will not run ${script}, and a host that is not ready keeps its addresses: ${refused}\n` +
      `  put it where only root can: install -m 755 ${script} ${FOLDER}/castor-ready\n` +
      (program === undefined ? '' : `  with its program: install -m 755 ${program} ${FOLDER}/castor-ready-unix\n`) +
      `  and add: --ready-script ${FOLDER}/castor-ready\n`
    )
  }
  if (!('path' in admin) || program !== undefined || isOnPath('curl')) return undefined
  const built = unixProgram(join(packageRoot(), 'scripts/castor-ready'))
  return (
    `warning: ${script} cannot ask over ${admin.path}, and this host will get no address\n` +
    (built === undefined
      ? '  install curl, or a C compiler and Castor anew\n'
      : `  put its program beside it: install -m 755 ${built} ${join(script, '..', 'castor-ready-unix')}\n`)
  )
}

/** Where the script finds what opens Unix sockets, in its own order; undefined where it needs curl. */
function unixProgram(script: string): string | undefined {
  const folder = join(script, '..')
  return [join(folder, 'castor-ready-unix'), join(folder, '../dist/native/castor-ready')].find(isExecutable)
}

/** The directories that a shell searches where keepalived gives it no PATH of its own. */
const SYSTEM_PATH = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin']

function isOnPath(name: string): boolean {
  const folders = process.env.PATH === undefined ? SYSTEM_PATH : process.env.PATH.split(delimiter)
  return folders.some((folder) => isExecutable(join(folder, name)))
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
