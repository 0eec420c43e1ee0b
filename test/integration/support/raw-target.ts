import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { ByteReader, CutShort } from './byte-reader.js'
import { type Body, type Head, readBody, readHead, requestFraming, value } from './message.js'
import type { Ending } from './raw-client.js'
import { eventually, within } from './waiting.js'

export interface TargetRequest extends Head, Body {
  readonly method: string
  readonly target: string
  readonly version: string
  readonly text: string
  /** Number of the connection it came on, from 0. */
  readonly connection: number
  header(name: string): string | undefined
}

type Step = unknown

/** What a target does; each part may write to the connection, end or reset it. */
export interface Script {
  /** The whole request is there. Default: 200 with the request target as body. */
  answer?(request: TargetRequest, connection: TargetConnection): Step
  /** The head is there and the body is not read yet. Answer false to leave it unread, and the connection to the script. */
  onHead?(head: Head, connection: TargetConnection): Step
  onConnection?(connection: TargetConnection): Step
}

/** One accepted connection of a target. */
export class TargetConnection {
  readonly index: number
  readonly socket: Socket
  readonly reader: ByteReader
  readonly requests: TargetRequest[] = []
  /** Set once the peer has ended or reset it. */
  ended: Ending | undefined
  readonly #ending: Promise<Ending>

  constructor(index: number, socket: Socket) {
    this.index = index
    this.socket = socket
    this.reader = new ByteReader(socket)
    this.#ending = new Promise((resolve) => {
      const end = (how: Ending): void => {
        this.ended ??= how
        resolve(how)
      }
      socket.on('end', () => end('end'))
      socket.on('error', () => end('reset'))
      socket.on('close', () => end('end'))
    })
  }

  write(bytes: string | Uint8Array): boolean {
    return this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  }

  end(bytes?: string | Uint8Array): void {
    if (bytes !== undefined) this.write(bytes)
    this.socket.end()
  }

  reset(): void {
    this.socket.resetAndDestroy()
  }

  /** How the peer closes it. */
  ending(timeoutMs = 5_000): Promise<Ending> {
    return within('the end of the connection to the target', this.#ending, timeoutMs)
  }
}

/** A server that follows a script, and records what came on which connection. */
export class RawTarget {
  readonly connections: TargetConnection[] = []
  /** In the order in which they were complete. */
  readonly requests: TargetRequest[] = []
  script: Script
  readonly #server: Server

  private constructor(script: Script) {
    this.script = script
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      const connection = new TargetConnection(this.connections.length, socket)
      this.connections.push(connection)
      this.#serve(connection).catch((fault: unknown) => {
        // The other side may go away whenever it likes; anything else is a fault of the script.
        if (!(fault instanceof CutShort)) throw fault
        socket.destroy()
      })
    })
  }

  static async start(script: Script = {}, host = '127.0.0.1'): Promise<RawTarget> {
    const target = new RawTarget(script)
    target.#server.listen(0, host)
    await once(target.#server, 'listening')
    return target
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get address(): string {
    return `${(this.#server.address() as AddressInfo).address}:${this.port}`
  }

  /** The requests that came on each connection, as `method target`. */
  get boundaries(): string[][] {
    return this.connections.map(({ requests }) => requests.map(({ method, target }) => `${method} ${target}`))
  }

  async received(count: number): Promise<void> {
    await eventually(`${count} requests at the target`, () => this.requests.length >= count)
  }

  async connected(count: number): Promise<void> {
    await eventually(`${count} connections at the target`, () => this.connections.length >= count)
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const { socket } of this.connections) socket.destroy()
    await closed
  }

  async #serve(connection: TargetConnection): Promise<void> {
    await this.script.onConnection?.(connection)
    const { reader } = connection
    while (await reader.more()) {
      const head = await readHead(reader)
      if ((await this.script.onHead?.(head, connection)) === false) return
      const body = await readBody(reader, head, requestFraming(head))
      const request = describe(head, body, connection.index)
      connection.requests.push(request)
      this.requests.push(request)
      if (this.script.answer === undefined) connection.write(ok(request.target))
      else await this.script.answer(request, connection)
    }
    if (reader.failure === undefined && !connection.socket.writableEnded) connection.socket.end()
  }
}

function describe(head: Head, body: Body, connection: number): TargetRequest {
  const [method = '', target = '', version = ''] = head.startLine.split(' ')
  return {
    ...head,
    ...body,
    method,
    target,
    version,
    text: body.body.toString('latin1'),
    connection,
    header: (name) => value(head.fields, name),
  }
}

/** A response with a length. */
export function ok(body = '', lines: readonly string[] = [], status = '200 OK'): string {
  return [`HTTP/1.1 ${status}`, `Content-Length: ${Buffer.byteLength(body, 'latin1')}`, ...lines, '', body].join('\r\n')
}

/** A response whose body is exactly the given bytes behind the head. */
export function answer(status: string, lines: readonly string[] = [], rest = ''): string {
  return [`HTTP/1.1 ${status}`, ...lines, '', rest].join('\r\n')
}
