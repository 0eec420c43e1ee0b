import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { type ReceivedRequest, RequestReader } from './request-reader.js'

/** One connection to the target, every byte of it accounted for. */
export class RecordedConnection {
  readonly index: number
  readonly socket: Socket
  readonly reader = new RequestReader()
  closed = false

  constructor(index: number, socket: Socket) {
    this.index = index
    this.socket = socket
    socket.on('close', () => {
      this.closed = true
    })
  }

  /** A request is there in part. */
  get unfinished(): boolean {
    return this.reader.rest !== ''
  }
}

/** A whole request and the connection it came on. */
export interface Arrival {
  readonly request: ReceivedRequest
  readonly connection: RecordedConnection
}

/** What the target does about a whole request; `answerPlainly` where there is nothing special about it. */
export type Script = (arrival: Arrival) => void

/** Answers 200, the request's method and target as body, by which the client sees whose answer it got. */
export function answerPlainly({ request, connection }: Arrival): void {
  const body = `${request.method} ${request.target}`
  const head = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`
  connection.socket.write(request.method === 'HEAD' ? head : head + body, 'latin1')
}

/** A target that records requests and where each began and ended, and that does not read what it does not expect. */
export class RecordingTarget {
  readonly connections: RecordedConnection[] = []
  readonly arrivals: Arrival[] = []
  readonly #server: Server
  readonly #script: Script

  private constructor(script: Script) {
    this.#script = script
    this.#server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => this.#accept(socket))
  }

  static async start(script: Script = answerPlainly): Promise<RecordingTarget> {
    const target = new RecordingTarget(script)
    target.#server.listen(0, '127.0.0.1')
    await once(target.#server, 'listening')
    return target
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  stop(): Promise<void> {
    for (const { socket } of this.connections) socket.destroy()
    return new Promise((resolve) => this.#server.close(() => resolve()))
  }

  #accept(socket: Socket): void {
    const connection = new RecordedConnection(this.connections.length, socket)
    this.connections.push(connection)
    const { reader } = connection
    socket.on('error', () => {})
    socket.on('end', () => socket.end())
    socket.on('data', (data) => {
      const from = reader.requests.length
      reader.feed(data.toString('latin1'))
      for (const request of reader.requests.slice(from)) {
        const arrival = { request, connection }
        this.arrivals.push(arrival)
        this.#script(arrival)
      }
    })
  }
}
