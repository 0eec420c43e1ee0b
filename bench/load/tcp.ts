import { serveOrder } from '../serve-order.js'
import { type PingPongOptions, pingPong } from './ping-pong.js'

// Blocks of bytes that a TCP echo server sends back.
serveOrder((options: PingPongOptions) => {
  const message = Buffer.alloc(options.bytes, 'x')
  return pingPong(options, {
    greeting: Buffer.alloc(0),
    welcome: '',
    message,
    echoStart: message.subarray(0, 1),
    echoLength: message.length,
  })
})
