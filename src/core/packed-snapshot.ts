import { deserialize, serialize } from 'node:v8'
import type { SnapshotContent } from './messages.js'
import type { Snapshot } from './snapshot.js'

/**
 * Written down once, to be sent to every thread: with thousands of targets that takes as long as a connection may wait to
 * be accepted, and posting an object does it anew for each thread.
 */
export function packSnapshot({ snapshot, targets, targetsVersion }: SnapshotContent): Uint8Array {
  return serialize({ snapshot: withoutTargets(snapshot), targets, targetsVersion })
}

export function unpackSnapshot(packed: Uint8Array): SnapshotContent {
  return deserialize(packed) as SnapshotContent
}

/** Threads have their targets by lists, with slots; what the file says of them is the primary's business. */
function withoutTargets(snapshot: Snapshot): Snapshot {
  const groups = snapshot.groups.map((entry) => entry && { ...entry, config: { ...entry.config, targets: [] } })
  const targetGroups = groups.flatMap((entry) => (entry === undefined ? [] : [entry.config]))
  return { ...snapshot, groups, config: { ...snapshot.config, targetGroups } }
}
