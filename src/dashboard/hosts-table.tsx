import type { ClusterStatus, PeerStatus } from '../admin/cluster-status.js'
import { milliseconds } from './format.js'
import { Panel } from './panel.js'

/** The other hosts of the cluster, and whether Redis is there between them. */
export function HostsTable({ cluster: { name, redis, peers } }: { cluster: ClusterStatus }) {
  const title = (
    <>
      <span class="kind">Cluster</span> {name}
      {redis.up ? (
        <span class="dot good">Redis is there</span>
      ) : (
        <span class="dot bad">Redis is gone: {redis.reason ?? 'no reason given'}</span>
      )}
    </>
  )
  return (
    <Panel id="hosts" title={title} aside={`${peers.filter(({ state }) => state === 'alive').length + 1} hosts alive`}>
      <thead>
        <tr>
          <th scope="col">Other host</th>
          <th scope="col">State</th>
          <th scope="col">Version</th>
          <th scope="col">Last heard of</th>
          <th scope="col" class="number" title="how old its news is when it comes here">
            Lag
          </th>
        </tr>
      </thead>
      <tbody>
        {peers.length === 0 ? (
          <tr>
            <td colSpan={5} class="quiet">
              no other host has been heard of yet
            </td>
          </tr>
        ) : (
          peers.map((peer) => <Row key={peer.node} peer={peer} />)
        )}
      </tbody>
    </Panel>
  )
}

function Row({ peer: { node, state, version, lastSeen, lagMs } }: { peer: PeerStatus }) {
  return (
    <tr>
      <th scope="row">{node}</th>
      <td>
        <span class={`dot ${state === 'alive' ? 'good' : state === 'silent' ? 'bad' : 'unknown'}`}>{state}</span>
      </td>
      <td>{version}</td>
      <td>{new Date(lastSeen).toLocaleTimeString()}</td>
      <td class="number">{milliseconds(lagMs)}</td>
    </tr>
  )
}
