import { once } from 'node:events'
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type SessionOptions,
} from 'node:http2'
import type { AddressInfo } from 'node:net'
import type { Test } from './castor.js'
import { within } from './waiting.js'

export type Handler = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void

/** A target that speaks HTTP/2 without TLS. */
export class Http2Target {
  readonly server: Http2Server
  readonly sessions: ServerHttp2Session[] = []
  handler: Handler

  private constructor(server: Http2Server, handler: Handler) {
    this.server = server
    this.handler = handler
    server.on('session', (session) => {
      this.sessions.push(session)
      session.on('error', () => {})
    })
    server.on('stream', (stream, headers) => {
      stream.on('error', () => {})
      this.handler(stream, headers)
    })
    server.on('sessionError', () => {})
  }

  /** The test's end stops it. */
  static async start(t: Test, handler: Handler = sayHello, settings: object = {}): Promise<Http2Target> {
    // Node's own bound on what a session holds would refuse streams where a test makes it hold much.
    const server = createServer({ settings: { enableConnectProtocol: true, ...settings }, maxSessionMemory: 1_000 })
    const target = new Http2Target(server, handler)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => target.stop())
    return target
  }

  get address(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  get openSessions(): number {
    return this.sessions.filter(({ destroyed }) => !destroyed).length
  }

  stop(): void {
    for (const session of this.sessions) session.destroy()
    this.server.close()
  }
}

export function sayHello(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  if (headers[':method'] === 'HEAD') {
    stream.respond({ ':status': 200 }, { endStream: true })
    return
  }
  stream.respond({ ':status': 200, 'x-path': headers[':path'] })
  stream.end(`hello ${headers[':path']}`)
}

/** Sends back what it gets. */
export function sendBack(stream: ServerHttp2Stream): void {
  stream.respond({ ':status': 200 })
  stream.pipe(stream)
}

/** A client's connection without TLS, with prior knowledge; the test's end closes it. */
export async function connectTo(t: Test, port: number, options: SessionOptions = {}): Promise<ClientHttp2Session> {
  const session = connect(`http://127.0.0.1:${port}`, options)
  session.on('error', () => {})
  t.teardown(() => session.destroy())
  await within('a connection', once(session, 'connect'))
  return session
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  readonly trailers: IncomingHttpHeaders | undefined
  /** The RST_STREAM code, 0 without. */
  readonly code: number
}

/** What becomes of a stream, however it ends. */
export function answerOf(stream: ClientHttp2Stream, timeoutMs = 10_000): Promise<Answer> {
  const chunks: Buffer[] = []
  let headers: IncomingHttpHeaders = {}
  let trailers: IncomingHttpHeaders | undefined
  stream.on('response', (received) => {
    headers = received
  })
  stream.on('trailers', (received) => {
    trailers = received
  })
  stream.on('data', (data: Buffer) => chunks.push(data))
  stream.on('error', () => {})
  const closed = new Promise<Answer>((resolve) => {
    stream.on('close', () => {
      const status = Number(headers[':status'] ?? 0)
      resolve({ status, headers, body: Buffer.concat(chunks), trailers, code: stream.rstCode ?? 0 })
    })
  })
  return within('the end of a stream', closed, timeoutMs)
}

export function ask(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders = {},
  body?: Uint8Array | string,
): Promise<Answer> {
  const stream = session.request({ ':path': '/', ...headers }, { endStream: body === undefined })
  if (body !== undefined) stream.end(body)
  return answerOf(stream)
}

export const { NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR, NGHTTP2_PROTOCOL_ERROR, NGHTTP2_ENHANCE_YOUR_CALM } = constants
