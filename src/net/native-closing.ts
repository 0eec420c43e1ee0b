/** How a descriptor is closed: with what was sent before, by a reset, or only once the peer could read why. */
export const CLOSE = 0
export const RESET = 1
export const LINGER = 2
export type Closing = typeof CLOSE | typeof RESET | typeof LINGER
