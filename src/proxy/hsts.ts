import type { HstsConfig } from '../core/config-tls.js'

/** The Strict-Transport-Security line of a listener (RFC 6797 6.1); undefined for none. */
export function hstsLine(hsts: HstsConfig | undefined): Uint8Array | undefined {
  if (hsts === undefined) return undefined
  const subdomains = hsts.includeSubDomains ? '; includeSubDomains' : ''
  const preload = hsts.preload ? '; preload' : ''
  return Buffer.from(`strict-transport-security: max-age=${hsts.maxAgeSeconds}${subdomains}${preload}\r\n`, 'latin1')
}
