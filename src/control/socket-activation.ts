import { CastorError } from '../core/errors.js'
import type { WholeAddon } from '../native/addon.js'
import { boundAddress, type InheritedSocket } from './inherited-sockets.js'

/** systemd's protocol: descriptors from 3 on. */
const FIRST_DESCRIPTOR = 3
const MAX_SOCKETS = 1_024
const BACKLOG = 4_096
/** What systemd calls a socket whose unit gives it no name, and what is no listener's. */
const NAMELESS = ['', 'unknown', 'connection', 'stored']

/**
 * The sockets that the service manager has opened for this process (`LISTEN_PID`, `LISTEN_FDS`, `LISTEN_FDNAMES`), which
 * no child process gets: the variables are taken out of `env`, the descriptors close on exec. None where it opened none.
 * @throws CastorError LISTEN_FAILED for what is no listening TCP socket, NATIVE_UNAVAILABLE without the addon.
 */
export function activatedSockets(
  env: NodeJS.ProcessEnv,
  pid: number,
  addon: WholeAddon | undefined,
): readonly InheritedSocket[] {
  const { LISTEN_PID: forPid, LISTEN_FDS: given, LISTEN_FDNAMES: named = '' } = env
  for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES', 'LISTEN_PIDFDID']) delete env[name]
  // They may be meant for a process that this one descends from.
  if (given === undefined || forPid !== String(pid)) return []
  const count = /^\d{1,4}$/.test(given) ? Number(given) : Number.NaN
  if (!(count <= MAX_SOCKETS)) {
    throw new CastorError('LISTEN_FAILED', `LISTEN_FDS=${given} is no number of sockets up to ${MAX_SOCKETS}`)
  }
  if (count === 0) return []
  if (addon === undefined) {
    throw new CastorError(
      'NATIVE_UNAVAILABLE',
      `LISTEN_FDS: sockets of the service manager need the native addon, which is not built; start without the socket unit`,
    )
  }
  const names = named.split(':')
  return Array.from({ length: count }, (_, index) => {
    const fd = FIRST_DESCRIPTOR + index
    const name = NAMELESS.includes(names[index] ?? '') ? '' : names[index]!
    const adopted = addon.adoptListening(fd, BACKLOG, 0)
    if (adopted < 0) {
      const reason = addon.errorName(adopted)
      const why = reason === 'EINVAL' ? 'it is no TCP socket that listens (ListenStream= with a port)' : reason
      throw new CastorError('LISTEN_FAILED', `LISTEN_FDS: descriptor ${fd}${name && ` (${name})`}: ${why}`)
    }
    return { fd, name, ...boundAddress(addon, fd) }
  })
}
