import { createHash } from 'node:crypto'
import { createServer, type Socket } from 'node:net'
import { serveOrder } from '../serve-order.js'
import type { OriginOptions } from './content.js'

/** RFC 6455, 1.3. */
const ACCEPT_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

// A WebSocket echo server that answers each frame as it comes in, piece by piece and without copying: it unmasks in
// place, and since its own frame head is four bytes shorter than the client's, writes that just before the payload.
serveOrder<OriginOptions, void>(({ port }) => {
  const server = createServer({ noDelay: true }, (socket) => {
    let head = ''
    socket.on('error', () => {})
    socket.on('data', function greet(chunk) {
      head += chunk.toString('latin1')
      const end = head.indexOf('\r\n\r\n')
      if (end < 0) return
      const key = /\r\nsec-websocket-key: *([^\r]+)/i.exec(head)?.[1]
      if (key === undefined) {
        // Also what health checks and the bench's own look at readiness send.
        head = head.slice(end + 4)
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n')
        return
      }
      const accept = createHash('sha1').update(key.trim() + ACCEPT_SUFFIX)
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
          `Sec-WebSocket-Accept: ${accept.digest('base64')}\r\n\r\n`,
      )
      socket.off('data', greet)
      const echo = new FrameEcho(socket)
      socket.on('data', (data) => echo.take(data))
    })
  })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', 4096, () => resolve())
  })
})

class FrameEcho {
  /** The start of a frame head that came in pieces. */
  private partial: Buffer<ArrayBufferLike> = Buffer.alloc(0)
  private readonly mask = new Uint8Array(4)
  private maskAt = 0
  private payloadLeft = 0

  constructor(private readonly socket: Socket) {}

  take(data: Buffer): void {
    const chunk = this.partial.length > 0 ? Buffer.concat([this.partial, data]) : data
    this.partial = Buffer.alloc(0)
    let at = 0
    while (at < chunk.length) {
      let from = at
      if (this.payloadLeft === 0) {
        const length = clientHeadLength(chunk, at)
        if (length === 0 || chunk.length - at < length) {
          this.partial = Buffer.from(chunk.subarray(at))
          return
        }
        chunk.copy(this.mask, 0, at + length - 4, at + length)
        this.maskAt = 0
        this.payloadLeft = payloadLength(chunk, at)
        const own = length - 4
        chunk[at + 1]! &= 0x7f
        chunk.copyWithin(at + 4, at, at + own)
        from = at + 4
        at += length
        // A close frame is echoed like any other (RFC 6455, 5.5.1); the client hangs up after it.
      }
      const end = Math.min(chunk.length, at + this.payloadLeft)
      this.unmask(chunk, at, end)
      this.payloadLeft -= end - at
      this.socket.write(chunk.subarray(from, end))
      at = end
    }
  }

  private unmask(chunk: Buffer, from: number, to: number): void {
    const mask = this.mask
    let maskAt = this.maskAt
    for (let at = from; at < to; at++) {
      chunk[at]! ^= mask[maskAt]!
      maskAt = (maskAt + 1) & 3
    }
    this.maskAt = maskAt
  }
}

/** Bytes of a client's frame head with its mask; 0 while too little of it is there to tell. */
function clientHeadLength(chunk: Buffer, at: number): number {
  if (chunk.length - at < 2) return 0
  const short = chunk[at + 1]! & 0x7f
  return short < 126 ? 6 : short === 126 ? 8 : 14
}

function payloadLength(chunk: Buffer, at: number): number {
  const short = chunk[at + 1]! & 0x7f
  if (short < 126) return short
  return short === 126 ? chunk.readUInt16BE(at + 2) : Number(chunk.readBigUInt64BE(at + 2))
}
