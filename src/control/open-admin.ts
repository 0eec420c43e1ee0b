import type { AdminFacts } from '../admin/facts.js'
import { type Admin, startAdmin } from '../admin/server.js'
import type { AdminListen, ListenAddress } from '../core/config.js'
import { type InheritedSockets, showSocket } from './inherited-sockets.js'

/** What a service manager or a process before calls the sockets of the admin API. */
export const ADMIN_SOCKET = 'admin'

/**
 * Starts the admin API, on sockets that were opened for it where there are some. Listeners have had theirs by then: what
 * is left is closed.
 */
export async function openAdmin(
  facts: AdminFacts,
  inherited: InheritedSockets | undefined,
  unixSockets: ReadonlyMap<string, number> = new Map(),
): Promise<Admin> {
  const { admin: config } = facts.config
  const tcp = config.listen.filter((listen): listen is ListenAddress => !('path' in listen))
  const sockets = inherited?.match(tcp.map((listen) => ({ name: ADMIN_SOCKET, ...listen }))) ?? []
  const descriptors = new Map<AdminListen, number | undefined>(tcp.map((listen, index) => [listen, sockets[index]?.fd]))
  for (const socket of inherited?.closeRest() ?? []) {
    facts.log.warn({ socket: showSocket(socket) }, 'an inherited socket is for no address of the configuration: closed')
  }
  const descriptorOf = (listen: AdminListen): number | undefined =>
    'path' in listen ? unixSockets.get(listen.path) : descriptors.get(listen)
  return startAdmin({ config, facts, descriptorOf })
}
