import { connect, type Socket } from 'node:net'
import { latencyHistogram, recordMs, summarise } from './latency.js'
import type { LoadResult } from './load.js'

export interface PingPongOptions {
  readonly port: number
  readonly connections: number
  readonly seconds: number
  /** Bytes of payload a message. */
  readonly bytes: number
}

/** What is said on each connection. */
export interface Conversation {
  /** Sent first; its answer ends with an empty line. Empty = none. */
  readonly greeting: Buffer
  /** How the answer to the greeting must begin. */
  readonly welcome: string
  readonly message: Buffer
  /** How each echo must begin, and how long it must be in all. */
  readonly echoStart: Buffer
  readonly echoLength: number
}

/** A number of connections on each of which a message goes out whenever the last one has come back whole. */
export async function pingPong(options: PingPongOptions, conversation: Conversation): Promise<LoadResult> {
  const { port, connections, seconds } = options
  const { greeting, welcome, message, echoStart, echoLength } = conversation
  const histogram = latencyHistogram()
  let requests = 0
  let errors = 0
  let stopping = false

  /** One connection: resolves `ready` when it may speak, `closed` at its end. */
  class Speaker {
    readonly socket: Socket
    readonly ready: Promise<void>
    readonly closed: Promise<void>
    private answer = ''
    private welcomed = greeting.length === 0
    private received = 0
    private sentMs = 0
    private becomeReady: () => void = () => {}

    constructor() {
      this.socket = connect({
        port,
        host: '127.0.0.1',
        noDelay: true,
        onread: {
          buffer: Buffer.allocUnsafe(64 * 1024),
          callback: (count, buffer) => {
            this.onBytes(buffer as Buffer, count)
            return true
          },
        },
      })
      this.ready = new Promise((resolve, reject) => {
        this.becomeReady = resolve
        this.socket.once('connect', () => {
          if (this.welcomed) resolve()
          else this.socket.write(greeting)
        })
        this.socket.once('error', reject)
      })
      this.closed = new Promise((resolve) => this.socket.once('close', () => resolve()))
    }

    say(): void {
      this.received = 0
      this.sentMs = performance.now()
      this.socket.write(message)
    }

    private onBytes(buffer: Buffer, count: number): void {
      if (!this.welcomed) {
        this.answer += buffer.toString('latin1', 0, count)
        if (!this.answer.includes('\r\n\r\n')) return
        this.welcomed = true
        if (this.answer.startsWith(welcome)) this.becomeReady()
        else this.socket.destroy(new Error(`unexpected answer: ${this.answer.slice(0, 80)}`))
        return
      }
      if (this.received === 0 && count >= echoStart.length && echoStart.compare(buffer, 0, echoStart.length) !== 0) {
        errors++
      }
      this.received += count
      if (this.received < echoLength) return
      if (this.received > echoLength) errors++
      requests++
      recordMs(histogram, performance.now() - this.sentMs)
      if (stopping) this.socket.end()
      else this.say()
    }
  }

  const speakers = Array.from({ length: connections }, () => new Speaker())
  await Promise.all(speakers.map((speaker) => speaker.ready))
  for (const { socket } of speakers) {
    socket.on('error', () => errors++)
    socket.once('close', () => {
      if (!stopping) errors++
    })
  }
  const beganMs = performance.now()
  for (const speaker of speakers) speaker.say()
  const patience = setTimeout(
    () => {
      for (const { socket } of speakers) socket.destroy()
    },
    seconds * 1000 + 3000,
  )
  setTimeout(() => (stopping = true), seconds * 1000)
  await Promise.all(speakers.map((speaker) => speaker.closed))
  clearTimeout(patience)
  return { requests, errors, seconds: (performance.now() - beganMs) / 1000, latency: summarise(histogram) }
}
