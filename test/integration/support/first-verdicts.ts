import { type ConfigFile, startBalancer } from './balancer.js'
import { fetchText, type Test } from './castor.js'
import type { ShownTarget } from './operator.js'
import { until } from './until.js'

/** A group with one target, both called `name`, and how its first check comes out. */
export interface CheckCase {
  readonly name: string
  readonly address: string
  readonly protocol?: string
  /** Further keys of the group. */
  readonly group?: object
  readonly check: object
  /** `null`: it is healthy, or as `health` says. */
  readonly reason: string | null
  readonly health?: string
  /** What the log has beside the reason. */
  readonly detail?: RegExp
}

/** Starts a balancer with a group for each case and looks at what its first checks found, in the status and in the log. */
export async function expectVerdicts(
  t: Test & { same: Same; match: Match },
  cases: readonly CheckCase[],
  more: ConfigFile = {},
): Promise<void> {
  const castor = await startBalancer(t, {
    workers: 1,
    listeners: [{ name: 'in', protocol: 'http', listen: '127.0.0.1:0', targetGroup: cases[0]!.name }],
    targetGroups: cases.map(({ name, address, protocol = 'http', group, check }) => ({
      name,
      protocol,
      targets: [{ id: name, address }],
      healthCheck: { timeout: '2s', interval: '1h', ...check },
      ...group,
    })),
    ...more,
  })
  // A balancer does not wait for the slowest first check for ever.
  const status = await until('the first verdicts', async () => {
    const { targetGroups } = JSON.parse(await fetchText(castor.running.admin.port, '/api/v1/status')) as {
      targetGroups: { name: string; targets: ShownTarget[] }[]
    }
    return targetGroups.every(({ targets }) => targets[0]!.health !== 'initial') && { targetGroups }
  })
  for (const { name, reason, detail, health: expected = reason === null ? 'healthy' : 'unhealthy' } of cases) {
    const { health, reason: given } = status.targetGroups.find((group) => group.name === name)!.targets[0]!
    const line = castor.log.find((text) => text.includes('target is unhealthy') && text.includes(`"target":"${name}"`))
    t.same([health, given], [expected, reason], `${name}: ${line ?? ''}`)
    if (detail !== undefined) {
      t.match((JSON.parse(line ?? '{}') as { detail?: string }).detail ?? '', detail, `${name}, in the log`)
    }
  }
}

type Same = (found: unknown, wanted: unknown, message: string) => unknown
type Match = (found: string, wanted: RegExp, message: string) => unknown
