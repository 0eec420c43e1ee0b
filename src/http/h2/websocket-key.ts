import { createHash, randomBytes } from 'node:crypto'

/** RFC 6455 1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const KEY_BYTES = 16

/** What HTTP/2 has no need of and HTTP/1.1 cannot do without: a key for a WebSocket handshake (RFC 6455 4.1). */
export function newWebSocketKey(): string {
  return randomBytes(KEY_BYTES).toString('base64')
}

/** The Sec-WebSocket-Accept that answers `key` (RFC 6455 4.2.2). */
export function webSocketAccept(key: string): string {
  return createHash('sha1').update(key).update(GUID).digest('base64')
}
