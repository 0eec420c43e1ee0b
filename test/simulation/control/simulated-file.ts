import { parseConfig } from '../../../src/config/load.js'
import type { Config, ListenerConfig, TargetConfig, TargetGroupConfig } from '../../../src/core/config.js'

const ADDRESS = '127.0.0.1'
const LISTENERS = 5
const GROUPS = 5
const IDS = 6
const PORTS = 8

/** As often as they are made. */
const EDITS = [
  'group',
  'listener',
  'targets',
  'group',
  'settings',
  'listener',
  'no listener',
  'listener',
  'targets',
  'settings',
  'targets',
  'no group',
] as const

const BASE = parseConfig(
  `
workers: 3
reserve: { targets: 1 }
listeners:
  - { name: http, protocol: http, listen: "${ADDRESS}:8080", targetGroup: http }
  - { name: tcp, protocol: tcp, listen: "${ADDRESS}:8081", targetGroup: tcp }
targetGroups:
  - { name: http, protocol: http, draining: 2s, healthCheck: { protocol: off }, targets: [{ address: "10.0.0.1:80" }] }
  - { name: tcp, protocol: tcp, draining: 2s, targets: [{ address: "10.0.0.1:80" }] }
`,
  'simulated.yaml',
)
const PROTOCOLS = ['http', 'tcp'] as const
type Protocol = (typeof PROTOCOLS)[number]

const LISTENER = Object.fromEntries(BASE.listeners.map((each) => [each.name, each])) as Record<Protocol, ListenerConfig>
const GROUP = Object.fromEntries(BASE.targetGroups.map((each) => [each.name, each])) as Record<
  Protocol,
  TargetGroupConfig
>

/** The configuration file of the simulated host, as its operators go on editing it. */
export class SimulatedFile {
  #listeners = new Map<string, ListenerConfig>()
  #groups = new Map<string, TargetGroupConfig>()

  constructor() {
    this.edit(0, 0, 0)
    this.edit(1, 0, 0)
    this.edit(0, 1, 1)
    this.edit(1, 1, 1)
  }

  get config(): Config {
    const listeners = [...this.#listeners.values()].filter(({ targetGroup, protocol }) => {
      return this.#groups.get(targetGroup)?.protocol === protocol
    })
    return { ...BASE, listeners, targetGroups: [...this.#groups.values()] }
  }

  /** One edit; what it is, and of what, is chosen by the numbers. */
  edit(kind: number, which: number, how: number): void {
    const listener = `l${which % LISTENERS}`
    const group = `g${which % GROUPS}`
    switch (EDITS[kind % EDITS.length]!) {
      case 'group':
        this.#putGroup(group, protocolOf(which, how), how)
        return
      case 'listener':
        this.#putListener(listener, protocolOf(which, how), how)
        return
      case 'no listener':
        this.#listeners.delete(listener)
        return
      case 'no group':
        this.#groups.delete(group)
        return
      case 'targets':
        this.#changeTargets(group, how)
        return
      case 'settings':
        this.#changeListener(listener, how)
    }
  }

  #putGroup(name: string, protocol: Protocol, how: number): void {
    const targets = Array.from({ length: 1 + (how % 4) }, (_, index) => targetOf((how + index) % IDS, how >> 2))
    this.#groups.set(name, { ...GROUP[protocol], name, targets })
  }

  #putListener(name: string, protocol: Protocol, how: number): void {
    const groups = [...this.#groups.values()].filter((group) => group.protocol === protocol)
    if (groups.length === 0) return
    const targetGroup = groups[(how >> 1) % groups.length]!.name
    this.#listeners.delete(name)
    this.#listeners.set(name, { ...LISTENER[protocol], name, targetGroup, listen: this.#freePorts(how) })
  }

  #changeListener(name: string, how: number): void {
    const listener = this.#listeners.get(name)
    if (listener === undefined) return
    const groups = [...this.#groups.values()].filter(({ protocol }) => protocol === listener.protocol)
    const to = groups[how % Math.max(1, groups.length)]
    if (how % 3 === 0) this.#listeners.set(name, { ...listener, keepAliveSeconds: how % 7 })
    else if (how % 3 === 1 && to !== undefined) this.#listeners.set(name, { ...listener, targetGroup: to.name })
    else this.#moveBinds(name, listener, how)
  }

  /** Two listeners change places, or one goes elsewhere. */
  #moveBinds(name: string, listener: ListenerConfig, how: number): void {
    const other = this.#listeners.get(`l${how % LISTENERS}`)
    if (other === undefined || other === listener) {
      this.#listeners.delete(name)
      this.#listeners.set(name, { ...listener, listen: this.#freePorts(how) })
      return
    }
    this.#listeners.set(name, { ...listener, listen: other.listen })
    this.#listeners.set(other.name, { ...other, listen: listener.listen })
  }

  #changeTargets(name: string, how: number): void {
    const group = this.#groups.get(name)
    if (group === undefined) return
    const changed = targetOf(how % IDS, how >> 3)
    const others = group.targets.filter(({ id, host }) => id !== changed.id && host !== changed.host)
    const isThere = others.length < group.targets.length
    const targets = isThere && how % 2 === 0 ? others : [...others, changed]
    const settings = how % 5 === 0 ? { drainingMs: 1_000 + how * 10, slowStartMs: (how % 3) * 500 } : {}
    this.#groups.set(name, { ...group, ...settings, targets })
  }

  #freePorts(how: number): ListenerConfig['listen'] {
    const taken = new Set([...this.#listeners.values()].flatMap(({ listen }) => listen.map(({ port }) => port)))
    const free = Array.from({ length: PORTS * 2 }, (_, index) => 8_000 + ((index + how) % (PORTS * 2)))
      .filter((port) => !taken.has(port))
      .slice(0, 1 + (how % 2))
    return free.map((port) => ({ address: ADDRESS, port }))
  }
}

/** Mostly the same. */
function protocolOf(which: number, how: number): Protocol {
  return PROTOCOLS[((which % 5) + (how % 6 === 0 ? 1 : 0)) % 2]!
}

/** Every other one has a name, which DNS may give another address. */
export function targetOf(number: number, how: number): TargetConfig {
  const server = (number + (how % 3)) % (IDS + 2)
  const host = server % 2 === 0 ? `10.0.0.${server + 1}` : `t${server}.example`
  return { id: `t${number}`, host, port: 80, weight: 1 + (how % 3) }
}
