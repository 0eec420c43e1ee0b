import { createSecureContext, type SecureContext } from 'node:tls'
import { isDeepStrictEqual } from 'node:util'
import type { ClientTlsConfig } from '../../src/core/tls.js'
import { systemTrust } from '../../src/net/system-trust.js'

/** What https checks show and trust: the same as their group's traffic, where that speaks TLS too. */
export class CheckCredentials {
  #groups: readonly (ClientTlsConfig | undefined)[]
  /** By group slot. Without authorities, which take long to read, where the group's checks do not verify. */
  readonly #made = new Map<number, { readonly verify: boolean; readonly context: SecureContext }>()
  /** By what is in them: all groups that show and trust the same share one, since reading the system's authorities takes long. */
  readonly #contexts = new Map<string, SecureContext>()

  /** By group slot; undefined for groups that speak no TLS. */
  constructor(groups: readonly (ClientTlsConfig | undefined)[]) {
    this.#groups = groups
  }

  /** For the checks that begin from now on. */
  replace(groups: readonly (ClientTlsConfig | undefined)[]): void {
    for (const group of this.#made.keys())
      if (!isDeepStrictEqual(groups[group], this.#groups[group])) this.#made.delete(group)
    const used = new Set([...this.#made.values()].map(({ context }) => context))
    for (const [content, context] of this.#contexts) if (!used.has(context)) this.#contexts.delete(content)
    this.#groups = groups
  }

  /** `verify` as the group's checks have it. Throws what OpenSSL says where it cannot use the files. */
  of(group: number, verify: boolean): SecureContext {
    const known = this.#made.get(group)
    if (known?.verify === verify) return known.context
    const { ca = '', cert = '', key = '' } = this.#groups[group] ?? {}
    const content = JSON.stringify([verify, verify ? ca : '', cert, key])
    let context = this.#contexts.get(content)
    if (context === undefined) {
      const shown = cert === '' ? {} : { cert, key }
      context = createSecureContext({ ...shown, ...(verify ? { ca: ca || systemTrust() } : {}) })
      this.#contexts.set(content, context)
    }
    this.#made.set(group, { verify, context })
    return context
  }
}
