import { type ChildProcess, spawn } from 'node:child_process'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { WholeAddon } from '../../native/addon.js'
import { Channel, upgradeFailed } from './channel.js'
import { encodeFrame, type Frame, type OfferedSocket, UPGRADE_PROTOCOL } from './frames.js'

/** Names the descriptor by which a new process finds the one before it. */
export const HANDOVER_VARIABLE = 'CASTOR_HANDOVER_FD'
const HANDOVER_FD = 3
/** Descriptors a message: the addon takes no more. */
const OFFERS_A_MESSAGE = 64
/** Of the process before, or of its parents: they mean something else to the new one. */
const NOT_INHERITED = ['WATCHDOG_PID', 'LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES', 'npm_command']
/** For the exit code of a process whose end of the connection is closed. */
const EXIT_MS = 2_000

/** A socket to hand over, and its descriptor here. */
export interface Offer {
  readonly socket: OfferedSocket
  readonly fd: number
}

export interface Command {
  readonly file: string
  readonly args: readonly string[]
}

/** How this process was started, with another installation's program where one is named. */
export function commandFor(program: string | undefined): Command {
  const args = process.argv.slice(2)
  const execArgv = process.execArgv.filter((arg) => !arg.startsWith('--inspect'))
  const script = program === undefined ? process.argv[1]! : scriptOf(program)
  if (program !== undefined && !/\.[cm]?js$/.test(script)) return { file: script, args }
  return { file: process.execPath, args: [...execArgv, script, ...args] }
}

/** A directory stands for the package that is installed there. */
function scriptOf(program: string): string {
  const there = statSync(program, { throwIfNoEntry: false })
  return there?.isDirectory() === true ? join(program, 'dist/src/main.js') : program
}

/** The process that is to take over from this one. */
export class Successor {
  readonly pid: number
  readonly #child: ChildProcess
  readonly #channel: Channel
  #spawnError: Error | undefined
  readonly #exited: Promise<void>

  private constructor(child: ChildProcess, channel: Channel) {
    this.#child = child
    this.pid = child.pid ?? 0
    this.#channel = channel
    this.#exited = new Promise((resolve) => {
      child.once('exit', () => resolve())
      child.once('error', (error) => {
        this.#spawnError = error
        resolve()
      })
    })
    child.unref()
  }

  /** Starts it; the sockets wait for it on their way. @throws CastorError UPGRADE_FAILED. */
  static start(addon: WholeAddon, command: Command, offers: readonly Offer[], version: string): Successor {
    const pair = new Int32Array(2)
    const error = addon.socketPair(pair)
    if (error < 0) throw upgradeFailed(`no connection to a new process: ${addon.errorName(error)}`)
    const [ours, theirs] = [pair[0]!, pair[1]!]
    try {
      sendOffers(addon, ours, offers, version)
      const env: NodeJS.ProcessEnv = { ...process.env, [HANDOVER_VARIABLE]: String(HANDOVER_FD) }
      for (const name of NOT_INHERITED) delete env[name]
      const child = spawn(command.file, command.args, { env, stdio: ['ignore', 'inherit', 'inherit', theirs] })
      return new Successor(child, new Channel(ours))
    } catch (cause) {
      addon.closeFd(ours, 0)
      throw cause
    } finally {
      // Its own end would keep the connection open when the new process is gone.
      addon.closeFd(theirs, 0)
    }
  }

  get isAlive(): boolean {
    return this.#spawnError === undefined && this.#child.exitCode === null && this.#child.signalCode === null
  }

  send(frame: Frame): Promise<void> {
    return this.#channel.send(frame)
  }

  /** Waits for a message of this type; others are passed over. @throws CastorError UPGRADE_FAILED, with the reason. */
  async expect<T extends Frame['type']>(type: T): Promise<Extract<Frame, { type: T }>> {
    for (;;) {
      const frame = await this.#channel.next()
      if (frame === undefined) throw upgradeFailed(await this.#whyGone())
      if (frame.type === 'failed') throw new SuccessorFailed(frame.code, frame.message)
      if (frame.type === type) return frame as Extract<Frame, { type: T }>
    }
  }

  /** Resolves, with the reason, when it has ended. */
  async gone(): Promise<string> {
    await this.#exited
    return this.#whyGone()
  }

  /** Resolves when its end of the connection is closed. */
  async closed(): Promise<void> {
    while ((await this.#channel.next().catch(() => undefined)) !== undefined);
  }

  kill(): void {
    if (this.isAlive) this.#child.kill('SIGKILL')
    this.#channel.destroy()
  }

  async #whyGone(): Promise<string> {
    await Promise.race([this.#exited, sleep(EXIT_MS, undefined, { ref: false })])
    if (this.#spawnError !== undefined) return `it cannot be started: ${this.#spawnError.message}`
    const { exitCode, signalCode } = this.#child
    if (signalCode !== null) return `it was ended by ${signalCode}`
    return exitCode === null ? 'it closed the connection' : `it ended with exit code ${exitCode}`
  }
}

/** The new process said itself why it cannot take over; `reason` is its error's code. */
export class SuccessorFailed extends Error {
  readonly reason: string

  constructor(reason: string, message: string) {
    super(message)
    this.reason = reason
  }
}

function sendOffers(addon: WholeAddon, fd: number, offers: readonly Offer[], version: string): void {
  let at = 0
  do {
    const some = offers.slice(at, at + OFFERS_A_MESSAGE)
    at += OFFERS_A_MESSAGE
    const frame = encodeFrame({
      type: 'offer',
      protocol: UPGRADE_PROTOCOL,
      version,
      pid: process.pid,
      sockets: some.map(({ socket }) => socket),
      isLast: at >= offers.length,
    })
    const descriptors = Int32Array.from(some.map((offer) => offer.fd))
    const sent = addon.sendDescriptors(fd, frame, descriptors)
    if (sent !== frame.length) {
      const why = sent < 0 ? addon.errorName(sent) : 'there is no room'
      throw upgradeFailed(`${offers.length} sockets cannot be handed over: ${why}`)
    }
  } while (at < offers.length)
}
