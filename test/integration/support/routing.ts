import { type Balancer, type ConfigFile, startBalancer } from './balancer.js'
import type { Test } from './castor.js'
import { ok, RawTarget } from './raw-target.js'

export interface Routing {
  readonly balancer: Balancer
  readonly port: number
  /** By the name of their group. */
  readonly targets: ReadonlyMap<string, RawTarget>
}

export interface RoutingOptions {
  /** Of the listener. */
  readonly listener?: Readonly<Record<string, unknown>>
  /** Of the file. */
  readonly more?: Readonly<Record<string, unknown>>
  /** Beside those that are made. */
  readonly groups?: readonly Readonly<Record<string, unknown>>[]
  /** Of every group. */
  readonly group?: Readonly<Record<string, unknown>>
  readonly workers?: number
  readonly accessLog?: boolean
}

/** A balancer with these rules and a group `g` each of one target, which answers with the group's name. */
export async function startRouting(
  t: Test,
  groups: readonly string[],
  rules: unknown,
  { listener, more, groups: others = [], group, workers = 1, accessLog = false }: RoutingOptions = {},
): Promise<Routing> {
  const targets = new Map<string, RawTarget>()
  for (const name of groups) {
    const target = await RawTarget.start({ answer: (_asked, connection) => connection.write(ok(name)) })
    t.teardown(() => target.stop())
    targets.set(name, target)
  }
  const config: ConfigFile = {
    workers,
    listeners: [{ name: 'web', protocol: 'http', listen: '127.0.0.1:0', targetGroup: groups[0], rules, ...listener }],
    targetGroups: [
      ...groups.map((name) => ({
        name,
        protocol: 'http',
        targets: [{ address: targets.get(name)!.address }],
        healthCheck: { protocol: 'off' },
        ...group,
      })),
      ...others,
    ],
    ...more,
  }
  const balancer = await startBalancer(t, config, { accessLog })
  return { balancer, port: balancer.port, targets }
}
