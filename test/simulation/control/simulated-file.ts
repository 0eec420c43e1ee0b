import { parseConfig } from '../../../src/config/load.js'
import type { Config, ListenerConfig, TargetConfig, TargetGroupConfig } from '../../../src/core/config.js'

export const CLUSTER_SECRET = 'the secret of the simulated cluster'
const ADDRESS = '127.0.0.1'
const LISTENERS = 5
export const GROUP_NAMES = ['g0', 'g1', 'g2', 'g3', 'g4']
/** So long that quiet moments end before they do. */
export const SESSION_MS = 120_000
const IDS = 6
/** Those of the file, and those that operators add. */
export const TARGET_IDS = Array.from({ length: IDS + 3 }, (_, number) => `t${number}`)
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
log: { level: error }
reserve: { targets: 1 }
cluster: { name: simulated, redis: "redis://127.0.0.1:6379", secret: "${CLUSTER_SECRET}", heartbeat: 5s }
listeners:
  - { name: http, protocol: http, listen: "${ADDRESS}:8080", targetGroup: http }
  - { name: tcp, protocol: tcp, listen: "${ADDRESS}:8081", targetGroup: tcp }
targetGroups:
  - { name: http, protocol: http, draining: 2s, healthCheck: { protocol: off }, targets: [{ address: "10.0.0.1:80" }] }
  - { name: tcp, protocol: tcp, draining: 2s, targets: [{ address: "10.0.0.1:80" }] }
`,
  'simulated.yaml',
)
const STICKY = { type: 'source-ip', timeoutMs: SESSION_MS, ipv6Prefix: 64 } as const
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

  /** It says what another host's says. */
  copy(other: SimulatedFile): void {
    this.#listeners = new Map(other.#listeners)
    this.#groups = new Map(other.#groups)
  }

  /** The file of the host of that name. */
  configOf(node: string): Config {
    return { ...this.config, node }
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
    const group = GROUP_NAMES[which % GROUP_NAMES.length]!
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
    this.#groups.set(name, { ...GROUP[protocol], ...settingsOf(protocol, how), name, targets })
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
    const settings =
      how % 5 === 0
        ? {
            drainingMs: 1_000 + how * 5,
            slowStartMs: (how % 3) * 500,
            ...settingsOf(group.protocol as Protocol, how >> 2),
          }
        : {}
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

/** How clients are kept, and how many a target takes at once. */
function settingsOf(protocol: Protocol, how: number): Partial<TargetGroupConfig> {
  const isLimited = how % 3 === 0
  return {
    stickiness: protocol === 'http' && how % 4 > 0 ? STICKY : { type: 'off' },
    maxConnectionsPerTarget: isLimited ? 1 + (how % 2) : 0,
    queue: { size: isLimited ? how % 5 : 0, timeoutMs: 1_000 },
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
