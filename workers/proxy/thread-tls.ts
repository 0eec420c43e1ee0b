import { isIP } from 'node:net'
import { isDeepStrictEqual } from 'node:util'
import type { Logger } from 'pino'
import type { Transport } from '../../src/core/conn.js'
import { areTicketKeys } from '../../src/core/mesh-rules.js'
import type { ClientTls, ClientTlsConfig, ServerTlsConfig, TlsMaterial } from '../../src/core/tls.js'
import type { Listener } from '../../src/proxy/listener.js'
import type { TargetGroup } from '../../src/proxy/target-group.js'

/** What a thread speaks TLS with: made of what the primary has read, and made anew where that changes. */
export class ThreadTls {
  readonly #transport: Transport
  readonly #listeners: readonly Listener[]
  readonly #groups: readonly TargetGroup[]
  readonly #log: Logger
  #material: TlsMaterial = { listeners: [], groups: [] }
  #ticketKeys: Uint8Array
  /** By group slot, then by server name; targets that are added later may add to them. */
  readonly #clients: ReadonlyMap<string, ClientTls>[] = []

  /** Throws CastorError TLS_CONFIG where any of it cannot be used. `listeners` by index, `groups` by slot. */
  constructor(
    transport: Transport,
    listeners: readonly Listener[],
    groups: readonly TargetGroup[],
    log: Logger,
    given: { readonly tls: TlsMaterial; readonly ticketKeys: Uint8Array },
  ) {
    this.#transport = transport
    this.#listeners = listeners
    this.#groups = groups
    this.#log = log
    this.#ticketKeys = given.ticketKeys
    this.#each(given.tls, (put) => put())
  }

  /** Connections under way keep what they have. What cannot be used is logged, and what was there before stays. */
  replace(material: TlsMaterial): void {
    this.#each(material, (put) => {
      try {
        put()
      } catch (err) {
        this.#log.error({ err }, 'new certificates cannot be used; those before serve on')
      }
    })
  }

  /** Keys that cannot be used leave those before in force: clients then begin anew, where a dead thread would serve nobody. */
  setTicketKeys(keys: Uint8Array): void {
    if (!areTicketKeys(keys)) {
      this.#log.error({ bytes: keys.length }, 'ticket keys cannot be used; those before stay')
      return
    }
    this.#ticketKeys = keys
    for (const { tls } of this.#listeners) tls?.setTicketKeys(keys)
  }

  #each(material: TlsMaterial, attempt: (put: () => void) => void): void {
    const before = this.#material
    this.#material = material
    for (const [index, config] of material.listeners.entries()) {
      if (config === undefined || isDeepStrictEqual(config, before.listeners[index])) continue
      attempt(() => this.#putListener(this.#listeners[index]!, config))
    }
    for (const [slot, config] of material.groups.entries()) {
      if (config === undefined || isDeepStrictEqual(config, before.groups[slot])) continue
      attempt(() => this.#putGroup(slot, config))
    }
  }

  #putListener(listener: Listener, config: ServerTlsConfig): void {
    const next = this.#transport.serverTls(config)
    next.setTicketKeys(this.#ticketKeys)
    const old = listener.tls
    listener.tls = next
    old?.dispose()
  }

  /** Targets that are asked for by their own host names need one each, and share it where the name is the same. */
  #putGroup(slot: number, config: ClientTlsConfig): void {
    const byName = new Map<string, ClientTls>()
    const tlsFor = (host: string): ClientTls => {
      const serverName = config.serverName || (isIP(host) === 0 ? host.toLowerCase() : '')
      const known = byName.get(serverName)
      if (known !== undefined) return known
      const made = this.#transport.clientTls({ ...config, serverName })
      byName.set(serverName, made)
      return made
    }
    this.#groups[slot]!.set.setTls(tlsFor)
    for (const old of this.#clients[slot]?.values() ?? []) old.dispose()
    this.#clients[slot] = byName
  }
}
