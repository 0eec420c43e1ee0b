import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket, type TcpNetConnectOpts } from 'node:net'
import { Worker } from 'node:worker_threads'
import type { Test } from './castor.js'
import { within } from './waiting.js'

/** A TCP server on a free port of loopback that the test's end stops. */
export class TcpTarget {
  /** Connections so far, in order; those that ended stay. */
  readonly sockets: Socket[] = []
  readonly server: Server

  private constructor(onConnection: (socket: Socket, index: number) => void) {
    this.server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      socket.on('error', () => {})
      this.sockets.push(socket)
      onConnection(socket, this.sockets.length - 1)
    })
  }

  static async start(t: Test, onConnection: (socket: Socket, index: number) => void): Promise<TcpTarget> {
    const target = new TcpTarget(onConnection)
    target.server.listen(0, '127.0.0.1')
    await once(target.server, 'listening')
    t.teardown(() => target.stop())
    return target
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  stop(): void {
    this.server.close()
    for (const socket of this.sockets) socket.destroy()
  }
}

/** Sends everything back, and ends when the other side has. */
export function echo(socket: Socket): void {
  socket.pipe(socket)
}

/** A connected client socket. */
export async function dial(port: number, options: Partial<TcpNetConnectOpts> = {}): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true, ...options })
  await within('connect', once(socket, 'connect'))
  // How it ends is for the test to ask.
  socket.on('error', () => {})
  return socket
}

/** All that comes until the peer ends; rejects when the connection is reset. */
export function readAll(socket: Socket, timeoutMs = 10_000): Promise<Buffer> {
  const parts: Buffer[] = []
  socket.on('data', (data: Buffer) => parts.push(data))
  const all = new Promise<Buffer>((resolve, reject) => {
    socket.once('end', () => resolve(Buffer.concat(parts)))
    socket.once('error', reject)
    socket.once('close', () => resolve(Buffer.concat(parts)))
  })
  return within('the end of the stream', all, timeoutMs)
}

/** How the peer ends the connection, whatever it sends before; call it before that can happen. */
export function endingOf(socket: Socket, timeoutMs = 5_000): Promise<'end' | 'reset'> {
  const ending = new Promise<'end' | 'reset'>((resolve) => {
    socket.once('end', () => resolve('end'))
    socket.once('error', () => resolve('reset'))
    socket.once('close', () => resolve('end'))
  })
  socket.resume()
  return within('the end of the connection', ending, timeoutMs)
}

/** An address of loopback where connections are refused. */
export async function refusingAddress(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return `127.0.0.1:${port}`
}

const NEVER_ACCEPTS = `
const { createServer } = require('node:net')
const { parentPort } = require('node:worker_threads')
const server = createServer().listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => {
  parentPort.postMessage(server.address().port)
  setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0))
})`

/** An address where a connection is neither accepted nor refused: nobody takes any out of the listener's full queue. */
export async function silentAddress(t: Test): Promise<string> {
  const worker = new Worker(NEVER_ACCEPTS, { eval: true })
  const [port] = (await once(worker, 'message')) as [number]
  const fillers = Array.from({ length: 8 }, () => {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    return socket
  })
  t.teardown(async () => {
    for (const socket of fillers) socket.destroy()
    await worker.terminate()
  })
  // The kernel lets in as many as the queue holds (its length and one) and leaves the others without an answer.
  await within('a full queue', Promise.all(fillers.slice(0, 2).map((socket) => once(socket, 'connect'))))
  return `127.0.0.1:${port}`
}
