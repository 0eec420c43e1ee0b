import type { HandoverAddon, NativeAddon } from '../native/addon.js'
import type { Logger } from '../observe/log.js'

/** Its queue is full for moments at most. */
const RETRY_MS = 50
const MAX_TRIES = 100
const EAGAIN = -11
/** Beyond the time that a stop takes by itself. */
const STOP_GRACE_MS = 10_000

type Addon = Pick<HandoverAddon, 'sendDatagram'> & Pick<NativeAddon, 'errorName'>

export interface NotifyEnvironment {
  readonly NOTIFY_SOCKET?: string | undefined
  readonly WATCHDOG_USEC?: string | undefined
  readonly WATCHDOG_PID?: string | undefined
}

/**
 * Tells the service manager that started the process how it is doing, by systemd's protocol (sd_notify). Where nobody
 * wants to know, nothing is sent.
 */
export class SdNotify {
  readonly #address: string
  readonly #addon: Addon | undefined
  readonly #log: Logger
  readonly #watchdogMs: number
  #watching: NodeJS.Timeout | undefined
  #queue: string[] = []
  #tries = 0
  #hasWarned = false
  #hasMoved = false

  /** Without the addon Node cannot send to such a socket: the log says so. */
  constructor(env: NotifyEnvironment, pid: number, addon: Addon | undefined, log: Logger) {
    this.#address = env.NOTIFY_SOCKET ?? ''
    this.#addon = addon
    this.#log = log
    this.#watchdogMs = watchdogMs(env, pid)
    if (this.#address !== '' && addon === undefined) this.#warn('the native addon is not built')
  }

  /** It serves, or serves again after a reload. `status` is for people. */
  ready(status: string): void {
    this.#send(`READY=1\nSTATUS=${oneLine(status)}`)
    this.#watch()
  }

  /** A reload begins; `ready` ends it. The time lets systemd tell this reload's end from another's (Type=notify-reload). */
  reloading(): void {
    this.#send(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1_000n}`)
  }

  status(status: string): void {
    this.#send(`STATUS=${oneLine(status)}`)
  }

  /** It ends, within `withinMs` at most. */
  stopping(withinMs: number): void {
    this.#send(`STOPPING=1\nEXTEND_TIMEOUT_USEC=${(withinMs + STOP_GRACE_MS) * 1_000}\nSTATUS=draining`)
  }

  /** Another process, started by this one, is the service from now on: this one says nothing more. */
  movedTo(pid: number): void {
    this.#send(`MAINPID=${pid}`)
    this.#hasMoved = true
    this.close()
  }

  close(): void {
    clearInterval(this.#watching)
    this.#watching = undefined
  }

  #watch(): void {
    if (this.#watchdogMs === 0 || this.#address === '') return
    this.#watching ??= setInterval(() => this.#send('WATCHDOG=1'), this.#watchdogMs / 2).unref()
  }

  #send(message: string): void {
    if (this.#address === '' || this.#addon === undefined || this.#hasMoved) return
    this.#queue.push(message)
    if (this.#queue.length === 1) this.#flush()
  }

  #flush(): void {
    while (this.#queue.length > 0) {
      const error = this.#addon!.sendDatagram(this.#address, this.#queue[0]!)
      if (error === EAGAIN && ++this.#tries < MAX_TRIES) {
        setTimeout(() => this.#flush(), RETRY_MS)
        return
      }
      if (error < 0) this.#warn(this.#addon!.errorName(error))
      this.#tries = 0
      this.#queue.shift()
    }
  }

  #warn(why: string): void {
    if (this.#hasWarned) return
    this.#hasWarned = true
    this.#log.warn({ why, socket: this.#address }, 'the service manager cannot be told how this process is doing')
  }
}

/** In what time the service manager wants a sign of life; 0 where it does not. */
function watchdogMs({ WATCHDOG_USEC: usec, WATCHDOG_PID: forPid }: NotifyEnvironment, pid: number): number {
  if (usec === undefined || !/^\d{1,15}$/.test(usec)) return 0
  return forPid === undefined || forPid === String(pid) ? Math.floor(Number(usec) / 1_000) : 0
}

const oneLine = (text: string): string => text.replaceAll('\n', ' ')
