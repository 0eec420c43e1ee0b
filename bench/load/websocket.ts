import { randomBytes } from 'node:crypto'
import { serveOrder } from '../serve-order.js'
import { type PingPongOptions, pingPong } from './ping-pong.js'

// Binary messages that a WebSocket echo server sends back (RFC 6455). Every message is the same frame, masked once
// beforehand: what is measured stands between here and the server and looks into none of them.
serveOrder((options: PingPongOptions) => {
  const payload = Buffer.alloc(options.bytes, 'castor ')
  const mask = randomBytes(4)
  const masked = payload.map((byte, index) => byte ^ mask[index & 3]!)
  return pingPong(options, {
    greeting: Buffer.from(
      [
        'GET /echo HTTP/1.1',
        `Host: 127.0.0.1:${options.port}`,
        'Upgrade: websocket',
        'Connection: Upgrade',
        `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
        'Sec-WebSocket-Version: 13',
        '\r\n',
      ].join('\r\n'),
    ),
    welcome: 'HTTP/1.1 101',
    message: Buffer.concat([frameHead(options.bytes, true), mask, masked]),
    echoStart: Buffer.concat([frameHead(options.bytes, false), payload.subarray(0, 8)]),
    echoLength: frameHead(options.bytes, false).length + options.bytes,
  })
})

/** A final binary frame's head without the mask's key (RFC 6455, 5.2). */
function frameHead(bytes: number, masked: boolean): Buffer {
  const maskBit = masked ? 0x80 : 0
  if (bytes < 126) return Buffer.from([0x82, maskBit | bytes])
  if (bytes < 65536) return Buffer.from([0x82, maskBit | 126, bytes >> 8, bytes & 255])
  const head = Buffer.alloc(10)
  head[0] = 0x82
  head[1] = maskBit | 127
  head.writeUInt32BE(bytes, 6)
  return head
}
