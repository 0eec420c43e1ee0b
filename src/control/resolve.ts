import { isIP } from 'node:net'
import type { Logger } from '../observe/log.js'
import { NameLookups, type NameService, SYSTEM_NAMES } from './name-lookup.js'
import { firstReachable, type TryAddress } from './reachable.js'

const POLL_MS = 1_000
/** Dead names do not hold up the start, nor a target that is added. */
const TIMEOUT_MS = 4_000

/** Where a target is, as configured. */
export interface HostPort {
  readonly host: string
  readonly port: number
}

/** The targets whose addresses are wanted. */
export interface AddressedTargets {
  /** Those in use at the moment. */
  hosts(): Iterable<HostPort>
  /** Whether connections to it fail, so that another address of its name may be the better one. */
  isDoubtful(host: HostPort): boolean
}

export interface AddressOptions {
  readonly names?: NameService
  readonly attempt?: TryAddress
  /** Milliseconds of a monotonic clock. */
  readonly now?: () => number
}

interface Place {
  address: string
  /** Set while its name is looked up and its addresses are tried. */
  looking: Promise<void> | undefined
}

/**
 * The addresses of all hosts that targets are on. Names are looked up at the start and again every ten seconds; a name
 * that fails keeps the address it had. Of several addresses, of either family, a target has the first that accepts
 * connections, and keeps it as long as it is among the answers and connections to it succeed. Threads are told, so that
 * no request ever waits for a name.
 */
export class TargetAddresses {
  readonly #targets: () => AddressedTargets
  readonly #attempt: TryAddress | undefined
  readonly #lookups: NameLookups
  readonly #places = new Map<string, Place>()
  #changed = false
  #timer: NodeJS.Timeout | undefined

  constructor(targets: () => AddressedTargets, log: Logger, options: AddressOptions = {}) {
    this.#targets = targets
    this.#attempt = options.attempt
    this.#lookups = new NameLookups(options.names ?? SYSTEM_NAMES, log, options.now)
  }

  /** The IP address of a target; empty while its name has not resolved. */
  of(host: string, port: number): string {
    return isIP(host) === 0 ? (this.#places.get(keyOf(host, port))?.address ?? '') : host
  }

  /** Looks a name up that is about to be used, unless that has been done. */
  async resolve(host: string, port: number): Promise<void> {
    if (isIP(host) === 0 && this.of(host, port) === '') await inTime(this.#look({ host, port }))
  }

  /** Looks at every name whose time has come, for a few seconds at the most. True when an address changed. */
  async refresh(): Promise<boolean> {
    this.#begin()
    await inTime(Promise.all(this.#named().map((each) => this.#look(each))))
    const changed = this.#changed
    this.#changed = false
    return changed
  }

  /** Goes on looking names up; `onChange` is called when one leads to another address. */
  watch(onChange: () => void): void {
    this.#timer = setInterval(() => {
      this.#begin()
      for (const each of this.#named()) void this.#look(each)
      if (!this.#changed) return
      this.#changed = false
      onChange()
    }, POLL_MS)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #named(): HostPort[] {
    const byKey = new Map<string, HostPort>()
    for (const each of this.#targets().hosts()) if (isIP(each.host) === 0) byKey.set(keyOf(each.host, each.port), each)
    return [...byKey.values()]
  }

  /** Forgets what is in use no more. */
  #begin(): void {
    const named = this.#named()
    this.#lookups.keepOnly(new Set(named.map(({ host }) => host)))
    const keys = new Set(named.map(({ host, port }) => keyOf(host, port)))
    for (const [key, { looking }] of this.#places) {
      if (!keys.has(key) && looking === undefined) this.#places.delete(key)
    }
  }

  /** Resolves when what has been found is in force; one look at a time. */
  #look(target: HostPort): Promise<void> {
    const key = keyOf(target.host, target.port)
    let place = this.#places.get(key)
    if (place === undefined) this.#places.set(key, (place = { address: '', looking: undefined }))
    const looked = place
    looked.looking ??= this.#lookUp(target, looked).finally(() => {
      looked.looking = undefined
    })
    return looked.looking
  }

  async #lookUp(target: HostPort, place: Place): Promise<void> {
    await this.#lookups.look(target.host)
    await this.#choose(target, place)
  }

  async #choose(target: HostPort, place: Place): Promise<void> {
    const addresses = this.#lookups.addresses(target.host)
    const before = place.address
    const isStill = addresses.includes(before)
    if (addresses.length === 0 || (isStill && !this.#targets().isDoubtful(target))) return
    let address = addresses[0]!
    if (addresses.length > 1) {
      // The one it has comes last where it has failed.
      const order = isStill ? [...addresses.filter((each) => each !== before), before] : addresses
      address = (await firstReachable(order, target.port, this.#attempt)) ?? (isStill ? before : address)
    }
    if (address === before) return
    place.address = address
    this.#changed = true
  }
}

function keyOf(host: string, port: number): string {
  return `${host} ${port}`
}

function inTime(work: Promise<unknown>): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, TIMEOUT_MS)
    void work.then(() => {
      clearTimeout(timer)
      resolve()
    })
  })
}
