import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import type { Logger } from '../observe/log.js'

const REFRESH_MS = 10_000

/**
 * The addresses of all hosts that targets are on. Names are looked up at the start and again every ten seconds; a name
 * that fails keeps the address it had. Threads are told, so that no request ever waits for a name.
 */
export class TargetAddresses {
  readonly #hosts: () => Iterable<string>
  readonly #log: Logger
  /** Of names; absent while one has never resolved. */
  #byName = new Map<string, string>()
  #timer: NodeJS.Timeout | undefined

  /** `hosts` gives the hosts that are in use at the moment. */
  constructor(hosts: () => Iterable<string>, log: Logger) {
    this.#hosts = hosts
    this.#log = log
  }

  /** A host's IP address; empty while its name has not resolved. */
  of(host: string): string {
    return isIP(host) === 0 ? (this.#byName.get(host) ?? '') : host
  }

  /** Looks a name up that is about to be used, unless that has been done. */
  async resolve(host: string): Promise<void> {
    if (isIP(host) !== 0 || this.#byName.has(host)) return
    const address = await this.#lookUp(host)
    if (address !== undefined) this.#byName.set(host, address)
  }

  /** Looks every name up once, and forgets those that are in use no more. True when an address changed. */
  async refresh(): Promise<boolean> {
    const names = [...new Set(this.#hosts())].filter((host) => isIP(host) === 0)
    const found = await Promise.all(names.map((name) => this.#lookUp(name)))
    const next = new Map<string, string>()
    let changed = false
    names.forEach((name, index) => {
      const before = this.#byName.get(name)
      const now = found[index] ?? before
      if (now !== undefined) next.set(name, now)
      if (now !== before) changed = true
    })
    // A name that came into use meanwhile has been looked up already.
    for (const host of this.#hosts()) {
      const address = this.#byName.get(host)
      if (address !== undefined && !next.has(host)) next.set(host, address)
    }
    this.#byName = next
    return changed
  }

  /** Goes on looking names up; `onChange` is called when one resolves to something else. */
  watch(onChange: () => void): void {
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
    } catch (fault) {
      const why = (fault as NodeJS.ErrnoException).code ?? String(fault)
      this.#log.warn({ host, why }, 'a target name does not resolve')
      return undefined
    }
  }
}
