import { nativeAddon } from '../native/addon.js'
import type { Logger } from '../observe/log.js'
import { InheritedSockets } from './inherited-sockets.js'
import type { StartOptions } from './running.js'
import { SdNotify } from './sd-notify.js'
import { activatedSockets } from './socket-activation.js'
import type { Predecessor } from './upgrade/predecessor.js'

/** What whoever started this process has left for it: a service manager to talk to, and sockets. Taken out of `env`. */
export function surroundings(
  env: NodeJS.ProcessEnv,
  pid: number,
  log: Logger,
  predecessor: Predecessor | undefined,
): Pick<StartOptions, 'inherited' | 'sdNotify'> {
  const addon = nativeAddon()
  const sdNotify = new SdNotify(env, pid, addon, log)
  if (predecessor !== undefined) return { sdNotify, inherited: predecessor.sockets }
  const sockets = activatedSockets(env, pid, addon)
  if (sockets.length === 0) return { sdNotify }
  return { sdNotify, inherited: new InheritedSockets(sockets, (fd) => addon?.closeFd(fd, 0)) }
}
