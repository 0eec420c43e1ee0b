import { setTimeout as sleep } from 'node:timers/promises'
import type { UpgradeStep, Upgrades } from '../../admin/facts.js'
import type { Admin } from '../../admin/server.js'
import type { Config } from '../../core/config.js'
import type { WholeAddon } from '../../native/addon.js'
import type { Logger } from '../../observe/log.js'
import type { Binds } from '../bind.js'
import { ADMIN_SOCKET } from '../open-admin.js'
import { version } from '../version.js'
import { upgradeFailed } from './channel.js'
import type { StateTransfer } from './state-transfer.js'
import { commandFor, type Offer, Successor, SuccessorFailed } from './successor.js'

/** A new process that fails does so at once when clients come: so long this one could still take them back. */
const SETTLE_MS = 1_000
/** How often what clients of this process still make in sessions goes to the new one. */
const FOLLOW_MS = 1_000

export interface UpgradeParts {
  readonly log: Logger
  /** Undefined on Node's own sockets. */
  readonly addon: WholeAddon | undefined
  readonly config: () => Config
  /** The process belongs to this balancer alone. */
  readonly ownsProcess: boolean
  readonly isRunning: () => boolean
  readonly binds: Binds
  readonly admin: () => Admin
  readonly transfer: StateTransfer
  /** That process is the service from now on: this one finishes what it has, and ends. */
  readonly leave: (pid: number) => void
  /** That process speaks for the host in its cluster. Resolves when this one has said its last. */
  readonly mute: () => Promise<void>
}

/** The listening sockets, those of the admin API included. */
function offersOf({ binds, admin }: UpgradeParts): Offer[] {
  const listeners = binds.offers.map(({ fd, name, address, port, configuredPort = port }) => {
    return { fd, socket: { name, address, port, configuredPort } }
  })
  const own = admin().offers.map(({ fd, listen, bound }): Offer => {
    if ('path' in listen || 'path' in bound) return { fd, socket: { path: 'path' in listen ? listen.path : '' } }
    return { fd, socket: { name: ADMIN_SOCKET, ...bound, configuredPort: listen.port } }
  })
  return [...listeners, ...own]
}

/** Replaces this process by another one, which gets its sockets and what it knows; one at a time. */
export class Upgrade implements Upgrades {
  readonly #parts: UpgradeParts
  #successor: Successor | undefined
  #isHandingOver = false
  #hasLeft = false
  #isAborted = false
  #isReloadAsked = false

  constructor(parts: UpgradeParts) {
    this.#parts = parts
  }

  get isHandingOver(): boolean {
    return this.#isHandingOver
  }

  get hindrance(): Upgrades['hindrance'] {
    const { addon, ownsProcess, isRunning } = this.#parts
    if (this.#successor !== undefined) {
      return {
        code: 'UPGRADE_UNDER_WAY',
        message: `a new process (pid ${this.#successor.pid}) is starting`,
      }
    }
    if (!isRunning()) return { code: 'NOT_RUNNING', message: 'this process is starting or draining' }
    if (addon === undefined) {
      const message = 'an upgrade needs the native addon, which this process runs without; restart instead'
      return { code: 'NATIVE_UNAVAILABLE', message }
    }
    if (!ownsProcess) {
      return { code: 'NOT_A_PROCESS', message: 'this balancer runs within another program' }
    }
    if (process.pid === 1) {
      const message = 'this process is number 1 of its container, which ends with it; start another container instead'
      return { code: 'FIRST_PROCESS', message }
    }
    return undefined
  }

