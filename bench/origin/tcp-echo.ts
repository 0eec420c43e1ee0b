import { createServer } from 'node:net'
import { serveOrder } from '../serve-order.js'
import type { OriginOptions } from './content.js'

// Sends back every byte it gets.
serveOrder<OriginOptions, void>(({ port }) => {
  const server = createServer({ noDelay: true, allowHalfOpen: false }, (socket) => {
    socket.on('error', () => {})
    socket.on('data', (data) => socket.write(data))
  })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', 4096, () => resolve())
  })
})
