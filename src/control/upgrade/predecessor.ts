import { CastorError } from '../../core/errors.js'
import type { WholeAddon } from '../../native/addon.js'
import { type InheritedSocket, InheritedSockets } from '../inherited-sockets.js'
import { whyNotApplied } from '../listen-refusal.js'
import { Channel, upgradeFailed } from './channel.js'
import { type Frame, FrameReader, type HandedState, type OfferedSocket, UPGRADE_PROTOCOL } from './frames.js'
import { HANDOVER_VARIABLE } from './successor.js'

const READ_BYTES = 64 * 1024
const MAX_DESCRIPTORS = 64
const ROOT = 0

/** What comes from the process before while this one takes over, and after. */
export interface Takeover {
  state(state: HandedState): Promise<void>
  sessions(frame: Extract<Frame, { type: 'sessions' }>): void
}

/** The process that this one takes over from. */
export class Predecessor {
  readonly version: string
  readonly pid: number
  readonly sockets: InheritedSockets
  /** Of the admin API, by path. */
  readonly unixSockets: ReadonlyMap<string, number>
  readonly #channel: Channel
  #hasTaken = false

  private constructor(channel: Channel, offer: Offered, sockets: InheritedSockets, unix: ReadonlyMap<string, number>) {
    this.#channel = channel
    this.version = offer.version
    this.pid = offer.pid
    this.sockets = sockets
    this.unixSockets = unix
  }

  /**
   * By the variable that the process before has set, which is taken out of `env`. Undefined where this process takes over
   * from nobody. @throws CastorError UPGRADE_FAILED.
   */
  static find(env: NodeJS.ProcessEnv, addon: WholeAddon | undefined): Predecessor | undefined {
    const given = env[HANDOVER_VARIABLE]
    delete env[HANDOVER_VARIABLE]
    if (given === undefined) return undefined
    const fd = /^\d{1,4}$/.test(given) ? Number(given) : -1
    if (fd < 3) throw upgradeFailed(`${HANDOVER_VARIABLE}=${given} names no connection to a process before this one`)
    if (addon === undefined) throw upgradeFailed('an upgrade needs the native addon, which this program has not')
    const user = addon.peerUser(fd)
    if (user < 0) throw upgradeFailed(`${HANDOVER_VARIABLE}=${given}: ${addon.errorName(user)}`)
    // Whose process it was decides what this one listens on, and with which keys.
    if (![process.getuid?.(), ROOT].includes(user)) throw upgradeFailed('the process before is of another user')
    addon.closeOnExec(fd)
    const reader = new FrameReader()
    const { offer, received, rest } = receiveOffers(addon, fd, reader)
    const tcp: InheritedSocket[] = []
    const unix = new Map<string, number>()
    offer.sockets.forEach((socket, index) => {
      const descriptor = received[index]!
      if ('path' in socket) unix.set(socket.path, descriptor)
      else tcp.push({ fd: descriptor, ...socket })
    })
    const sockets = new InheritedSockets(tcp, (descriptor) => addon.closeFd(descriptor, 0))
    return new Predecessor(new Channel(fd, reader, rest), offer, sockets, unix)
  }

  /** Says that this process starts, and waits for what it is to start with. */
  async begin(version: string): Promise<HandedState> {
    await this.#channel.send({ type: 'hello', version, pid: process.pid })
    for (;;) {
      const frame = await this.#next()
      if (frame.type === 'state') return frame
    }
  }

  /** All that can fail is done. Takes in what has changed since, and resolves when this process is to serve. */
  async takeOver(takeover: Takeover): Promise<void> {
    await this.#channel.send({ type: 'prepared' })
    for (;;) {
      const frame = await this.#next()
      if (frame.type === 'take') break
      await take(frame, takeover)
    }
    this.#hasTaken = true
  }

  /** This process serves. Resolves when the one before does not come back; sessions that it still makes come in after. */
  async serving(takeover: Takeover): Promise<void> {
    await this.#channel.send({ type: 'serving' })
    for (;;) {
      const frame = await this.#channel.next().catch(() => undefined)
      // It has died: so it does not come back either.
      if (frame === undefined) return
      if (frame.type === 'settled') break
      await take(frame, takeover)
    }
    void this.#follow(takeover)
  }

  /** This process cannot take over; the one before goes on. */
  fail(cause: unknown): void {
    if (this.#hasTaken) return
    const code = cause instanceof CastorError ? cause.code : 'UPGRADE_FAILED'
    void this.#channel.send({ type: 'failed', code, message: whyNotApplied(cause) })
    this.#channel.close()
  }

  async #follow(takeover: Takeover): Promise<void> {
    for (;;) {
      const frame = await this.#channel.next().catch(() => undefined)
      if (frame === undefined) break
      if (frame.type === 'sessions') takeover.sessions(frame)
    }
    this.#channel.destroy()
  }

  async #next(): Promise<Frame> {
    const frame = await this.#channel.next()
    if (frame === undefined) throw upgradeFailed(`the process before (pid ${this.pid}) ended, or gave the upgrade up`)
    return frame
  }
}

async function take(frame: Frame, takeover: Takeover): Promise<void> {
  if (frame.type === 'sessions') takeover.sessions(frame)
  else if (frame.type === 'state') await takeover.state(frame)
}

interface Offered {
  readonly version: string
  readonly pid: number
  readonly sockets: readonly OfferedSocket[]
}

interface Received {
  readonly offer: Offered
  /** In the order of the sockets. */
  readonly received: readonly number[]
  /** Messages that came behind. */
  readonly rest: readonly Frame[]
}

/** All of it was sent before this process was started. */
function receiveOffers(addon: WholeAddon, fd: number, reader: FrameReader): Received {
  const bytes = new Uint8Array(READ_BYTES)
  const into = new Int32Array(1 + MAX_DESCRIPTORS)
  const received: number[] = []
  const sockets: OfferedSocket[] = []
  try {
    for (;;) {
      const count = addon.receiveDescriptors(fd, bytes, into)
      if (count === 0) throw upgradeFailed('the process before has ended')
      if (count < 0) throw upgradeFailed(`its sockets cannot be received: ${addon.errorName(count)}`)
      received.push(...into.subarray(1, 1 + into[0]!))
      const frames = reader.push(bytes.subarray(0, count))
      for (let frame = frames.shift(); frame !== undefined; frame = frames.shift()) {
        if (frame.type !== 'offer') continue
        const { protocol, version, pid } = frame
        if (protocol > UPGRADE_PROTOCOL) {
          throw upgradeFailed(
            `the running process (version ${version}) hands over by protocol ${protocol}, and this program knows ${UPGRADE_PROTOCOL}; restart instead`,
          )
        }
        sockets.push(...frame.sockets)
        if (!frame.isLast) continue
        if (sockets.length === received.length) return { offer: { version, pid, sockets }, received, rest: frames }
        throw upgradeFailed(`${sockets.length} sockets were offered, and ${received.length} came`)
      }
    }
  } catch (cause) {
    for (const descriptor of received) addon.closeFd(descriptor, 0)
    throw cause
  }
}