  /** Resolves when it is decided; what became of it is the last step. */
  async run(program: string | undefined, onStep: (step: UpgradeStep) => void): Promise<void> {
    const { log } = this.#parts
    let deadline: NodeJS.Timeout | undefined
    let isLate = false
    try {
      const command = commandFor(program)
      const { addon, config } = this.#parts
      const successor = Successor.start(addon!, command, offersOf(this.#parts), version())
      this.#successor = successor
      deadline = setTimeout(() => {
        isLate = true
        successor.kill()
      }, config().upgradeTimeoutMs)
      const shown = [command.file, ...command.args].join(' ')
      log.info({ pid: successor.pid, command: shown }, 'upgrade: a new process starts')
      onStep({ step: 'starting', pid: successor.pid, command: shown })
      const count = await this.#handOver(successor, onStep, () => clearTimeout(deadline))
      this.#leave(successor, count, onStep)
    } catch (cause) {
      clearTimeout(deadline)
      const late = `it was not ready within upgradeTimeout (${this.#parts.config().upgradeTimeoutMs / 1000} s)`
      this.#fail(
        isLate ? upgradeFailed(late) : this.#isAborted ? upgradeFailed('this process is stopping') : cause,
        onStep,
      )
    }
  }

  /** Somebody asks for a reload. A new process may have read the file before: it is to read it again once it serves. */
  reloadAsked(): void {
    if (this.#successor === undefined) return
    this.#isReloadAsked = true
    if (this.#hasLeft) this.#passReloadOn(this.#successor)
  }

  /** This process stops: a new one that has not taken over is of no use. */
  abort(): void {
    if (this.#hasLeft || this.#successor === undefined) return
    this.#isAborted = true
    this.#successor.kill()
  }

  /** Returns how many sessions went over. */
  async #handOver(successor: Successor, onStep: (step: UpgradeStep) => void, onServing: () => void): Promise<number> {
    const { transfer, binds } = this.#parts
    await successor.send(transfer.current())
    const hello = await successor.expect('hello')
    onStep({ step: 'started', version: hello.version })
    await successor.expect('prepared')
    this.#isHandingOver = true
    await successor.send(transfer.current())
    const begunMs = transfer.nowMs
    let count = await this.#sendSessions(successor, 0)
    onStep({ step: 'prepared', sessions: count })
    count += await this.#sendSessions(successor, begunMs)
    await successor.send({ type: 'take' })
    await successor.expect('serving')
    onServing()
    binds.pause()
    const died = await Promise.race([
      successor.gone(),
      successor.closed().then(() => 'it closed the connection'),
      sleep(SETTLE_MS),
    ])
    if (died !== undefined) throw upgradeFailed(`it served, and then ${died}`)
    await this.#sendSessions(successor, begunMs)
    return count
  }

  async #sendSessions(successor: Successor, sinceMs: number): Promise<number> {
    let count = 0
    for await (const frame of this.#parts.transfer.usedSince(sinceMs)) {
      if (!successor.isAlive) break
      await successor.send(frame)
      count += frame.rows.length
    }
    return count
  }

  #leave(successor: Successor, sessions: number, onStep: (step: UpgradeStep) => void): void {
    const { log, leave, mute } = this.#parts
    this.#hasLeft = true
    log.info({ pid: successor.pid, sessions }, 'upgrade: the new process serves; this one drains')
    leave(successor.pid)
    void mute().then(() => {
      void successor.send({ type: 'settled' })
      this.#passReloadOn(successor)
    })
    onStep({ step: 'done', pid: successor.pid, sessions })
    this.#follow(successor)
  }

  #passReloadOn({ pid, isAlive }: Successor): void {
    if (!this.#isReloadAsked || !isAlive) return
    this.#isReloadAsked = false
    this.#parts.log.info({ pid }, 'upgrade: the new process is told to reload, as this one was')
    process.kill(pid, 'SIGHUP')
  }

  #follow(successor: Successor): void {
    let fromMs = this.#parts.transfer.nowMs
    const timer = setInterval(() => {
      const sinceMs = fromMs
      fromMs = this.#parts.transfer.nowMs
      if (successor.isAlive) void this.#sendSessions(successor, sinceMs)
      else clearInterval(timer)
    }, FOLLOW_MS).unref()
  }

  #fail(cause: unknown, onStep: (step: UpgradeStep) => void): void {
    const { log, binds } = this.#parts
    this.#successor?.kill()
    this.#successor = undefined
    this.#isReloadAsked = false
    if (this.#isHandingOver && !this.#isAborted) binds.resume()
    this.#isHandingOver = false
    const code = cause instanceof SuccessorFailed ? cause.reason : 'UPGRADE_FAILED'
    const message = cause instanceof Error ? cause.message : String(cause)
    log.error({ code, why: message }, 'upgrade: the new process did not take over; this one goes on')
    onStep({ step: 'failed', code, message })
  }
}
