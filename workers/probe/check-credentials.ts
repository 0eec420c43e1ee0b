import { createSecureContext, type SecureContext } from 'node:tls'
import type { ClientTlsConfig } from '../../src/core/tls.js'
import { systemTrust } from '../../src/net/system-trust.js'

/** What https checks show and trust: the same as their group's traffic, where that speaks TLS too. */
export class CheckCredentials {
  #groups: readonly (ClientTlsConfig | undefined)[]
  /** By group slot. Without authorities, which take long to read, where the group's checks do not verify. */
  readonly #made = new Map<number, SecureContext>()

  /** By group slot; undefined for groups that speak no TLS. */
  constructor(groups: readonly (ClientTlsConfig | undefined)[]) {
    this.#groups = groups
  }

  /** For the checks that begin from now on. */
  replace(groups: readonly (ClientTlsConfig | undefined)[]): void {
    this.#groups = groups
    this.#made.clear()
  }

  /** `verify` as the group's checks have it. Throws what OpenSSL says where it cannot use the files. */
  of(group: number, verify: boolean): SecureContext {
    const known = this.#made.get(group)
    if (known !== undefined) return known
    const { ca = '', cert = '', key = '' } = this.#groups[group] ?? {}
    const shown = cert === '' ? {} : { cert, key }
    const made = createSecureContext({ ...shown, ...(verify ? { ca: ca || systemTrust() } : {}) })
    this.#made.set(group, made)
    return made
  }
}
