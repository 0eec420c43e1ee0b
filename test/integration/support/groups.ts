import { type Balancer, startBalancer } from './balancer.js'
import type { Test } from './castor.js'
import { type ShownTarget, shownTargets } from './operator.js'

/** A listener with the group behind it; keys as in the file. */
export interface Scene {
  readonly targets: readonly { readonly address: string }[]
  readonly listener?: object
  readonly group?: object
}

/** One balancer for a whole file of tests: a listener and a group for each of them, which share nothing else. */
export class Groups {
  readonly balancer: Balancer
  readonly #scenes: Readonly<Record<string, Scene>>

  private constructor(balancer: Balancer, scenes: Readonly<Record<string, Scene>>) {
    this.balancer = balancer
    this.#scenes = scenes
  }

  static async start(t: Test, scenes: Readonly<Record<string, Scene>>, workers = 2): Promise<Groups> {
    const names = Object.keys(scenes)
    const balancer = await startBalancer(t, {
      workers,
      listeners: names.map((name) => ({
        name,
        protocol: 'http',
        listen: '127.0.0.1:0',
        targetGroup: name,
        ...scenes[name]!.listener,
      })),
      targetGroups: names.map((name) => ({
        name,
        protocol: 'http',
        targets: scenes[name]!.targets.map(({ address }) => ({ address })),
        ...scenes[name]!.group,
      })),
    })
    return new Groups(balancer, scenes)
  }

  portOf(name: string): number {
    return this.balancer.portOf(name)
  }

  /** The group's targets as the administration shows them, in their order. */
  async targets(name: string): Promise<ShownTarget[]> {
    const ids = this.#scenes[name]!.targets.map(({ address }) => address)
    return (await shownTargets(this.balancer)).filter(({ id }) => ids.includes(id))
  }

  async health(name: string): Promise<string[]> {
    return (await this.targets(name)).map(({ health }) => health)
  }

  async ejected(name: string): Promise<number> {
    return (await this.health(name)).filter((health) => health === 'ejected').length
  }
}
