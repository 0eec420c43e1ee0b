import { connect } from 'node:net'
import { serveOrder } from '../serve-order.js'
import type { HttpLoadOptions, LoadResult } from './load.js'

/**
 * A new connection for each request, a fixed number of them at once. It waits for the proxy to close first, so the
 * TIME_WAIT of each connection is kept on the proxy's side and the generator never runs out of ports.
 */
serveOrder<HttpLoadOptions, LoadResult>(async ({ port, connections, seconds, request }) => {
  const head = Buffer.from(`GET ${request.path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`)
  const expected = 'HTTP/1.1 200'
  const beganMs = performance.now()
  const endsMs = beganMs + seconds * 1000
  let requests = 0
  let errors = 0

  function once(): Promise<void> {
    return new Promise((done) => {
      let good = false
      const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
      socket.write(head)
      socket.once('data', (chunk) => {
        good = chunk.toString('latin1', 0, expected.length) === expected
      })
      socket.once('end', () => socket.end())
      socket.on('error', () => {})
      socket.once('close', () => {
        if (good) requests++
        else errors++
        done()
      })
      // Consumes what follows the first piece.
      socket.resume()
    })
  }

  async function oneAfterAnother(): Promise<void> {
    while (performance.now() < endsMs) await once()
  }

  await Promise.all(Array.from({ length: connections }, oneAfterAnother))
  return { requests, errors, seconds: (performance.now() - beganMs) / 1000 }
})
