import { connect, type Socket } from 'node:net'
import { SMALL_BYTES } from '../origin/content.js'
import { clientAddress } from '../proxies/filling.js'
import { serveOrder } from '../serve-order.js'
import type { LoadResult } from './load.js'

export interface ManyClientsOptions {
  readonly port: number
  /** Kept-alive connections, each of another client, as a PROXY header says. */
  readonly clients: number
  /** Clients' numbers are spread over as many. */
  readonly outOf: number
  /** Requests under way at once; who has been idle for longest sends the next. */
  readonly atOnce: number
  readonly seconds: number
  readonly path: string
}

/** Requests one after the other by other clients, so that no two look-ups in a row find the same. */
serveOrder<ManyClientsOptions, LoadResult>(async (options, begin) => {
  const { port, clients, outOf, atOnce, seconds, path } = options
  const request = Buffer.from(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`)
  const waiting: Socket[] = []
  let requests = 0
  let errors = 0
  let stopping = false
  let underWay = 0
  let finish: () => void = () => {}

  function next(): void {
    const socket = stopping ? undefined : waiting.shift()
    if (socket !== undefined) {
      underWay++
      socket.write(request)
    } else if (stopping && underWay === 0) {
      finish()
    }
  }

  function open(index: number): Promise<void> {
    const from = clientAddress(Math.floor((index * outOf) / clients))
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true })
      let received = ''
      socket.once('connect', () => {
        socket.write(`PROXY TCP4 ${from} 127.0.0.1 ${1024 + (index % 60_000)} ${port}\r\n`)
        waiting.push(socket)
        resolve()
      })
      socket.on('error', (error) => {
        errors++
        reject(error)
      })
      socket.on('data', (chunk) => {
        received += chunk.toString('latin1')
        const head = received.indexOf('\r\n\r\n')
        if (head < 0 || received.length < head + 4 + SMALL_BYTES) return
        if (received.startsWith('HTTP/1.1 200')) requests++
        else errors++
        received = ''
        underWay--
        waiting.push(socket)
        next()
      })
    })
  }

  // A few at a time: a burst would overflow the listener's queue.
  const step = 64
  for (let index = 0; index < clients; index += step) {
    await Promise.all(Array.from({ length: Math.min(step, clients - index) }, (_, i) => open(index + i)))
  }
  await begin()
  const beganMs = performance.now()
  const done = new Promise<void>((resolve) => (finish = resolve))
  for (let i = 0; i < atOnce; i++) next()
  setTimeout(() => (stopping = true), seconds * 1000)
  await done
  const spentSeconds = (performance.now() - beganMs) / 1000
  return { requests, errors, seconds: spentSeconds }
})
