import type { RegistryParts } from '../../../src/control/target-registry.js'
import type { Later } from './later.js'

/** The names of the simulated network; an answer takes until the simulation gives it. */
export class SimulatedNames implements Pick<RegistryParts, 'addresses'> {
  readonly #changes = new Map<string, number>()
  readonly #known = new Map<string, string>()

  constructor(readonly later: Later) {}

  /** The name has another address from here on; who asked already may or may not know. */
  change(name: string, number: number): void {
    this.#changes.set(name, number)
    if (this.#known.has(name)) this.#known.set(name, this.#address(name))
  }

  readonly addresses = {
    of: (host: string): string => (isAddress(host) ? host : (this.#known.get(host) ?? '')),
    resolve: async (host: string): Promise<void> => {
      if (isAddress(host)) return
      await this.later.answered()
      this.#known.set(host, this.#address(host))
    },
  }

  #address(name: string): string {
    return `10.1.${name.charCodeAt(1) - 48}.${this.#changes.get(name) ?? 0}`
  }
}

const isAddress = (host: string): boolean => /\d$/.test(host)
