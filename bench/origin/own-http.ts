import { createServer, type Socket } from 'node:net'
import { serveOrder } from '../serve-order.js'
import { LARGE_BYTES, LARGE_PATH, type OriginOptions, SMALL_BYTES } from './content.js'

const answers = {
  small: { kept: answer(SMALL_BYTES, ''), closing: answer(SMALL_BYTES, 'Connection: close\r\n') },
  large: { kept: answer(LARGE_BYTES, ''), closing: answer(LARGE_BYTES, 'Connection: close\r\n') },
}

// The HTTP target where nginx is missing: enough of HTTP/1.1 for well-formed requests of this bench, and no more.
serveOrder<OriginOptions, void>(({ port }) => {
  const server = createServer({ noDelay: true }, (socket) => {
    const reader = new RequestReader(socket)
    socket.on('error', () => {})
    socket.on('data', (data) => reader.take(data))
  })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', 4096, () => resolve())
  })
})

function answer(bytes: number, field: string): Buffer {
  const head = `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${bytes}\r\n${field}\r\n`
  return Buffer.concat([Buffer.from(head), Buffer.alloc(bytes, 'x')])
}

class RequestReader {
  private head = ''
  private reply = answers.small
  /** Of the request being read: bytes of body still to come; -1 = chunked, until the last chunk. */
  private bodyLeft = 0
  private tail = ''
  private closing = false

  constructor(private readonly socket: Socket) {}

  take(data: Buffer): void {
    let rest = data
    while (rest.length > 0) rest = this.bodyLeft === 0 ? this.takeHead(rest) : this.takeBody(rest)
  }

  private answer(): void {
    if (this.closing) this.socket.end(this.reply.closing)
    else this.socket.write(this.reply.kept)
  }

  private takeHead(data: Buffer): Buffer {
    const before = this.head.length
    this.head += data.toString('latin1')
    const end = this.head.indexOf('\r\n\r\n')
    if (end < 0) return data.subarray(data.length)
    const head = this.head.slice(0, end + 2)
    this.head = ''
    this.reply = head.startsWith(`GET ${LARGE_PATH} `) ? answers.large : answers.small
    this.bodyLeft = /\r\ntransfer-encoding: *chunked\r\n/i.test(head)
      ? -1
      : Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0)
    this.closing = /\r\nconnection: *close\r\n/i.test(head)
    if (this.bodyLeft === 0) this.answer()
    return data.subarray(end + 4 - before)
  }

  private takeBody(data: Buffer): Buffer {
    if (this.bodyLeft < 0) {
      // The bodies sent here hold no zero, so their last chunk is what looks like one.
      this.tail = (this.tail + data.toString('latin1', Math.max(0, data.length - 7))).slice(-7)
      if (!this.tail.endsWith('\r\n0\r\n\r\n')) return data.subarray(data.length)
      this.tail = ''
      this.bodyLeft = 0
      this.answer()
      return data.subarray(data.length)
    }
    const taken = Math.min(this.bodyLeft, data.length)
    this.bodyLeft -= taken
    if (this.bodyLeft === 0) this.answer()
    return data.subarray(taken)
  }
}
