import { isIP } from 'node:net'
import { isDeepStrictEqual } from 'node:util'
import type { Logger } from 'pino'
import type { Transport } from '../../src/core/conn.js'
import { areTicketKeys } from '../../src/core/mesh-rules.js'
import type { ClientTls, ClientTlsConfig, ServerTlsConfig, TlsMaterial } from '../../src/core/tls.js'
import { Listener } from '../../src/proxy/listener.js'
import type { TargetSet } from '../../src/proxy/target-set.js'

interface GroupTls {
  readonly config: ClientTlsConfig
  /** By server name; targets that are added later may add to them. */
  readonly byName: ReadonlyMap<string, ClientTls>
}

/** What a thread speaks TLS with: made of what the primary has read, and made anew where that changes. */
export class ThreadTls {
  readonly #transport: Transport
  readonly #log: Logger
  #ticketKeys: Uint8Array
  readonly #servers = new Map<Listener, ServerTlsConfig>()
  readonly #clients = new Map<TargetSet, GroupTls>()

  constructor(transport: Transport, log: Logger, ticketKeys: Uint8Array) {
    this.#transport = transport
    this.#log = log
    this.#ticketKeys = ticketKeys
  }

  /**
   * From here on TLS is spoken with this; `listeners` and `sets` by slot, with gaps, as `material` is. Connections under
   * way keep what they have. What cannot be used is logged, and what was there before stays; throws CastorError TLS_CONFIG
   * where nothing was there before.
   */
  take(
    material: TlsMaterial,
    listeners: readonly (Listener | undefined)[],
    sets: readonly (TargetSet | undefined)[],
  ): void {
    for (const [slot, config] of material.listeners.entries()) {
      const listener = listeners[slot]
      if (config === undefined || listener === undefined) continue
      const before = this.#servers.get(listener)
      if (isDeepStrictEqual(config, before)) continue
      this.#attempt(before === undefined, () => this.#putListener(listener, config))
    }
    for (const [slot, config] of material.groups.entries()) {
      const set = sets[slot]
      if (config === undefined || set === undefined) continue
      const before = this.#clients.get(set)
      if (isDeepStrictEqual(config, before?.config)) continue
      this.#attempt(before === undefined, () => this.#putGroup(set, config))
    }
  }

  /** No new connection will ask for what this one had. */
  release(gone: Listener | TargetSet): void {
    if (gone instanceof Listener) {
      gone.tls?.dispose()
      gone.tls = undefined
      this.#servers.delete(gone)
    } else {
      for (const tls of this.#clients.get(gone)?.byName.values() ?? []) tls.dispose()
      this.#clients.delete(gone)
    }
  }

  /** Keys that cannot be used leave those before in force: clients then begin anew, where a dead thread would serve nobody. */
  setTicketKeys(keys: Uint8Array): void {
    if (!areTicketKeys(keys)) {
      this.#log.error({ bytes: keys.length }, 'ticket keys cannot be used; those before stay')
      return
    }
    this.#ticketKeys = keys
    for (const { tls } of this.#servers.keys()) tls?.setTicketKeys(keys)
  }

  #attempt(isFirst: boolean, put: () => void): void {
    if (isFirst) {
      put()
      return
    }
    try {
      put()
    } catch (err) {
      this.#log.error({ err }, 'new certificates cannot be used; those before serve on')
    }
  }

  #putListener(listener: Listener, config: ServerTlsConfig): void {
    const next = this.#transport.serverTls(config)
    next.setTicketKeys(this.#ticketKeys)
    const old = listener.tls
    listener.tls = next
    this.#servers.set(listener, config)
    old?.dispose()
  }

  /** Targets that are asked for by their own host names need one each, and share it where the name is the same. */
  #putGroup(set: TargetSet, config: ClientTlsConfig): void {
    const byName = new Map<string, ClientTls>()
    const tlsFor = (host: string): ClientTls => {
      const serverName = config.serverName || (isIP(host) === 0 ? host.toLowerCase() : '')
      const known = byName.get(serverName)
      if (known !== undefined) return known
      const made = this.#transport.clientTls({ ...config, serverName })
      byName.set(serverName, made)
      return made
    }
    set.setTls(tlsFor)
    for (const old of this.#clients.get(set)?.byName.values() ?? []) old.dispose()
    this.#clients.set(set, { config, byName })
  }
}
