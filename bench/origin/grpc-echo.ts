import { createServer } from 'node:http2'
import { serveOrder } from '../serve-order.js'
import type { OriginOptions } from './content.js'

// A target of unary calls over HTTP/2 in clear: it answers each with the message that came, and status 0 in the trailers.
serveOrder<OriginOptions, void>(({ port }) => {
  const server = createServer({ settings: { maxConcurrentStreams: 1_000 } })
  server.on('stream', (stream) => {
    const pieces: Buffer[] = []
    stream.on('error', () => {})
    stream.on('data', (piece: Buffer) => pieces.push(piece))
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
    stream.on('end', () => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
      stream.end(Buffer.concat(pieces))
    })
  })
  server.on('sessionError', () => {})
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', 4096, () => resolve())
  })
})
