/** Names of protocols that a connection switches to by Upgrade (RFC 9110 7.8), as the configuration and requests have them. */

export const WEBSOCKET = 'websocket'
/** In place of a name: every protocol except HTTP. */
export const ANY_PROTOCOL = 'any'

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
/** `protocol-name ["/" protocol-version]`. */
export const UPGRADE_PROTOCOL = new RegExp(`^${TOKEN}(?:/${TOKEN})?$`)

/** By these a client would speak HTTP to a target past everything that Castor checks: h2c, its drafts, HTTP itself. */
export const isHttpProtocol = (protocol: string): boolean => /^(?:h2|http)/i.test(protocol)
