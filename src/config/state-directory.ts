import { homedir } from 'node:os'
import { join } from 'node:path'

/**
 * Where Castor keeps what must outlive it when the configuration does not say: systemd's `StateDirectory=`, else the
 * user's state directory (XDG Base Directory). Empty where there is neither.
 */
export function stateDirectory(env: NodeJS.ProcessEnv = process.env, home = homeDirectory()): string {
  // systemd joins several by colons; the first is the one that the unit names first.
  const given = env.STATE_DIRECTORY?.split(':')[0]
  if (given) return given
  const { XDG_STATE_HOME } = env
  if (XDG_STATE_HOME?.startsWith('/')) return join(XDG_STATE_HOME, 'castor')
  return home === '' ? '' : join(home, '.local/state/castor')
}

function homeDirectory(): string {
  try {
    return homedir()
  } catch {
    // A user without an entry in the user database, as containers have.
    return ''
  }
}
