import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { Test } from './castor.js'

const SLICE_MS = 20

/** A line to a server that carries its answers at so many bytes a second, and no faster. Returns its port. */
export async function slowLine(t: Test, targetPort: number, bytesPerSecond: number): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(targetPort, '127.0.0.1')
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => other.destroy())
    }
    near.pipe(far)
    let left = 0
    let lastMs = performance.now()
    far.on('readable', () => {})
    const timer = setInterval(() => {
      const nowMs = performance.now()
      left = Math.min(left + (bytesPerSecond * (nowMs - lastMs)) / 1000, bytesPerSecond / 4)
      lastMs = nowMs
      for (;;) {
        const some = far.read(Math.min(far.readableLength, Math.floor(left))) as Buffer | null
        if (some === null || some.length === 0) return
        left -= some.length
        near.write(some)
      }
    }, SLICE_MS)
    far.on('close', () => clearInterval(timer))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return (server.address() as AddressInfo).port
}
