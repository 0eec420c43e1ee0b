import type { Logger } from 'pino'
import type { Config } from '../core/config.js'
import { isTlsGroup, isTlsListener } from '../core/protocols.js'
import { type NativeAddon, nativeAddon, type WholeAddon } from '../native/addon.js'
import { TLS_WORDS } from '../native/tls-addon.js'

/**
 * The addon, where it can do all that the configuration asks for; undefined means that the process runs on Node's own
 * sockets, listeners and threads alike. Says why.
 */
export function chooseAddon(config: Config, log: Logger): WholeAddon | undefined {
  const addon = nativeAddon()
  if (addon === undefined) {
    log.warn('the native addon is not there: listening sockets are shared by the threads, which is slower')
    return undefined
  }
  const why = usesTls(config) ? lacksTls(addon) : undefined
  if (why === undefined) return addon
  log.warn({ why }, "the native addon speaks no TLS with this Node: all runs on Node's own sockets, which is slower")
  return undefined
}

const usesTls = ({ listeners, targetGroups }: Config): boolean =>
  listeners.some(({ protocol }) => isTlsListener(protocol)) || targetGroups.some(({ protocol }) => isTlsGroup(protocol))

function lacksTls(addon: NativeAddon): string | undefined {
  const error = addon.tlsOpen?.(new Int32Array(TLS_WORDS))
  if (error === undefined) return 'it was built without TLS'
  return error === 0 ? undefined : addon.errorName(error)
}
