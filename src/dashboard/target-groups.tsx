import type { TargetGroupStatus, TargetStatus } from '../admin/status-shape.js'
import { count, milliseconds, rate } from './format.js'
import { type Rates, targetKey } from './history.js'
import { Panel } from './panel.js'

export function TargetGroups({ groups, rates }: { groups: readonly TargetGroupStatus[]; rates: Rates | null }) {
  return (
    <>
      {groups.map((group) => (
        <Group key={group.name} group={group} rates={rates} />
      ))}
    </>
  )
}

function Group({ group, rates }: { group: TargetGroupStatus; rates: Rates | null }) {
  const perSecond = group.targets.map(({ id }) => rates?.targets.get(targetKey(group.name, id)) ?? null)
  const all = perSecond.reduce<number>((sum, value) => sum + (value ?? 0), 0)
  const takers = group.targets.filter(
    ({ weight, state, health }) => weight > 0 && state === 'active' && !isDown(health),
  )
  const title = (
    <>
      <span class="kind">Target group</span> {group.name}
      <span class="tag">{group.protocol}</span>
      <span class="tag">{group.algorithm}</span>
    </>
  )
  return (
    <Panel
      id={`group-${group.name}`}
      table="targets"
      title={title}
      aside={[
        `${takers.length} of ${group.targets.length} taking traffic`,
        ...panic(group),
        ...sessions(group),
        ...queue(group),
      ].join(' · ')}
    >
      <thead>
        <tr>
          <th scope="col">Target</th>
          <th scope="col">State</th>
          <th scope="col">Health</th>
          <th scope="col" class="number">
            Weight
          </th>
          <th scope="col" class="number">
            {group.maxConnectionsPerTarget === null ? 'Connections' : 'In flight'}
          </th>
          <th scope="col" class="number">
            {group.protocol === 'tcp' || group.protocol === 'tls' ? 'New/s' : 'Requests/s'}
          </th>
          <th scope="col" class="share">
            Share now
          </th>
          <th scope="col" class="number">
            Total
          </th>
          <th scope="col" class="number">
            Failures
          </th>
          <th scope="col" class="number" title="half of the answers of the last minute came within this time">
            p50
          </th>
          <th scope="col" class="number" title="99 of 100 answers of the last minute came within this time">
            p99
          </th>
        </tr>
      </thead>
      <tbody>
        {group.targets.map((target, index) => (
          <Row
            key={target.id}
            target={target}
            limit={group.maxConnectionsPerTarget}
            perSecond={perSecond[index]!}
            all={all}
          />
        ))}
      </tbody>
    </Panel>
  )
}

interface RowProps {
  readonly target: TargetStatus
  /** Requests that it serves at once; null where there is no limit. */
  readonly limit: number | null
  readonly perSecond: number | null
  readonly all: number
}

/** Only where ejected targets take traffic. */
const panic = ({ panic }: TargetGroupStatus): string[] => (panic ? ['panic: ejections are ignored'] : [])

/** Only where the group learns sessions. */
const sessions = ({ sessions }: TargetGroupStatus): string[] =>
  sessions === null ? [] : [`${count(sessions)} sessions`]

/** Only where requests may wait. */
const queue = ({ queue: { waiting, size } }: TargetGroupStatus): string[] =>
  size === 0 ? [] : [`${count(waiting)} of ${count(size)} places in the queue taken`]

function Row({ target, limit, perSecond, all }: RowProps) {
  const share = perSecond === null || all === 0 ? null : perSecond / all
  return (
    <tr>
      <th scope="row" class="mono" title={target.address}>
        {target.id}
        {target.id !== target.address && <span class="quiet"> {target.address}</span>}
      </th>
      <td>
        <span class={`dot ${target.state === 'active' ? 'good' : 'warn'}`}>{target.state}</span>
      </td>
      <td title={`since ${new Date(target.since).toLocaleString()}`}>
        <span class={`dot ${healthClass(target.health)}`}>{target.health}</span>
        {target.reason !== null && <span class="reason">{target.reason}</span>}
      </td>
      <td class={target.weight === 0 ? 'number warn' : 'number'}>{target.weight}</td>
      <td class={limit !== null && target.inFlight >= limit ? 'number warn' : 'number'}>
        {limit === null ? count(target.connections) : `${count(target.inFlight)} of ${count(limit)}`}
      </td>
      <td class="number">{perSecond === null ? '–' : rate(perSecond)}</td>
      <td class="share">
        {share === null ? (
          <span class="zero">–</span>
        ) : (
          <span class="bar">
            <span class="track" aria-hidden="true">
              <span class="fill" style={{ width: `${share * 100}%` }} />
            </span>
            <span class="number">{Math.round(share * 100)}%</span>
          </span>
        )}
      </td>
      <td class="number">{count(target.requests)}</td>
      <td class={target.failures > 0 ? 'number bad' : 'number zero'}>{count(target.failures)}</td>
      <td class="number">{milliseconds(target.latency.p50)}</td>
      <td class="number">{milliseconds(target.latency.p99)}</td>
    </tr>
  )
}

const isDown = (health: TargetStatus['health']): boolean => health === 'unhealthy' || health === 'ejected'

function healthClass(health: TargetStatus['health']): string {
  if (health === 'healthy') return 'good'
  return isDown(health) ? 'bad' : 'unknown'
}
