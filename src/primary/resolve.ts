import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import type { Config } from '../core/config.js'
import type { Logger } from '../observe/log.js'

const REFRESH_MS = 10_000

/**
 * Addresses of all targets by slot. Names are looked up at the start and again every ten seconds; a name that fails
 * keeps the address it had. Workers are told, so that no request ever waits for a name.
 */
export class TargetAddresses {
  readonly #hosts: readonly string[]
  readonly #log: Logger
  #addresses: string[]
  #timer: NodeJS.Timeout | undefined

  constructor(config: Config, log: Logger) {
    this.#hosts = config.targetGroups.flatMap((group) => group.targets.map((target) => target.host))
    this.#addresses = this.#hosts.map((host) => (isIP(host) === 0 ? '' : host))
    this.#log = log
  }

  get current(): readonly string[] {
    return this.#addresses
  }

  /** Looks every name up once. True when an address changed. */
  async refresh(): Promise<boolean> {
    const names = new Map<string, Promise<string | undefined>>()
    for (const host of this.#hosts) if (isIP(host) === 0 && !names.has(host)) names.set(host, this.#lookUp(host))
    const next: string[] = []
    for (const [slot, host] of this.#hosts.entries()) next.push((await names.get(host)) ?? this.#addresses[slot]!)
    const changed = next.some((address, slot) => address !== this.#addresses[slot])
    this.#addresses = next
    return changed
  }

  /** Goes on looking names up; `onChange` is called when one resolves to something else. */
  watch(onChange: () => void): void {
    if (this.#hosts.every((host) => isIP(host) !== 0)) return
    this.#timer = setInterval(() => {
      void this.refresh().then((changed) => {
        if (changed) onChange()
      })
    }, REFRESH_MS)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  async #lookUp(host: string): Promise<string | undefined> {
    try {
      const found = await lookup(host, { all: true })
      return (found.find((entry) => entry.family === 4) ?? found[0])?.address
    } catch (err) {
      this.#log.warn({ err, host }, 'a target name does not resolve')
      return undefined
    }
  }
}
