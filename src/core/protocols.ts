import type { GroupProtocol, ListenerProtocol } from './config.js'

/** The listener reads requests, as against one that passes bytes through. */
export function isHttpListener(protocol: ListenerProtocol): boolean {
  return protocol === 'http' || protocol === 'https'
}

/** Its clients speak TLS. */
export function isTlsListener(protocol: ListenerProtocol): boolean {
  return protocol === 'tls' || protocol === 'https'
}

/** The group's targets are sent requests. */
export function isHttpGroup(protocol: GroupProtocol): boolean {
  return protocol !== 'tcp' && protocol !== 'tls'
}

/** Its targets are spoken to over TLS. */
export function isTlsGroup(protocol: GroupProtocol): boolean {
  return protocol === 'tls' || protocol === 'https' || protocol === 'h2'
}

/** Its targets speak HTTP/2, many requests on one connection. */
export function isHttp2Group(protocol: GroupProtocol): boolean {
  return protocol === 'h2' || protocol === 'h2c'
}
