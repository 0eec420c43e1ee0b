import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { serveOrder } from '../serve-order.js'

export interface IdleOptions {
  readonly port: number
  readonly connections: number
  readonly path: string
  readonly secure: boolean
}

export interface IdleResult {
  readonly opened: number
  readonly errors: number
}

/** Connecting at the same time: enough to be quick, few enough not to overrun a listen queue. */
const AT_ONCE = 100
/** Loopback addresses to connect from: ports are counted for each of them. */
const SOURCES = 4

/** Opens keep-alive connections, sends one request on each, and holds them open until the process is ended. */
serveOrder<IdleOptions, IdleResult>(async ({ port, connections, path, secure }) => {
  const head = Buffer.from(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`)
  let started = 0
  let opened = 0
  let errors = 0

  function one(number: number): Promise<void> {
    return new Promise((done) => {
      const to = { port, host: '127.0.0.1', localAddress: `127.0.0.${2 + (number % SOURCES)}` }
      const socket = secure ? connectTls({ ...to, servername: 'localhost', rejectUnauthorized: false }) : connect(to)
      socket.write(head)
      socket.once('data', () => {
        opened++
        done()
      })
      socket.on('error', () => {})
      // Also one that was open and is closed on us: then it is not idle but gone.
      socket.once('close', () => {
        errors++
        done()
      })
    })
  }

  async function oneAfterAnother(): Promise<void> {
    while (started < connections) await one(started++)
  }

  await Promise.all(Array.from({ length: AT_ONCE }, oneAfterAnother))
  return { opened, errors }
})
