import { once } from 'node:events'
import type { Socket } from 'node:net'
import t from 'tap'
import { onePair } from './support/balancer.js'
import { startChild } from './support/child-castor.js'
import { dial, TcpTarget } from './support/tcp-peers.js'
import { settled, until } from './support/until.js'
import { within } from './support/waiting.js'

const MIB = 1024 * 1024
const STREAM_BYTES = 512 * MIB
const BLOCK = Buffer.alloc(MIB, 'x')

/** Writes blocks until all are with the kernel or somebody ends the socket; counts in `sent`. */
class Source {
  sent = 0
  readonly done: Promise<void>

  constructor(socket: Socket, bytes: number) {
    this.done = this.#run(socket, bytes)
  }

  async #run(socket: Socket, bytes: number): Promise<void> {
    while (this.sent < bytes) {
      if (!socket.write(BLOCK)) await once(socket, 'drain')
      this.sent += BLOCK.length
    }
    socket.end()
  }
}

for (const direction of ['from the target', 'from the client']) {
  t.test(`a reader that stands still makes nothing pile up, ${direction}`, async (t) => {
    const target = await TcpTarget.start(t, (socket, index) => {
      if (index === 0) socket.on('end', () => socket.end()).resume()
      else socket.pause()
    })
    const castor = await startChild(t, onePair('tcp', [target.address]))
    await warmUp(castor.port())
    const client = await dial(castor.port())
    const atTarget = await until('the connection at the target', () => target.sockets[1])
    const [from, to] = direction === 'from the target' ? [atTarget, client] : [client, atTarget]
    const beforeBytes = castor.residentBytes
    const source = new Source(from, STREAM_BYTES)
    let received = 0
    to.on('data', (data) => {
      received += data.length
      // Again and again along the way, not only once.
      if (received % (64 * MIB) < data.length) to.pause()
    })
    const ended = within('the whole stream', once(to, 'end'), 60_000)
    let peakBytes = 0
    while (received < STREAM_BYTES) {
      to.pause()
      await settled('the sender', () => source.sent, 50)
      peakBytes = Math.max(peakBytes, castor.residentBytes)
      if (received < STREAM_BYTES / 2) t.ok(source.sent < STREAM_BYTES, 'the sender was held back')
      to.resume()
      await until('the next stop', () => to.isPaused() || received === STREAM_BYTES, 30_000)
    }
    await Promise.all([ended, source.done])
    t.equal(received, STREAM_BYTES)
    peakBytes = Math.max(peakBytes, castor.residentBytes)
    const grownMiB = (peakBytes - beforeBytes) / MIB
    t.ok(grownMiB < 16, `${grownMiB.toFixed(1)} MiB more than before`)
    client.destroy()
  })
}

/** What a first stream costs once and for all is not what is measured. */
async function warmUp(port: number): Promise<void> {
  const socket = await dial(port)
  await Promise.all([new Source(socket, 64 * MIB).done, once(socket.resume(), 'end')])
}
