import { deserialize, serialize } from 'node:v8'
import type { GroupTargets } from './directory.js'
import type { SnapshotContent } from './messages.js'
import type { Snapshot } from './snapshot.js'

/** So many are read in a millisecond or two. */
const TARGETS_A_PIECE = 250

/**
 * Written down once, to be sent to every thread: with thousands of targets that takes as long as a connection may wait to
 * be accepted, and posting an object does it anew for each thread. In pieces, since who reads them has requests to serve.
 */
export function packSnapshot({ snapshot, targets, targetsVersion }: SnapshotContent): readonly Uint8Array[] {
  const pieces: Uint8Array[] = [serialize({ snapshot: withoutTargets(snapshot), targetsVersion })]
  let piece: GroupTargets[] = []
  let count = 0
  for (const list of targets) {
    piece.push(list)
    count += list.targets.length
    if (count < TARGETS_A_PIECE) continue
    pieces.push(serialize(piece))
    piece = []
    count = 0
  }
  pieces.push(serialize(piece))
  return pieces
}

/** Yields between one piece and the next. */
export function* unpacking(packed: readonly Uint8Array[]): Generator<void, SnapshotContent> {
  const [first, ...lists] = packed
  const head = deserialize(first!) as Omit<SnapshotContent, 'targets'>
  const targets: GroupTargets[] = []
  for (const piece of lists) {
    yield
    targets.push(...(deserialize(piece) as GroupTargets[]))
  }
  return { ...head, targets }
}

/** The same at once. */
export function unpackSnapshot(packed: readonly Uint8Array[]): SnapshotContent {
  const reading = unpacking(packed)
  for (;;) {
    const step = reading.next()
    if (step.done) return step.value
  }
}

/** Threads have their targets by lists, with slots; what the file says of them is the primary's business. */
function withoutTargets(snapshot: Snapshot): Snapshot {
  const groups = snapshot.groups.map((entry) => entry && { ...entry, config: { ...entry.config, targets: [] } })
  const targetGroups = groups.flatMap((entry) => (entry === undefined ? [] : [entry.config]))
  return { ...snapshot, groups, config: { ...snapshot.config, targetGroups } }
}
