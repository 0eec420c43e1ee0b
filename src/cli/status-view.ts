import type { StatusReport } from './status-report.js'
import { bytes, type Column, count, milliseconds, type Paint, type Palette, table, uptime } from './table.js'
import { tlsView } from './tls-view.js'

const right = (title: string): Column => ({ title, align: 'right' })

const LISTENER_COLUMNS: readonly Column[] = [
  { title: 'LISTENER' },
  { title: 'PROTOCOL' },
  { title: 'ADDRESS' },
  { title: 'GROUP' },
  right('CONNECTIONS'),
  right('REQUESTS'),
  right('IN'),
  right('OUT'),
  right('CLIENT ERRORS'),
  right('SERVER ERRORS'),
]

const TARGET_COLUMNS: readonly Column[] = [
  { title: 'TARGET' },
  { title: 'ADDRESS' },
  right('WEIGHT'),
  { title: 'STATE' },
  { title: 'HEALTH' },
  right('CONNECTIONS'),
  right('REQUESTS'),
  right('P50'),
  right('P99'),
]

const PEER_COLUMNS: readonly Column[] = [
  { title: 'PEER' },
  { title: 'STATE' },
  { title: 'VERSION' },
  { title: 'LAST SEEN' },
  right('LAG'),
]

/** The whole picture as a person reads it: the process, its listeners, and each group with its targets. */
export function statusView(report: StatusReport, palette: Palette): string {
  const running = report.workers.filter((worker) => worker.state === 'running').length
  const restarts = report.workers.reduce((sum, worker) => sum + worker.restarts, 0)
  const stuck = report.workers.reduce((sum, worker) => sum + worker.stuck, 0)
  const head = [
    palette.bold(`castor ${report.node}`),
    `version ${report.version}`,
    (report.state === 'running' ? palette.good : palette.warn)(report.state),
    (report.health === 'healthy' ? palette.good : palette.bad)(report.health),
    `up ${uptime(report.uptimeMs)}`,
    `workers ${running}/${report.workers.length}`,
    ...sessionsOf(report, palette),
    ...(restarts > 0
      ? [palette.warn(`${count(restarts)} restarts${stuck > 0 ? ` (${count(stuck)} stuck)` : ''}`)]
      : []),
  ]
  const listeners = report.listeners.map((listener) => [
    palette.bold(listener.name),
    listener.protocol,
    listener.addresses.join(', '),
    listener.targetGroup || '→ https',
    count(listener.connections),
    listener.protocol.startsWith('http') ? count(listener.requests) : '–',
    bytes(listener.receivedBytes),
    bytes(listener.sentBytes),
    errors(listener.errors.client, palette.warn),
    errors(listener.errors.server, palette.bad),
  ])
  const problems = report.problems.map((problem) => `\n${palette.bad('!')} ${problem}`)
  const blocks = [
    head.join('  ') + configurationView(report, palette) + problems.join(''),
    table(LISTENER_COLUMNS, listeners, palette),
    ...tlsView(report, palette),
  ]
  for (const group of report.targetGroups) {
    const targets = group.targets.map((target) => [
      palette.bold(target.id),
      target.address,
      String(target.weight),
      (target.state === 'active' ? palette.good : palette.warn)(target.leaves ? 'leaving' : target.state),
      healthPaint(target.health, palette)(target.reason ? `${target.health} (${target.reason})` : target.health),
      count(target.connections),
      count(target.requests),
      milliseconds(target.latency?.p50),
      milliseconds(target.latency?.p99),
    ])
    const sessions = typeof group.sessions === 'number' ? `, ${count(group.sessions)} sessions` : ''
    const title = `group ${palette.bold(group.name)} (${group.protocol}, ${group.algorithm}${sessions})`
    const panic = group.panic ? `  ${palette.bad('panic: ejections are ignored')}` : ''
    blocks.push(`${title}${panic}${queueView(group.queue, palette)}\n${table(TARGET_COLUMNS, targets, palette)}`)
  }
  if (report.cluster !== undefined) blocks.push(clusterView(report.cluster, palette))
  return `${blocks.join('\n\n')}\n`
}

/** A failed reload stays on the page until one succeeds: the next start would fail by the same file. */
function configurationView({ configuration }: StatusReport, palette: Palette): string {
  if (configuration === undefined) return ''
  const { version, loaded, file, lastReload } = configuration
  const line = `\nconfiguration ${version}${file ? ` from ${file}` : ''}  loaded ${loaded}`
  if (!lastReload || lastReload.reasons.length === 0) return line
  const [first, ...more] = lastReload.reasons
  const rest = more.length === 0 ? '' : ` (and ${more.length} more)`
  return `${line}\n${palette.bad('!')} the reload of ${lastReload.time} was refused: ${first}${rest}`
}

function clusterView({ name, redis, peers }: NonNullable<StatusReport['cluster']>, palette: Palette): string {
  const link = redis.up ? palette.good('redis is there') : palette.bad(`redis is gone (${redis.reason ?? 'no reason'})`)
  const rows = peers.map(({ node, state, version, lastSeen, lagMs }) => [
    palette.bold(node),
    (state === 'alive' ? palette.good : palette.warn)(state),
    version,
    lastSeen,
    milliseconds(lagMs),
  ])
  return `cluster ${palette.bold(name)}  ${link}\n${table(PEER_COLUMNS, rows, palette)}`
}

/** Only for groups that have a queue. */
function queueView({ waiting, size }: { waiting: number; size: number }, palette: Palette): string {
  if (size === 0) return ''
  const paint: Paint = waiting >= size ? palette.bad : waiting > 0 ? palette.warn : palette.dim
  return `  ${paint(`waiting ${count(waiting)} of ${count(size)}`)}`
}

/** Only where a group learns sessions; those that went for want of room show that there is too little. */
function sessionsOf({ sessions, targetGroups }: StatusReport, palette: Palette): string[] {
  if (!sessions || !targetGroups.some((group) => typeof group.sessions === 'number')) return []
  const { live, capacity, evictions } = sessions
  const lost = evictions > 0 ? [palette.warn(`${count(evictions)} evicted`)] : []
  return [`sessions ${count(live)}/${count(capacity)}`, ...lost]
}

function errors(value: number, paint: Paint): string {
  return value > 0 ? paint(count(value)) : '0'
}

function healthPaint(health: string, palette: Palette): Paint {
  switch (health) {
    case 'healthy':
      return palette.good
    case 'unhealthy':
    case 'ejected':
      return palette.bad
    default:
      return palette.dim
  }
}
