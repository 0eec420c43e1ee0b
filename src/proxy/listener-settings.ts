import type { ListenerConfig } from '../core/config.js'
import { Upgrades } from '../http/upgrade.js'
import { CidrSet } from '../net/cidr-set.js'
import { hstsLine } from './hsts.js'

/** How a listener serves by one version of the configuration, and what follows from it. Never changes: the next version has its own. */
export class ListenerSettings {
  readonly config: ListenerConfig
  /** Peers whose X-Forwarded-For is believed. */
  readonly trusted: CidrSet
  /** Peers that must send a PROXY header. */
  readonly proxied: CidrSet
  /** Clients that are told how their requests are routed. */
  readonly explained: CidrSet
  readonly upgrades: Upgrades
  /** Goes with every response. */
  readonly hstsLine: Uint8Array | undefined
  /** Targets are told of clients' certificates. */
  readonly asksForCertificates: boolean

  constructor(config: ListenerConfig) {
    this.config = config
    this.trusted = new CidrSet(config.trustForwardedFrom)
    this.proxied = new CidrSet(config.acceptProxyProtocol)
    this.explained = new CidrSet(config.explainFrom)
    this.upgrades = new Upgrades(config.upgrades)
    this.hstsLine = hstsLine(config.tls?.hsts)
    this.asksForCertificates = config.tls !== undefined && config.tls.clientCertificates.mode !== 'none'
  }
}
