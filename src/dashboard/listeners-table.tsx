import type { ListenerStatus } from '../admin/status-shape.js'
import { bytes, count, rate } from './format.js'
import { clientErrors, type Rates, serverErrors, work } from './history.js'
import { Panel } from './panel.js'

export function ListenersTable({ listeners, rates }: { listeners: readonly ListenerStatus[]; rates: Rates | null }) {
  return (
    <Panel id="listeners" title="Listeners">
      <thead>
        <tr>
          <th scope="col">Name</th>
          <th scope="col">Address</th>
          <th scope="col">Target group</th>
          <th scope="col" class="number">
            Connections
          </th>
          <th scope="col" class="number" title="requests a second; connections a second on tcp listeners">
            Per second
          </th>
          <th scope="col" class="number">
            Total
          </th>
          <th scope="col" class="number">
            In
          </th>
          <th scope="col" class="number">
            Out
          </th>
          <th scope="col" class="number">
            Client errors
          </th>
          <th scope="col" class="number">
            Server errors
          </th>
          <th scope="col">Most common reasons</th>
        </tr>
      </thead>
      <tbody>
        {listeners.map((listener) => (
          <Row key={listener.name} listener={listener} rates={rates} />
        ))}
      </tbody>
    </Panel>
  )
}

function Row({ listener, rates }: { listener: ListenerStatus; rates: Rates | null }) {
  const { name, protocol, addresses, targetGroup, connections, errors } = listener
  const now = rates?.listeners.get(name)
  const client = clientErrors(listener)
  const server = serverErrors(listener)
  return (
    <tr>
      <th scope="row">
        {name} <span class="tag">{protocol}</span>
      </th>
      <td class="mono">{addresses.length === 0 ? <span class="bad">not listening</span> : addresses.join(', ')}</td>
      <td>{targetGroup === '' ? '→ https' : targetGroup}</td>
      <td class="number">{count(connections)}</td>
      <td class="number">{now === undefined ? '–' : rate(now.requests)}</td>
      <td class="number">{count(work(listener))}</td>
      <td class="number">{now === undefined ? '–' : `${bytes(now.receivedBytes)}/s`}</td>
      <td class="number">{now === undefined ? '–' : `${bytes(now.sentBytes)}/s`}</td>
      <td class={client > 0 ? 'number warn' : 'number zero'}>{count(client)}</td>
      <td class={server > 0 ? 'number bad' : 'number zero'}>{count(server)}</td>
      <td class="reasons">
        <Reasons reasons={errors.reasons} />
      </td>
    </tr>
  )
}

const SHOWN = 2

function Reasons({ reasons }: { reasons: ListenerStatus['errors']['reasons'] }) {
  const sorted = Object.entries(reasons).sort((a, b) => b[1] - a[1])
  if (sorted.length === 0) return <span class="zero">none</span>
  return (
    <span title={sorted.map(([code, times]) => `${code} ${times}`).join('\n')}>
      {sorted.slice(0, SHOWN).map(([code, times]) => (
        <span class="reason" key={code}>
          {code} <b class="number">{count(times)}</b>
        </span>
      ))}
      {sorted.length > SHOWN && <span class="quiet">+{sorted.length - SHOWN}</span>}
    </span>
  )
}
