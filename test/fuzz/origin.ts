import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { PORT_HEADER } from './neighbours.js'
import { type ReceivedRequest, RequestReader } from './request-reader.js'

const ANSWER = 'HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n'

/** An origin that knows whose request each is, by the port that the front it stands behind has written into it. */
export class Origin {
  /** Requests by the port of the client they are from. */
  readonly #requests = new Map<number, ReceivedRequest[]>()
  /** What came that nobody can have sent. */
  readonly strays: string[] = []
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(ofOthers: boolean) {
    this.#server = createServer({ noDelay: true }, (socket) => {
      const reader = new RequestReader(ofOthers)
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
      socket.on('error', () => {})
      socket.on('data', (data) => {
        const from = reader.requests.length
        reader.feed(data.toString('latin1'))
        for (const request of reader.requests.splice(from)) this.#take(request, socket)
        if (reader.fault === '') return
        this.strays.push(reader.fault)
        socket.destroy()
      })
    })
  }

  static async start(ofOthers: boolean): Promise<Origin> {
    const origin = new Origin(ofOthers)
    origin.#server.listen(0, '127.0.0.1')
    await once(origin.#server, 'listening')
    return origin
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** The requests of the client at `port`, which are forgotten. */
  take(port: number): readonly ReceivedRequest[] {
    const requests = this.#requests.get(port) ?? []
    this.#requests.delete(port)
    return requests
  }

  stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    return new Promise((resolve) => this.#server.close(() => resolve()))
  }

  #take(request: ReceivedRequest, socket: Socket): void {
    const ports = request.lines.filter((line) => line.toLowerCase().startsWith(`${PORT_HEADER}: `))
    const port = Number(ports[0]?.slice(PORT_HEADER.length + 2))
    if (ports.length !== 1 || !Number.isInteger(port)) this.strays.push(`whose is this? ${request.head}`)
    const known = this.#requests.get(port)
    if (known === undefined) this.#requests.set(port, [request])
    else known.push(request)
    socket.write(request.method === 'HEAD' ? ANSWER : `${ANSWER}origin`, 'latin1')
  }
}
