import type { WorkerStatus } from '../admin/status-shape.js'
import { count, milliseconds } from './format.js'
import { Panel } from './panel.js'

/** From here on a thread's lateness is felt by clients. */
const LATE_MS = 50

export function WorkersTable({ workers }: { workers: readonly WorkerStatus[] }) {
  return (
    <Panel id="workers" title="Workers" aside="event loop delay of the last second">
      <thead>
        <tr>
          <th scope="col">Worker</th>
          <th scope="col">State</th>
          <th scope="col" class="number">
            Connections
          </th>
          <th scope="col" class="number">
            Delay p50
          </th>
          <th scope="col" class="number">
            Delay p99
          </th>
          <th scope="col" class="number">
            Delay max
          </th>
          <th scope="col" class="number">
            Restarts
          </th>
        </tr>
      </thead>
      <tbody>
        {workers.map(({ id, state, connections, restarts, loopDelayMs: { p50, p99, max } }) => (
          <tr key={id}>
            <th scope="row">proxy {id}</th>
            <td>
              <span class={`dot ${state === 'running' ? 'good' : 'warn'}`}>{state}</span>
            </td>
            <td class="number">{count(connections)}</td>
            <td class={late(p50)}>{milliseconds(p50)}</td>
            <td class={late(p99)}>{milliseconds(p99)}</td>
            <td class={late(max)}>{milliseconds(max)}</td>
            <td class={restarts > 0 ? 'number warn' : 'number zero'}>{count(restarts)}</td>
          </tr>
        ))}
      </tbody>
    </Panel>
  )
}

const late = (ms: number): string => (ms >= LATE_MS ? 'number warn' : 'number')
