import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { ByteReader } from './byte-reader.js'
import { type Body, type Fields, type Head, readBody, readHead, responseFraming, value } from './message.js'
import { within } from './waiting.js'

export interface RawResponse extends Body {
  readonly version: string
  readonly status: number
  readonly reason: string
  readonly fields: Fields
  readonly text: string
  /** The interim responses that came before it. */
  readonly interims: readonly Head[]
  header(name: string): string | undefined
}

/** How the peer ended: in order, or with a reset. */
export type Ending = 'end' | 'reset'

/** A client that sends exactly the bytes it is told to, and reads answers by the letter. */
export class RawClient {
  readonly socket: Socket
  readonly reader: ByteReader
  readonly #ending: Promise<Ending>

  private constructor(socket: Socket) {
    this.socket = socket
    this.reader = new ByteReader(socket)
    this.#ending = new Promise((resolve) => {
      socket.on('end', () => resolve('end'))
      socket.on('error', () => resolve('reset'))
      socket.on('close', () => resolve('end'))
    })
  }

  /** Rejects with the system's error where nobody listens. */
  static async connect(port: number, host = '127.0.0.1', localAddress?: string): Promise<RawClient> {
    const from = localAddress === undefined ? {} : { localAddress }
    const socket = connect({ port, host, allowHalfOpen: true, noDelay: true, ...from })
    const client = new RawClient(socket)
    await within('connect', once(socket, 'connect'))
    return client
  }

  send(bytes: string | Uint8Array): void {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  }

  /** Ends this side; the other may go on. */
  half(): void {
    this.socket.end()
  }

  close(): void {
    this.socket.destroy()
  }

  reset(): void {
    this.socket.resetAndDestroy()
  }

  /** The next response, to a request of `method`. Rejects with `CutShort` when the connection ends within it. */
  response(method = 'GET', timeoutMs = 5_000): Promise<RawResponse> {
    return within(`the answer to ${method}`, this.#response(method), timeoutMs)
  }

  /** One request and its response. */
  exchange(request: string | Uint8Array, method?: string): Promise<RawResponse> {
    this.send(request)
    return this.response(method ?? (typeof request === 'string' ? request.slice(0, request.indexOf(' ')) : 'GET'))
  }

  /** How the peer closes; what it sent before that and nobody took stays in `reader`. */
  ending(timeoutMs = 5_000): Promise<Ending> {
    return within('the end of the connection', this.#ending, timeoutMs)
  }

  async #response(method: string): Promise<RawResponse> {
    const interims: Head[] = []
    for (;;) {
      const head = await readHead(this.reader)
      const match = /^(HTTP\/1\.[01]) (\d{3}) (.*)$/.exec(head.startLine)
      if (match === null) throw new Error(`no status line: ${JSON.stringify(head.startLine)}`)
      const status = Number(match[2])
      if (status < 200 && status !== 101) {
        interims.push(head)
        continue
      }
      const body = await readBody(this.reader, head, responseFraming(head, status, method))
      return {
        ...body,
        version: match[1]!,
        status,
        reason: match[3]!,
        fields: head.fields,
        text: body.body.toString('latin1'),
        interims,
        header: (name) => value(head.fields, name),
      }
    }
  }
}

/** A request of its own connection, which is closed behind it. */
export async function request(
  port: number,
  bytes: string | Uint8Array,
  method?: string,
  host?: string,
): Promise<RawResponse> {
  const client = await RawClient.connect(port, host)
  try {
    return await client.exchange(bytes, method)
  } finally {
    client.close()
  }
}

/** A plain request: method, target and further lines. */
export function get(target = '/', lines: readonly string[] = [], method = 'GET'): string {
  return [`${method} ${target} HTTP/1.1`, 'Host: test', ...lines, '', ''].join('\r\n')
}
