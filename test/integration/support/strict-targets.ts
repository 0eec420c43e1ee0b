import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { escapeBytes } from '../../fuzz/escapes.js'
import { readRequests } from '../../fuzz/llhttp.js'
import { RequestReader } from '../../fuzz/request-reader.js'
import type { Field } from '../../unit/http/h2/rig.js'
import type { Test } from './castor.js'
import { Http2Target } from './http2-peers.js'

/** What came to a target. */
export interface Arrived {
  readonly method: string
  readonly target: string
  readonly host: string
  readonly fields: readonly Field[]
  readonly body: string
}

export const valuesIn = (fields: readonly Field[], name: string): string[] =>
  fields.filter(([key]) => key === name).map(([, value]) => value)

export interface StrictTarget {
  readonly address: string
  readonly arrived: Arrived[]
  /** What is not one plain message behind the other. */
  faults(): string[]
}

/** Every byte it gets is read by a strict reader, and at the end by Node's parser. */
export async function http1Target(t: Test): Promise<StrictTarget> {
  const arrived: Arrived[] = []
  const connections: { readonly reader: RequestReader; bytes: Buffer }[] = []
  const sockets: Socket[] = []
  const server = createServer({ noDelay: true }, (socket) => {
    const connection = { reader: new RequestReader(), bytes: Buffer.alloc(0) }
    const { reader } = connection
    connections.push(connection)
    sockets.push(socket)
    socket.on('error', () => {})
    socket.on('data', (data: Buffer) => {
      connection.bytes = Buffer.concat([connection.bytes, data])
      const from = reader.requests.length
      reader.feed(data.toString('latin1'))
      for (const { method, target, host, lines, trailers, body } of reader.requests.slice(from)) {
        const fields = [...lines, ...trailers].map((line): Field => {
          const colon = line.indexOf(': ')
          return [line.slice(0, colon).toLowerCase(), line.slice(colon + 2)]
        })
        arrived.push({ method, target, host, fields, body })
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const faults = (): string[] =>
    connections.flatMap(({ reader, bytes }) => {
      const seen = reader.requests.map(({ method, target, host, body }) => [method, target, host, body].join(' '))
      const others = [false, true].flatMap((lenient) => {
        const messages = readRequests(bytes, lenient).messages.filter(({ complete }) => complete)
        const read = messages.map(({ method, target, hosts, body }) => [method, target, hosts.join(), body].join(' '))
        return read.join('\n') === seen.join('\n') ? [] : [`llhttp reads ${escapeBytes(read.join(', '))}`]
      })
      return reader.fault === '' ? others : [reader.fault, ...others]
    })
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, arrived, faults }
}

/** Node's HTTP/2 refuses what RFC 9113 does. */
export async function http2Target(t: Test): Promise<StrictTarget> {
  const arrived: Arrived[] = []
  const faults: string[] = []
  const target = await Http2Target.start(t, (stream, head) => {
    const { ':method': method = '', ':path': path = '', ':authority': host = '', ...others } = head
    const fields = Object.entries(others).map(([name, value]): Field => [name, String(value)])
    let body = ''
    stream.setEncoding('latin1')
    stream.on('data', (data: string) => {
      body += data
    })
    stream.on('trailers', (trailers) => {
      fields.push(...Object.entries(trailers).map(([name, value]): Field => [name, String(value)]))
    })
    stream.on('end', () => {
      if (stream.rstCode !== 0) return
      arrived.push({ method: String(method), target: String(path), host: String(host), fields, body })
      stream.respond({ ':status': 200 })
      stream.end('ok')
    })
  })
  target.server.on('session', (session) => {
    session.on('error', (error) => faults.push(`a session ended: ${error.message}`))
    session.on('frameError', (type, code, id) => faults.push(`frame ${type} of ${id}: ${code}`))
  })
  return { address: target.address, arrived, faults: () => faults }
}
