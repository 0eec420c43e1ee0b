import { connect, type TLSSocket } from 'node:tls'
import { serveOrder } from '../serve-order.js'
import type { LoadResult } from './load.js'

export interface HandshakesOptions {
  readonly port: number
  readonly connections: number
  readonly seconds: number
  readonly path: string
  /** Each connection goes on with the session of the one before it; else each handshake is a full one. */
  readonly resume: boolean
}

/**
 * A TLS 1.3 connection and one request on it, again and again, a fixed number of them at once. A handshake of the other
 * kind than ordered counts as an error. The proxy closes first, as with `connect-each`.
 */
serveOrder<HandshakesOptions, LoadResult>(async ({ port, connections, seconds, path, resume }) => {
  const head = Buffer.from(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`)
  const expected = 'HTTP/1.1 200'
  const beganMs = performance.now()
  const endsMs = beganMs + seconds * 1000
  let requests = 0
  let errors = 0

  /** Resolves with the session to go on with. */
  function once(session: Buffer | undefined): Promise<Buffer | undefined> {
    return new Promise((done) => {
      let good = false
      let reused = false
      let next: Buffer | undefined
      const socket: TLSSocket = connect({
        port,
        host: '127.0.0.1',
        servername: 'localhost',
        minVersion: 'TLSv1.3',
        ALPNProtocols: ['http/1.1'],
        rejectUnauthorized: false,
        ...(session === undefined ? {} : { session }),
      })
      socket.setNoDelay(true)
      socket.write(head)
      socket.once('secureConnect', () => {
        reused = socket.isSessionReused()
      })
      socket.on('session', (ticket) => {
        next = ticket
      })
      socket.once('data', (chunk) => {
        good = chunk.toString('latin1', 0, expected.length) === expected
      })
      socket.on('error', () => {})
      socket.once('close', () => {
        // The first of a chain has nothing to go on with.
        if (good && reused === (session !== undefined)) requests++
        else errors++
        // Not every server gives a new one to who came with one.
        done(resume ? (next ?? session) : undefined)
      })
    })
  }

  async function oneAfterAnother(): Promise<void> {
    let session: Buffer | undefined
    while (performance.now() < endsMs) session = await once(session)
  }

  await Promise.all(Array.from({ length: connections }, oneAfterAnother))
  return { requests, errors, seconds: (performance.now() - beganMs) / 1000 }
})
