import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { encodeIntoCompressedBase64 } from 'hdr-histogram-js'
import { serveOrder } from '../serve-order.js'
import { latencyHistogram, recordMs, summarise } from './latency.js'
import type { HttpLoadOptions, LoadResult } from './load.js'

export interface OpenLoopOptions extends HttpLoadOptions {
  /** Requests a second. */
  readonly rate: number
  /** Of the arrival times, so that every proxy gets the same ones. */
  readonly seed: number
}

export interface OpenLoopResult extends LoadResult {
  /** Counts of all latencies, so that rounds can be added up before percentiles are taken. */
  readonly histogram: string
}

/**
 * Requests arrive when a Poisson process says, whether or not earlier ones were answered. One that finds every
 * connection busy waits in a queue, and its waiting counts: a slow proxy cannot hide by slowing the load down.
 * Latency runs from the moment this program wanted to send, so its own timer's grain is not in it.
 */
serveOrder<OpenLoopOptions, OpenLoopResult>(async (options) => {
  const { port, connections, seconds, rate, seed, request } = options
  const head = Buffer.from(`GET ${request.path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`)
  const histogram = latencyHistogram()
  const random = mulberry32(seed)
  const idle: Lane[] = []
  const queue: number[] = []
  let requests = 0
  let errors = 0
  let open = 0

  class Lane {
    startedMs = 0
    received = 0
    expected = 0
    good = false
    constructor(readonly socket: Socket) {}
    send(startedMs: number): void {
      this.startedMs = startedMs
      this.received = 0
      this.socket.write(head)
    }
  }

  function openLane(): Promise<void> {
    return new Promise((resolve, reject) => {
      let lane: Lane
      const socket = connect({
        port,
        host: '127.0.0.1',
        noDelay: true,
        onread: {
          buffer: Buffer.allocUnsafe(16 * 1024),
          callback: (count, buffer) => {
            onBytes(lane, count, buffer)
            return true
          },
        },
      })
      lane = new Lane(socket)
      socket.once('connect', () => {
        open++
        idle.push(lane)
        resolve()
      })
      socket.once('error', (error) => {
        errors++
        reject(error)
      })
      socket.once('close', () => {
        open--
      })
    })
  }

  function onBytes(lane: Lane, count: number, buffer: Uint8Array): void {
    if (lane.received === 0) {
      const head = Buffer.from(buffer.buffer, buffer.byteOffset, count).toString('latin1')
      lane.expected = answerLength(head)
      lane.good = head.startsWith('HTTP/1.1 200')
    }
    lane.received += count
    if (lane.received < lane.expected) return
    if (lane.good) {
      requests++
      recordMs(histogram, performance.now() - lane.startedMs)
    } else {
      errors++
    }
    const waiting = queue.shift()
    if (waiting === undefined) idle.push(lane)
    else lane.send(waiting)
  }

  await Promise.all(Array.from({ length: connections }, openLane))
  // One request on every connection before the clock runs: the proxies have dialled their target then.
  for (const lane of idle.splice(0)) lane.send(performance.now())
  while (idle.length < open) await sleep(2)
  histogram.reset()
  requests = 0

  const beganMs = performance.now()
  const endsMs = beganMs + seconds * 1000
  let dueMs = beganMs
  await new Promise<void>((done) => {
    const timer = setInterval(() => {
      const now = performance.now()
      for (; dueMs <= now; dueMs += (-Math.log(1 - random()) * 1000) / rate) {
        const lane = idle.pop()
        if (lane === undefined) queue.push(now)
        else lane.send(performance.now())
      }
      if (now >= endsMs || open === 0) {
        clearInterval(timer)
        done()
      }
    }, 1)
  })
  const timeoutMs = performance.now() + 2000
  while (idle.length < open && performance.now() < timeoutMs) await sleep(5)
  errors += queue.length + (open - idle.length)
  return {
    requests,
    errors,
    seconds: (performance.now() - beganMs) / 1000,
    latency: summarise(histogram),
    histogram: histogram.totalCount > 0 ? encodeIntoCompressedBase64(histogram) : '',
  }
})

/** Bytes of an answer with a Content-Length, head included. The heads here are small enough to come in one piece. */
function answerLength(start: string): number {
  const headEnd = start.indexOf('\r\n\r\n')
  const length = /\r\ncontent-length: *(\d+)/i.exec(start)
  if (headEnd < 0 || length === null) throw new Error('an answer without Content-Length, or with a head in pieces')
  return headEnd + 4 + Number(length[1])
}

/** A small generator of uniform numbers in [0, 1), the same ones for the same seed. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}
