import type { Exposition } from '../observe/prometheus.js'
import type { ClusterFacts } from './facts.js'

/** The families of a host that has a cluster; explained in docs/METRICS.md. */
export function clusterMetrics(out: Exposition, { status }: ClusterFacts): void {
  const peers = status?.peers ?? []
  out.family('castor_cluster_peers', 'gauge', 'Other hosts that give signs of life.')
  out.sample({}, peers.filter(({ state }) => state === 'alive').length)
  out.family('castor_cluster_redis_up', 'gauge', 'Whether Redis is there: 1 or 0.')
  out.sample({}, status?.up === true ? 1 : 0)
  out.family(
    'castor_cluster_lag_seconds',
    'gauge',
    'From another host’s sending to the arrival here, lately, by clocks of both.',
  )
  for (const { node, lagMs, state } of peers) if (state === 'alive') out.sample({ peer: node }, lagMs / 1000)
  for (const [family, holds, help] of [
    [
      'castor_cluster_redis_evicts',
      status?.evictionPolicy,
      'Whether Redis throws away what is kept when it is full: 1 or 0.',
    ],
    [
      'castor_cluster_name_conflict',
      status?.impostor ?? status?.doubled[0],
      'Whether two hosts have one name: 1 or 0.',
    ],
    ['castor_cluster_foreign_secret', status?.forgedLately, 'Whether frames of another secret came lately: 1 or 0.'],
  ] as const) {
    out.family(family, 'gauge', help)
    out.sample({}, holds ? 1 : 0)
  }
  const counts = status?.counts
  if (counts === undefined) return
  const families = [
    ['castor_cluster_frames_received_total', counts.framesIn, 'Frames of other hosts that came.'],
    ['castor_cluster_frames_sent_total', counts.framesOut, 'Frames sent to other hosts.'],
    ['castor_cluster_entries_received_total', counts.entriesIn, 'Sessions and operator states that came.'],
    ['castor_cluster_entries_sent_total', counts.entriesOut, 'Sessions and operator states sent.'],
    ['castor_cluster_refills_total', counts.refills, 'How often what was known here was sent again after a break.'],
  ] as const
  for (const [name, value, help] of families) {
    out.family(name, 'counter', help)
    out.sample({}, value)
  }
  out.family('castor_cluster_frames_dropped_total', 'counter', 'What came and was not taken, by reason.')
  out.sample({ reason: 'forged' }, counts.forged)
  out.sample({ reason: 'unreadable' }, counts.unreadable)
  out.sample({ reason: 'oversize' }, counts.oversize)
  out.sample({ reason: 'stale' }, counts.stale)
  out.sample({ reason: 'invalid_row' }, counts.invalid)
  out.sample({ reason: 'newer_row' }, counts.newer)
  out.sample({ reason: 'clock_ahead' }, counts.ahead)
  out.sample({ reason: 'unknown_target' }, counts.unknown)
}
