import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { FLAG, FRAME } from '../../../src/http/h2/frames.js'
import { frame, framesOf, PREFACE, SETTINGS_ACK, type SeenFrame, settings } from '../../unit/http/h2/rig.js'
import type { Test } from './castor.js'
import { until } from './until.js'

/** A client that sends frames one by one, and looks at those that come. */
export class RawHttp2Client {
  readonly socket: Socket
  closed = false
  /** PINGs that were answered. */
  #acknowledged = 0
  #asked = 0
  #received = Buffer.alloc(0)

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (data: Buffer) => {
      this.#received = Buffer.concat([this.#received, data])
      const pings = this.frames.filter(({ type, flags }) => type === FRAME.PING && flags === 0)
      for (const { payload } of pings.slice(this.#acknowledged)) this.send(frame(FRAME.PING, FLAG.ACK, 0, payload))
      this.#acknowledged = pings.length
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      this.closed = true
    })
  }

  /** Past the exchange of SETTINGS; the test's end closes it. */
  static open(t: Test, port: number, ...pairs: (readonly [number, number])[]): Promise<RawHttp2Client> {
    return RawHttp2Client.openFrom(t, '127.0.0.1', port, ...pairs)
  }

  /** From an address of its own, such as 127.0.0.2. */
  static async openFrom(
    t: Test,
    localAddress: string,
    port: number,
    ...pairs: (readonly [number, number])[]
  ): Promise<RawHttp2Client> {
    const socket = connect({ port, host: '127.0.0.1', localAddress })
    t.teardown(() => socket.destroy())
    await once(socket, 'connect')
    const client = new RawHttp2Client(socket)
    client.send(PREFACE, settings(...pairs), SETTINGS_ACK)
    await client.frame('SETTINGS', ({ type }) => type === FRAME.SETTINGS)
    return client
  }

  send(...frames: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(frames))
  }

  /** Whole frames that have come so far. */
  get frames(): SeenFrame[] {
    return wholeFrames(this.#received)
  }

  /** Once all that was sent was read: a PING behind it is answered, or the connection was ended. */
  async caughtUp(): Promise<void> {
    const payload = Buffer.from(`caught${String(this.#asked++).padStart(2, '0')}`)
    this.send(frame(FRAME.PING, 0, 0, payload))
    await this.frame('an answer to PING, or the end', ({ type, flags, payload: seen }) => {
      return type === FRAME.GOAWAY || (type === FRAME.PING && flags === FLAG.ACK && seen.equals(payload))
    })
  }

  frame(what: string, matches: (frame: SeenFrame) => boolean, timeoutMs = 5_000): Promise<SeenFrame> {
    return until(what, () => this.frames.find(matches), timeoutMs)
  }

  /** The code of the RST_STREAM of that stream. */
  async resetOf(id: number): Promise<number> {
    const found = await this.frame(`RST_STREAM of ${id}`, (frame) => frame.type === FRAME.RST_STREAM && frame.id === id)
    return found.payload.readUInt32BE(0)
  }

  /** The code of GOAWAY. */
  async goAway(after = 'all'): Promise<number> {
    const found = await this.frame(`GOAWAY after ${after}`, ({ type }) => type === FRAME.GOAWAY)
    return found.payload.readUInt32BE(4)
  }

  /** The HEADERS that answer a stream. */
  answered(id: number): Promise<SeenFrame> {
    return this.frame(`an answer to ${id}`, (frame) => frame.type === FRAME.HEADERS && frame.id === id)
  }
}

/** The frames that are all there. */
export function wholeFrames(bytes: Buffer): SeenFrame[] {
  let end = 0
  while (end + 9 <= bytes.length && end + 9 + bytes.readUIntBE(end, 3) <= bytes.length)
    end += 9 + bytes.readUIntBE(end, 3)
  return framesOf(bytes.subarray(0, end))
}
