import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parentPort } from 'node:worker_threads'
import { type WebSocket, WebSocketServer } from 'ws'

const NAMES = ['one', 'two', 'three']

/** Three tiny servers that say who they are, over HTTP and WebSocket, for `castor start --demo`. */
const addresses = await Promise.all(NAMES.map(startTarget))
parentPort?.postMessage(addresses)

function startTarget(name: string): Promise<string> {
  const server = createServer((request, response) => answer(name, request, response))
  const sockets = new WebSocketServer({ server })
  sockets.on('connection', (socket: WebSocket) => {
    socket.send(`you are connected to target ${name}; what you send comes back`)
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
    socket.on('error', () => socket.terminate())
  })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => resolve(`127.0.0.1:${(server.address() as AddressInfo).port}`))
  })
}

function answer(name: string, request: IncomingMessage, response: ServerResponse): void {
  request.resume()
  const lines = [
    `target ${name} answers ${request.method} ${request.url}`,
    `your address: ${request.headers['x-forwarded-for']}`,
    `request id: ${request.headers['x-request-id']}`,
  ]
  response.setHeader('content-type', 'text/plain; charset=utf-8')
  response.end(`${lines.join('\n')}\n`)
}
